// The ratings of many users as their devices would hold them: what evaluation and simulation feed to a model. Items are
// the table's item indices, so a catalogue made of the table's items fits. A value; concurrent reads are safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/dataset/rating.hpp"
#include "common/model/model.hpp"

namespace chorus::evaluation {

class UserData {
 public:
  explicit UserData(const dataset::RatingTable& training);
  // `held_out` is over the same id maps as `training`. REQUIRES: equal numbers of users and items.
  UserData(const dataset::RatingTable& training, const dataset::RatingTable& held_out);

  [[nodiscard]] std::size_t size() const noexcept { return training_.starts.size() - 1; }
  // What device `user` knows, as a view of this object. REQUIRES: user < size().
  [[nodiscard]] model::LocalData operator[](std::uint32_t user) const noexcept {
    return {.training = training_.of(user), .held_out = held_out_.of(user)};
  }
  [[nodiscard]] std::size_t training_ratings() const noexcept { return training_.observations.size(); }

 private:
  // Grouped by user, sorted by item within a user.
  struct Grouped {
    explicit Grouped(std::size_t users) : starts(users + 1, 0) {}
    explicit Grouped(const dataset::RatingTable& table);
    [[nodiscard]] std::span<const model::Observation> of(std::uint32_t user) const noexcept {
      return std::span(observations).subspan(starts[user], starts[user + 1] - starts[user]);
    }
    std::vector<std::size_t> starts;  // [users + 1]
    std::vector<model::Observation> observations;
  };

  Grouped training_;
  Grouped held_out_;
};

}  // namespace chorus::evaluation
