// Ratings as values: a raw row as a file has it, and the compact table that everything else works on.
// Users and items get indices from 0 in the order of their ids, so the same ratings give the same indices
// whatever the order of the rows. Pure values; a table may be read from several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"

namespace chorus::dataset {

// One row of a ratings file. `value` is a rating, or how often or how long something was used (an event's
// weight). `when` only orders a user's rows: seconds since 1970, or a rank; 0 if the file does not say.
struct Rating {
  std::string user;
  std::string item;
  double value = 0;
  std::int64_t when = 0;

  friend bool operator==(const Rating&, const Rating&) = default;
};

// Longest id of a user or an item, in bytes of UTF-8. Ids are not empty and hold no control characters.
inline constexpr std::size_t kMaxIdBytes = 128;
inline constexpr std::size_t kMaxItems = 2'000'000;
inline constexpr std::size_t kMaxUsers = 100'000'000;
inline constexpr std::size_t kMaxRatings = 1'000'000'000;

// Errors: malformed (empty, not UTF-8, control characters), too_large (longer than kMaxIdBytes).
[[nodiscard]] Status check_id(std::string_view id);

// The distinct ids of one kind, in their order: by number if all are runs of digits (of any length; "7" comes before
// "07", which is another id), otherwise by bytes. An id's index is its position.
class IdMap {
 public:
  IdMap() = default;
  // `ids` in any order, with repetitions.
  [[nodiscard]] static IdMap of(std::vector<std::string> ids);

  [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }
  // REQUIRES: index < size().
  [[nodiscard]] const std::string& operator[](std::uint32_t index) const noexcept { return ids_[index]; }
  // O(log size).
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view id) const noexcept;
  [[nodiscard]] std::span<const std::string> ids() const noexcept { return ids_; }

  friend bool operator==(const IdMap&, const IdMap&) = default;

 private:
  std::vector<std::string> ids_;
  bool numeric_ = false;
};

// A rating by index.
struct Entry {
  std::uint32_t user = 0;  // index into RatingTable::users
  std::uint32_t item = 0;  // index into RatingTable::items
  float value = 0;
  std::int64_t when = 0;

  friend bool operator==(const Entry&, const Entry&) = default;
};

// Ratings over id maps that several tables may share (the training and the test half of a split do).
// At most one entry for each (user, item); entries keep the order of the file.
struct RatingTable {
  std::shared_ptr<const IdMap> users = std::make_shared<const IdMap>();
  std::shared_ptr<const IdMap> items = std::make_shared<const IdMap>();
  std::vector<Entry> entries;

  [[nodiscard]] std::size_t user_count() const noexcept { return users->size(); }
  [[nodiscard]] std::size_t item_count() const noexcept { return items->size(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries.size(); }
};

// A table's entries grouped by user, each user's in the order of the table.
class ByUser {
 public:
  explicit ByUser(const RatingTable& table);

  [[nodiscard]] std::size_t user_count() const noexcept { return starts_.size() - 1; }
  // REQUIRES: user < user_count().
  [[nodiscard]] std::span<const Entry> operator[](std::uint32_t user) const noexcept {
    return std::span(entries_).subspan(starts_[user], starts_[user + 1] - starts_[user]);
  }

 private:
  std::vector<std::size_t> starts_;  // [user_count + 1]
  std::vector<Entry> entries_;
};

// Collects rows into a table. A later row for the same user and item replaces the earlier one.
// Not thread-safe.
class RatingTableBuilder {
 public:
  RatingTableBuilder();
  ~RatingTableBuilder();
  RatingTableBuilder(RatingTableBuilder&&) noexcept;
  RatingTableBuilder& operator=(RatingTableBuilder&&) noexcept;

  // Errors: as check_id; non_finite; too_large (kMaxUsers, kMaxItems, kMaxRatings). A refused row leaves no trace.
  [[nodiscard]] Status add(std::string_view user, std::string_view item, double value, std::int64_t when);
  [[nodiscard]] std::size_t rows() const noexcept;

  struct Built {
    RatingTable table;
    std::size_t duplicates = 0;  // rows that a later one replaced
  };
  [[nodiscard]] Built build() &&;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Errors: as RatingTableBuilder::add, where() says which row ("row 17", from 1).
[[nodiscard]] Result<RatingTable> make_table(std::span<const Rating> rows);

// The same ratings over larger maps. REQUIRES: every id that an entry uses is in the new maps.
[[nodiscard]] RatingTable reindexed(const RatingTable& table, std::shared_ptr<const IdMap> users,
                                    std::shared_ptr<const IdMap> items);

// All ids of both.
[[nodiscard]] IdMap merged(const IdMap& left, const IdMap& right);

}  // namespace chorus::dataset
