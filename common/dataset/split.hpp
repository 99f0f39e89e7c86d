// Splits of ratings into training and test, and held-out parts for validation. Deterministic: equal ratings, spec and
// seed give equal halves on every machine. Stateless functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "common/dataset/rating.hpp"
#include "common/dataset/reader.hpp"

namespace chorus::dataset {

// "test:FILE", "random:0.9" (the share that trains), "kfold:5", "loo", "cold-items:0.2" (the share of items that no
// training rating is about).
struct SplitSpec {
  enum class Kind { test_file, random, kfold, leave_one_out, cold_items };

  Kind kind = Kind::random;
  std::filesystem::path file;  // test_file: relative to the current folder
  double share = 0.9;          // random, cold_items: within (0, 1)
  std::uint32_t folds = 1;     // kfold: 2 to kMaxFolds; otherwise 1

  static constexpr std::uint32_t kMaxFolds = 1000;

  // Errors: invalid_argument, with the forms that exist.
  [[nodiscard]] static Result<SplitSpec> parse(std::string_view text);
};

// Both halves share their id maps, which hold the users and items of both.
struct Split {
  RatingTable train;
  RatingTable test;
  // test_file: what its reading said, and how many of the ratings it took out of the training half.
  std::optional<ReadReport> test_report;
  std::size_t overlap = 0;
};

// test_file   reads the file with `options`; a user and item that it names are not trained on, whatever the ratings
// say. random      round(share * size) ratings train. kfold       fold `fold` of spec.folds equal parts is the test
// half. loo         each user's latest rating, the last in the table's order among equals; users with one rating only
// train. cold_items  round(share * items), at least one, and all their ratings are the test half. REQUIRES: fold <
// spec.folds. Errors: as read_ratings for test_file; invalid_argument, if a half would be empty.
[[nodiscard]] Result<Split> make_split(const RatingTable& ratings, const SplitSpec& spec, std::uint64_t seed,
                                       std::uint32_t fold = 0, const ReadOptions& options = {});

// Holds about `share` of every user's ratings out as the test half, drawn evenly: the whole part of share * count and
// one more with the probability of the rest, but never a user's only rating. REQUIRES: 0 <= share < 1.
[[nodiscard]] Split hold_out(const RatingTable& ratings, double share, std::uint64_t seed);

}  // namespace chorus::dataset
