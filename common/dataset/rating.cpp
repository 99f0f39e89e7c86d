#include "common/dataset/rating.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/dataset/text.hpp"

namespace chorus::dataset {

namespace {

bool is_number(std::string_view id) noexcept {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Both are runs of digits. Without leading zeros the longer one is the larger number.
bool number_less(std::string_view left, std::string_view right) noexcept {
  const auto significant = [](std::string_view digits) {
    return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
  };
  const std::string_view a = significant(left);
  const std::string_view b = significant(right);
  if (a.size() != b.size()) return a.size() < b.size();
  if (a != b) return a < b;
  return left.size() < right.size();
}

bool id_less(std::string_view left, std::string_view right, bool numeric) noexcept {
  return numeric ? number_less(left, right) : left < right;
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

// Ids in the order in which they were first seen.
class Interner {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }
  // Files are often sorted by one of the ids, so the last one is remembered.
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view id) {
    if (last_ != nullptr && last_->first == id) return last_->second;
    const auto found = index_.find(id);
    if (found == index_.end()) return std::nullopt;
    last_ = &*found;
    return found->second;
  }
  std::uint32_t add(std::string_view id) {
    last_ = &*index_.emplace(std::string(id), static_cast<std::uint32_t>(index_.size())).first;
    return last_->second;
  }
  // The ids' map, and where each provisional index went.
  [[nodiscard]] std::pair<IdMap, std::vector<std::uint32_t>> sorted() const {
    std::vector<std::string> ids(index_.size());
    for (const auto& [id, index] : index_) ids[index] = id;
    IdMap map = IdMap::of(ids);
    std::vector<std::uint32_t> target(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) target[i] = map.find(ids[i]).value();
    return {std::move(map), std::move(target)};
  }

 private:
  using Index = std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>>;
  Index index_;
  const Index::value_type* last_ = nullptr;  // nodes of an unordered_map never move
};

// starts[u] .. starts[u + 1] are user u's places in an array grouped by user.
std::vector<std::size_t> group_starts(std::span<const Entry> entries, std::size_t user_count) {
  std::vector<std::size_t> starts(user_count + 1, 0);
  for (const Entry& entry : entries) ++starts[entry.user + 1];
  for (std::size_t u = 0; u < user_count; ++u) starts[u + 1] += starts[u];
  return starts;
}

// Keeps the last of the entries with the same user and item. Returns how many went.
std::size_t drop_replaced(std::vector<Entry>& entries, std::size_t user_count, std::size_t item_count) {
  CHORUS_ENSURE(entries.size() <= kMaxRatings, "positions fit 32 bits");
  std::vector<std::size_t> next = group_starts(entries, user_count);
  std::vector<std::uint32_t> grouped(entries.size());  // positions in `entries`, user by user
  for (std::size_t i = 0; i < entries.size(); ++i) grouped[next[entries[i].user]++] = static_cast<std::uint32_t>(i);

  // One mark an item, never cleared: it counts only while it carries the user at hand.
  struct Mark {
    std::uint32_t user = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t position = 0;
  };
  std::vector<Mark> marks(item_count);
  std::vector<bool> replaced(entries.size(), false);
  std::size_t count = 0;
  for (const std::uint32_t position : grouped) {
    Mark& mark = marks[entries[position].item];
    if (mark.user == entries[position].user) {
      replaced[mark.position] = true;
      ++count;
    }
    mark = {entries[position].user, position};
  }
  if (count == 0) return 0;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!replaced[i]) entries[kept++] = entries[i];
  }
  entries.resize(kept);
  return count;
}

}  // namespace

Status check_id(std::string_view id) {
  if (id.empty()) return fail(ErrorCode::malformed, "expected an id, found nothing");
  if (id.size() > kMaxIdBytes) {
    return fail(ErrorCode::too_large,
                fmt::format("an id of {} bytes, more than the {} allowed", id.size(), kMaxIdBytes));
  }
  if (!is_utf8(id)) return fail(ErrorCode::malformed, fmt::format("the id {} is not UTF-8", shown(id)));
  if (has_control(id)) {
    return fail(ErrorCode::malformed, fmt::format("the id {} contains a control character", shown(id)));
  }
  return {};
}

IdMap IdMap::of(std::vector<std::string> ids) {
  IdMap map;
  map.numeric_ = std::all_of(ids.begin(), ids.end(), [](const std::string& id) { return is_number(id); });
  std::sort(ids.begin(), ids.end(),
            [&](const std::string& left, const std::string& right) { return id_less(left, right, map.numeric_); });
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  ids.shrink_to_fit();
  map.ids_ = std::move(ids);
  return map;
}

std::optional<std::uint32_t> IdMap::find(std::string_view id) const noexcept {
  if (numeric_ && !is_number(id)) return std::nullopt;
  const auto place = std::lower_bound(
      ids_.begin(), ids_.end(), id,
      [&](const std::string& element, std::string_view wanted) { return id_less(element, wanted, numeric_); });
  if (place == ids_.end() || *place != id) return std::nullopt;
  return static_cast<std::uint32_t>(place - ids_.begin());
}

ByUser::ByUser(const RatingTable& table)
    : starts_(group_starts(table.entries, table.user_count())), entries_(table.entries.size()) {
  std::vector<std::size_t> next = starts_;
  for (const Entry& entry : table.entries) entries_[next[entry.user]++] = entry;
}

struct RatingTableBuilder::State {
  Interner users;
  Interner items;
  std::vector<Entry> entries;
};

RatingTableBuilder::RatingTableBuilder() : state_(std::make_unique<State>()) {}
RatingTableBuilder::~RatingTableBuilder() = default;
RatingTableBuilder::RatingTableBuilder(RatingTableBuilder&&) noexcept = default;
RatingTableBuilder& RatingTableBuilder::operator=(RatingTableBuilder&&) noexcept = default;

std::size_t RatingTableBuilder::rows() const noexcept {
  return state_->entries.size();
}

Status RatingTableBuilder::add(std::string_view user, std::string_view item, double value, std::int64_t when) {
  const auto stored = static_cast<float>(value);
  if (!std::isfinite(stored)) return fail(ErrorCode::non_finite, "expected a finite value");
  if (state_->entries.size() >= kMaxRatings) {
    return fail(ErrorCode::too_large, fmt::format("more than {} ratings", kMaxRatings));
  }
  std::optional<std::uint32_t> user_index = state_->users.find(user);
  std::optional<std::uint32_t> item_index = state_->items.find(item);
  if (!user_index) {
    CHORUS_TRY_DO(check_id(user));
    if (state_->users.size() >= kMaxUsers) {
      return fail(ErrorCode::too_large, fmt::format("more than {} users", kMaxUsers));
    }
  }
  if (!item_index) {
    CHORUS_TRY_DO(check_id(item));
    if (state_->items.size() >= kMaxItems) {
      return fail(ErrorCode::too_large, fmt::format("more than {} items", kMaxItems));
    }
  }
  if (!user_index) user_index = state_->users.add(user);
  if (!item_index) item_index = state_->items.add(item);
  state_->entries.push_back({*user_index, *item_index, stored, when});
  return {};
}

RatingTableBuilder::Built RatingTableBuilder::build() && {
  auto [users, user_target] = state_->users.sorted();
  auto [items, item_target] = state_->items.sorted();
  Built built;
  built.table.entries = std::move(state_->entries);
  for (Entry& entry : built.table.entries) {
    entry.user = user_target[entry.user];
    entry.item = item_target[entry.item];
  }
  built.duplicates = drop_replaced(built.table.entries, users.size(), items.size());
  built.table.users = std::make_shared<const IdMap>(std::move(users));
  built.table.items = std::make_shared<const IdMap>(std::move(items));
  state_ = std::make_unique<State>();
  return built;
}

Result<RatingTable> make_table(std::span<const Rating> rows) {
  RatingTableBuilder builder;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Rating& row = rows[i];
    if (auto added = builder.add(row.user, row.item, row.value, row.when); !added) {
      return fail(added.error().at(fmt::format("row {}", i + 1)));
    }
  }
  return std::move(builder).build().table;
}

RatingTable reindexed(const RatingTable& table, std::shared_ptr<const IdMap> users,
                      std::shared_ptr<const IdMap> items) {
  const auto targets = [](const IdMap& from, const IdMap& to) {
    std::vector<std::uint32_t> target(from.size(), std::numeric_limits<std::uint32_t>::max());
    for (std::uint32_t i = 0; i < from.size(); ++i) {
      if (const auto place = to.find(from[i])) target[i] = *place;
    }
    return target;
  };
  const std::vector<std::uint32_t> user_target = targets(*table.users, *users);
  const std::vector<std::uint32_t> item_target = targets(*table.items, *items);
  RatingTable result{std::move(users), std::move(items), table.entries};
  for (Entry& entry : result.entries) {
    entry.user = user_target[entry.user];
    entry.item = item_target[entry.item];
    CHORUS_ENSURE(entry.user < result.user_count() && entry.item < result.item_count(), "the new maps hold every id");
  }
  return result;
}

IdMap merged(const IdMap& left, const IdMap& right) {
  std::vector<std::string> ids(left.ids().begin(), left.ids().end());
  ids.insert(ids.end(), right.ids().begin(), right.ids().end());
  return IdMap::of(std::move(ids));
}

}  // namespace chorus::dataset
