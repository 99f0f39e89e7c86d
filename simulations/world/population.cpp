#include "simulations/world/population.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "common/crypto/hash.hpp"

namespace chorus::sim {

identity::DeviceId simulated_device(std::string_view user_id) {
  ByteWriter out;
  out.string("CHORUS/1/simulated-device");
  out.string(user_id);
  const Digest digest = crypto::sha256(out.view());
  identity::DeviceId device;
  std::copy_n(digest.begin(), device.bytes.size(), device.bytes.begin());
  return device;
}

Population::Population(const dataset::RatingTable& training) : data_(training), users_(training.users) {
  simulate_devices();
}

Population::Population(const dataset::RatingTable& training, const dataset::RatingTable& held_out)
    : data_(training, held_out), users_(training.users) {
  simulate_devices();
}

void Population::simulate_devices() {
  devices_.resize(users_->size());
  for (std::uint32_t user = 0; user < devices_.size(); ++user) {
    devices_[user] = simulated_device((*users_)[user]);
    by_device_.emplace(*devices_[user], user);
  }
}

std::optional<std::uint32_t> Population::find(const identity::DeviceId& device) const noexcept {
  const auto found = by_device_.find(device);
  return found == by_device_.end() ? std::nullopt : std::optional(found->second);
}

Status Population::enrol(std::string_view lines) {
  std::vector<std::optional<identity::DeviceId>> devices(users_->size());
  std::map<identity::DeviceId, std::uint32_t> by_device;
  for (std::size_t number = 1; !lines.empty(); ++number) {
    const std::size_t end = lines.find('\n');
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::string where = fmt::format("line {}", number);
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) {
      return fail(ErrorCode::malformed, "expected a device id, a tab and a user id", where);
    }
    const auto device = identity::parse_device_id(line.substr(0, tab));
    if (!device) return fail(device.error().at(where));
    const std::string_view user_id = line.substr(tab + 1);
    const auto user = users_->find(user_id);
    if (!user) {
      return fail(ErrorCode::not_found, fmt::format("the ratings have no user '{}'", user_id), where);
    }
    if (devices[*user]) return fail(ErrorCode::malformed, fmt::format("user '{}' has two devices", user_id), where);
    if (!by_device.emplace(*device, *user).second) {
      return fail(ErrorCode::malformed, "the device has two users", where);
    }
    devices[*user] = *device;
  }
  devices_ = std::move(devices);
  by_device_ = std::move(by_device);
  return {};
}

}  // namespace chorus::sim
