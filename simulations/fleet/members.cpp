#include "simulations/fleet/members.hpp"

#include <cmath>
#include <fstream>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/dataset/text_file.hpp"
#include "simulations/fleet/slice.hpp"

namespace chorus::sim {
namespace {

std::vector<SliceRating> slice_ratings(const dataset::IdMap& items, std::span<const dataset::Entry> entries) {
  std::vector<SliceRating> out;
  out.reserve(entries.size());
  for (const dataset::Entry& entry : entries) {
    out.push_back({.item = items[entry.item], .value = entry.value, .when = entry.when});
  }
  return out;
}

// A line of fleet.tsv: number, device id, folder. Nothing for another kind of line.
std::optional<Enrolled> parse_member(std::string_view line, const std::filesystem::path& folder) {
  const std::size_t first = line.find('\t');
  const std::size_t second = first == std::string_view::npos ? first : line.find('\t', first + 1);
  if (second == std::string_view::npos || line.find('\t', second + 1) != std::string_view::npos) return std::nullopt;
  const auto id = identity::parse_device_id(line.substr(first + 1, second - first - 1));
  const std::filesystem::path inside(line.substr(second + 1));
  if (!id || inside.empty() || inside.is_absolute()) return std::nullopt;
  return Enrolled{.id = *id, .folder = folder / inside};
}

}  // namespace

Result<std::vector<Enrolled>> read_fleet(const std::filesystem::path& folder) {
  CHORUS_TRY(auto lines, dataset::LineReader::open(folder / "fleet.tsv"));
  std::vector<Enrolled> devices;
  while (true) {
    CHORUS_TRY(const bool more, lines.next());
    if (!more) return devices;
    auto member = parse_member(lines.line(), folder);
    if (!member) {
      return fail(ErrorCode::malformed, "expected number, device id and folder, separated by tabs", lines.where());
    }
    devices.push_back(std::move(*member));
  }
}

Result<FleetMembers> FleetMembers::create(dataset::RatingTable training, dataset::RatingTable held_out,
                                          std::vector<Enrolled> devices, std::size_t limit) {
  CHORUS_ENSURE(training.user_count() == held_out.user_count(), "both halves of a split share their users");
  FleetMembers made;
  made.training_ = std::move(training);
  made.held_out_ = std::move(held_out);
  const dataset::ByUser by_user(made.training_);
  for (std::uint32_t user = 0; user < by_user.user_count(); ++user) {
    if (limit != 0 && made.members_.size() == limit) break;
    if (!by_user[user].empty()) made.members_.push_back({.device = {}, .user = user});
  }
  if (made.members_.empty()) return fail(ErrorCode::invalid_argument, "there is no user with training ratings");
  if (devices.size() < made.members_.size()) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} users need as many devices, and {} are enrolled",
                                                         made.members_.size(), devices.size()));
  }
  for (std::size_t i = 0; i < made.members_.size(); ++i) made.members_[i].device = std::move(devices[i]);
  return made;
}

std::size_t FleetMembers::people(const dataset::RatingTable& training) {
  const dataset::ByUser by_user(training);
  std::size_t count = 0;
  for (std::uint32_t user = 0; user < by_user.user_count(); ++user) count += by_user[user].empty() ? 0 : 1;
  return count;
}

double FleetMembers::mean_predictor_rmse() const {
  const dataset::ByUser training(training_);
  const dataset::ByUser held_out(held_out_);
  double sum = 0;
  double count = 0;
  for (const Member& member : members_) {
    for (const dataset::Entry& entry : training[member.user]) sum += entry.value;
    count += static_cast<double>(training[member.user].size());
  }
  const double mean = sum / count;
  double squares = 0;
  double tested = 0;
  for (const Member& member : members_) {
    for (const dataset::Entry& entry : held_out[member.user]) squares += (entry.value - mean) * (entry.value - mean);
    tested += static_cast<double>(held_out[member.user].size());
  }
  return tested > 0 ? std::sqrt(squares / tested) : 0;
}

Status FleetMembers::write_population(const std::filesystem::path& path) const {
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    return fail(ErrorCode::already_exists, "the file exists already; name another folder", path.string());
  }
  std::ofstream file(path, std::ios::binary);
  for (const Member& member : members_) {
    file << identity::to_string(member.device.id) << '\t' << user_id(member) << '\n';
  }
  file.close();
  if (!file) return fail(ErrorCode::unwritable, "the file cannot be written", path.string());
  return {};
}

std::string FleetMembers::slice(std::size_t first, std::size_t last) const {
  CHORUS_ENSURE(first <= last && last <= members_.size(), "a slice lies in the population");
  const dataset::ByUser training(training_);
  const dataset::ByUser held_out(held_out_);
  std::string out;
  for (std::size_t i = first; i < last; ++i) {
    const Member& member = members_[i];
    append(out, {.index = static_cast<std::uint32_t>(i),
                 .id = identity::to_string(member.device.id),
                 .credentials = member.device.folder,
                 .training = slice_ratings(*training_.items, training[member.user]),
                 .held_out = slice_ratings(*held_out_.items, held_out[member.user])});
  }
  append_end(out);
  return out;
}

}  // namespace chorus::sim
