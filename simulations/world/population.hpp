// The people of a simulated federation: for each the ratings that the device would hold, and the device's id.
// A value; concurrent reads are safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/rating.hpp"
#include "common/evaluation/user_data.hpp"
#include "common/identity/device_id.hpp"

namespace chorus::sim {

// The id of a device that nobody enrolled: SHA-256 of "CHORUS/1/simulated-device" and the user's id, its first 16
// bytes.
[[nodiscard]] identity::DeviceId simulated_device(std::string_view user_id);

class Population {
 public:
  // Everybody of the table, each with a simulated device.
  explicit Population(const dataset::RatingTable& training);
  // `held_out` is over the same id maps.
  Population(const dataset::RatingTable& training, const dataset::RatingTable& held_out);

  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(data_.size()); }
  [[nodiscard]] const evaluation::UserData& data() const noexcept { return data_; }
  // REQUIRES: user < size(), and the user has a device.
  [[nodiscard]] const identity::DeviceId& device(std::uint32_t user) const noexcept { return *devices_[user]; }
  [[nodiscard]] std::optional<std::uint32_t> find(const identity::DeviceId& device) const noexcept;

  // Gives people the devices that they were enrolled with: lines "device id<TAB>user id", as a fleet writes them.
  // People without a line have no device afterwards. All lines or, after an error, none of them count. Errors:
  // malformed (a line, a user or a device named twice), not_found (an unknown user); where() is "line 3".
  [[nodiscard]] Status enrol(std::string_view lines);

 private:
  void simulate_devices();

  evaluation::UserData data_;
  std::shared_ptr<const dataset::IdMap> users_;
  std::vector<std::optional<identity::DeviceId>> devices_;  // [users]
  std::map<identity::DeviceId, std::uint32_t> by_device_;
};

}  // namespace chorus::sim
