// A generated population with planted taste, for demonstrations and tests without anyone's data: a few popular items
// and a long tail, few users with many ratings, and opinions made of a mean, biases, rank-k factors and noise. People
// rather meet what they like. Genres follow the factors. The same seed gives the same population everywhere.
// A value; concurrent reads are safe.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/dataset/rating.hpp"

namespace chorus::dataset {

struct PlantedOptions {
  std::uint64_t seed = 1;
  std::uint32_t users = 600;
  std::uint32_t items = 400;
  // Mean number of ratings of a user, before the bound of half of the items.
  std::uint32_t ratings_per_user = 40;
  std::uint32_t rank = 4;  // 1 to 32
  // The scale. Events have the value 1 on every line, and only the choice of items tells the taste.
  Feedback feedback = Feedback::ratings;
  double minimum = 1;
  double maximum = 5;
  double step = 0.5;
  // Standard deviations, as parts of the scale's length (maximum - minimum).
  double user_bias = 0.09;
  double item_bias = 0.11;
  double taste = 0.18;  // of the factors' part
  double noise = 0.11;
};

class PlantedPopulation {
 public:
  // Errors: invalid_argument, where() is the option.
  [[nodiscard]] static Result<PlantedPopulation> create(const PlantedOptions& options);

  [[nodiscard]] const PlantedOptions& options() const noexcept { return options_; }
  // User u (from 0) has the id u + 1, item i the id i + 1: indices of table() and of the catalogue.
  [[nodiscard]] std::uint32_t user_count() const noexcept { return options_.users; }
  [[nodiscard]] std::uint32_t item_count() const noexcept { return options_.items; }

  // The user's ratings in the order of time, items distinct, at least one. Made on demand, independently of other
  // users: nothing is stored for a user. REQUIRES: user < user_count().
  [[nodiscard]] std::vector<Entry> ratings_of(std::uint32_t user) const;
  // What the user would rate the item without noise and without rounding, on the scale but not clipped to it.
  // REQUIRES: user < user_count(), item < item_count().
  [[nodiscard]] double opinion(std::uint32_t user, std::uint32_t item) const;

  // All users' ratings, user by user, over maps of all users and items.
  [[nodiscard]] RatingTable table() const;
  [[nodiscard]] Catalogue catalogue() const;
  [[nodiscard]] DataContract contract() const;

 private:
  struct User {
    double bias = 0;
    std::vector<double> factor;  // [rank]
  };

  explicit PlantedPopulation(const PlantedOptions& options);
  [[nodiscard]] User user(std::uint32_t index) const;
  // The factors' part of an opinion, with standard deviation 1.
  [[nodiscard]] double affinity(const User& user, std::uint32_t item) const;
  [[nodiscard]] double opinion(const User& user, std::uint32_t item) const;
  [[nodiscard]] double rounded(double value) const;

  PlantedOptions options_;
  std::vector<double> item_biases_;   // [items], standard deviation 1
  std::vector<double> item_factors_;  // [items x rank], standard deviation 1
  std::vector<double> cumulative_;    // [items] popularity, summed
};

}  // namespace chorus::dataset
