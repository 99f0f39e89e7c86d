// Who the fleet's devices are: a user's training and held-out ratings joined with the credentials of one enrolled
// device. The parent has the ratings as any experiment has; a device gets its own user's alone, through its import.
// A value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/rating.hpp"
#include "common/identity/device_id.hpp"

namespace chorus::sim {

// One line of a fleet's fleet.tsv, as `chorus-certs fleet` writes it.
struct Enrolled {
  identity::DeviceId id;
  std::filesystem::path folder;  // device.crt, device.key, authority.crt, crl.pem
};

// Errors: not_found, malformed ("fleet.tsv:3").
[[nodiscard]] Result<std::vector<Enrolled>> read_fleet(const std::filesystem::path& folder);

class FleetMembers {
 public:
  struct Member {
    Enrolled device;
    std::uint32_t user = 0;  // index into the tables' users
  };

  // The first `limit` users (0: all), in the order of their ids, that have training ratings; each gets the next device.
  // REQUIRES: both tables share their id maps. Errors: invalid_argument (fewer devices than users, or no user).
  [[nodiscard]] static Result<FleetMembers> create(dataset::RatingTable training, dataset::RatingTable held_out,
                                                   std::vector<Enrolled> devices, std::size_t limit);

  // How many users have ratings.
  [[nodiscard]] static std::size_t people(const dataset::RatingTable& training);

  [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }
  [[nodiscard]] const std::vector<Member>& members() const noexcept { return members_; }
  [[nodiscard]] const std::string& user_id(const Member& member) const { return (*training_.users)[member.user]; }
  [[nodiscard]] const dataset::RatingTable& training() const noexcept { return training_; }
  [[nodiscard]] const dataset::RatingTable& held_out() const noexcept { return held_out_; }

  // The error (root mean square) of predicting the mean of the members' training ratings for each of their held-out
  // ones: what anything learned must beat. 0 without held-out ratings.
  [[nodiscard]] double mean_predictor_rmse() const;

  // population.tsv: "device id<TAB>user id", one line a member; what a replay of the trace needs.
  // Errors: already_exists, unwritable.
  [[nodiscard]] Status write_population(const std::filesystem::path& path) const;

  // Members [first, last) as a worker reads them (simulations/fleet/slice.hpp).
  [[nodiscard]] std::string slice(std::size_t first, std::size_t last) const;

 private:
  FleetMembers() = default;
  dataset::RatingTable training_;
  dataset::RatingTable held_out_;
  std::vector<Member> members_;
};

}  // namespace chorus::sim
