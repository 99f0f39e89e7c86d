// Reads ratings from files: the published collections and plain tables, recognised by content (format.hpp).
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/dataset/format.hpp"
#include "common/dataset/rating.hpp"

namespace chorus::dataset {

struct ReadOptions {
  // One of format_names(); empty: recognised.
  std::string format;
  // Bad lines are counted and left out instead of ending the reading. NUL bytes and lines that are too long still end
  // it: such a file is no table of ratings.
  bool skip_bad_lines = false;
  // The scale; where they are absent the format's own holds, if it has one. Events are above 0 in any case.
  std::optional<double> minimum;
  std::optional<double> maximum;
  // Overrides what the columns suggest: ratings or events.
  std::optional<Feedback> feedback;
  // The file may be one person's: without a user's column its rows get the user kOnePerson.
  bool one_person = false;
  // Look for the items' titles beside the ratings.
  bool descriptions = true;
};

inline constexpr std::string_view kOnePerson = "me";

struct ReadReport {
  std::string file;    // the ratings file that was read
  std::string format;  // its name
  Feedback feedback = Feedback::ratings;
  std::size_t lines = 0;  // all of the file's, a header and empty ones too
  std::size_t ratings = 0;
  std::size_t users = 0;
  std::size_t items = 0;
  std::size_t dropped = 0;      // bad lines left out
  std::size_t duplicates = 0;   // lines that a later one for the same user and item replaced
  std::vector<Error> problems;  // the first kMaxProblems of the dropped lines
  // Of the values kept. `step`: the distance that all values are multiples of apart, 0 if there is none or there are
  // more than kMaxLevels different ones.
  float minimum = 0;
  float maximum = 0;
  float step = 0;

  static constexpr std::size_t kMaxProblems = 5;
  static constexpr std::size_t kMaxLevels = 512;
};

struct DataSet {
  RatingTable ratings;
  std::vector<CatalogueItem> descriptions;  // of these items and others, in the file's order
  ReadReport report;
  std::optional<double> scale_minimum;  // as asked for, or the format's
  std::optional<double> scale_maximum;

  // The table's items with their descriptions.
  [[nodiscard]] Result<Catalogue> catalogue() const { return make_catalogue(*ratings.items, descriptions); }
  // What the data keeps to: its scale, else the values that occur.
  [[nodiscard]] DataContract contract() const;
};

// `path` is a ratings file, or a folder with one ("u.data", "ratings.dat", "ratings.csv", "ratings.tsv" or
// "user_artists.dat"). Deterministic; reads a million ratings in a few tenths of a second.
// Errors: as LineReader ("file:line" in where()); malformed (a bad line, a value off the scale, no rating at all);
// non_finite; not_found (a folder without ratings); invalid_argument (the options).
[[nodiscard]] Result<DataSet> read_ratings(const std::filesystem::path& path, const ReadOptions& options = {});

// The raw rows of a ratings file in its order, duplicates too, one call each. Errors: as read_ratings.
[[nodiscard]] Status for_each_rating(const std::filesystem::path& file, const ReadOptions& options,
                                     const std::function<void(const Rating&)>& take);

}  // namespace chorus::dataset
