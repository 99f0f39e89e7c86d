#include "common/dataset/candidates.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "common/dataset/number.hpp"
#include "common/dataset/seeded_generator.hpp"
#include "common/dataset/text.hpp"
#include "common/dataset/text_file.hpp"

namespace chorus::dataset {

namespace {

constexpr std::uint32_t kNoItem = std::numeric_limits<std::uint32_t>::max();

// The streams of a seed that belong to users; those of the splits are small numbers.
constexpr std::uint64_t kUserStreams = std::uint64_t{1} << 32;

// number -> the table's item index, kNoItem where the map says nothing.
Result<std::vector<std::uint32_t>> read_item_map(const std::filesystem::path& path, const IdMap& items) {
  CHORUS_TRY(auto lines, LineReader::open(path));
  FieldSplitter splitter("\t", false);
  std::vector<std::uint32_t> target;
  while (true) {
    CHORUS_TRY(const bool more, lines.next());
    if (!more) return target;
    if (trimmed(lines.line()).empty()) continue;
    CHORUS_TRY(const auto fields, splitter.split(lines.line()));
    const auto number = parse_number<std::uint32_t>(fields[0]);
    if (!number && lines.number() == 1) continue;
    if (fields.size() != 2 || !number || *number >= kMaxItems) {
      return fail(ErrorCode::malformed,
                  fmt::format("expected an item's number and its id, found {}", shown(lines.line())), lines.where());
    }
    const auto item = items.find(trimmed(fields[1]));
    if (!item) {
      return fail(ErrorCode::not_found, fmt::format("no rating is about the item {}", shown(fields[1])), lines.where());
    }
    if (target.size() <= *number) target.resize(*number + 1, kNoItem);
    if (target[*number] != kNoItem) {
      return fail(ErrorCode::duplicate, fmt::format("the number {} is there twice", *number), lines.where());
    }
    target[*number] = *item;
  }
}

std::vector<std::uint32_t> own_numbers(std::size_t items) {
  std::vector<std::uint32_t> target(items);
  std::iota(target.begin(), target.end(), 0U);
  return target;
}

class NcfParser {
 public:
  NcfParser(std::size_t users, std::vector<std::uint32_t> items) : users_(users), items_(std::move(items)) {}

  [[nodiscard]] Result<Candidates> parse(std::span<const std::string_view> fields) const {
    Candidates candidates;
    const std::string_view pair = fields[0];
    const std::size_t comma = pair.find(',');
    if (!pair.starts_with('(') || !pair.ends_with(')') || comma == std::string_view::npos) {
      return fail(ErrorCode::malformed, fmt::format("expected '(user,item)', found {}", shown(pair)));
    }
    const std::string_view user_text = pair.substr(1, comma - 1);
    const auto user = parse_number<std::uint32_t>(user_text);
    if (!user) return fail(ErrorCode::malformed, fmt::format("expected a user's number, found {}", shown(user_text)));
    if (*user >= users_) {
      return fail(ErrorCode::not_found, fmt::format("user {} of {} (counted from 0)", *user, users_));
    }
    candidates.user = *user;
    CHORUS_TRY(candidates.positive, item(pair.substr(comma + 1, pair.size() - comma - 2)));
    for (const std::string_view field : fields.subspan(1)) {
      CHORUS_TRY(const std::uint32_t negative, item(field));
      if (negative != candidates.positive) candidates.negatives.push_back(negative);
    }
    std::sort(candidates.negatives.begin(), candidates.negatives.end());
    const auto repeated = std::unique(candidates.negatives.begin(), candidates.negatives.end());
    candidates.negatives.erase(repeated, candidates.negatives.end());
    if (candidates.negatives.empty()) return fail(ErrorCode::malformed, "expected negative items after the pair");
    return candidates;
  }

 private:
  [[nodiscard]] Result<std::uint32_t> item(std::string_view text) const {
    const auto number = parse_number<std::uint32_t>(trimmed(text));
    if (!number) return fail(ErrorCode::malformed, fmt::format("expected an item's number, found {}", shown(text)));
    if (*number >= items_.size() || items_[*number] == kNoItem) {
      return fail(ErrorCode::not_found, fmt::format("no item has the number {}", *number));
    }
    return items_[*number];
  }

  std::size_t users_;
  std::vector<std::uint32_t> items_;
};

std::uint64_t pair_key(std::uint32_t user, std::uint32_t item) noexcept {
  return (std::uint64_t{user} << 32) | item;
}

// Draws without replacement among the items that `taken` does not mark.
std::vector<std::uint32_t> draw_free(const std::vector<bool>& taken, std::size_t free_count, std::size_t count,
                                     SeededGenerator& generator) {
  const std::size_t items = taken.size();
  std::vector<std::uint32_t> drawn;
  // Where most draws hit a free item, trying costs little; otherwise list the free ones.
  if (2 * count <= free_count && 2 * free_count >= items) {
    std::vector<bool> used = taken;
    while (drawn.size() < count) {
      const auto item = static_cast<std::uint32_t>(generator.below(items));
      if (used[item]) continue;
      used[item] = true;
      drawn.push_back(item);
    }
    return drawn;
  }
  for (std::uint32_t item = 0; item < items; ++item) {
    if (!taken[item]) drawn.push_back(item);
  }
  shuffle(std::span(drawn), generator);
  drawn.resize(std::min(count, drawn.size()));
  return drawn;
}

}  // namespace

std::vector<Candidates> draw_candidates(const Split& split, std::size_t count, std::uint64_t seed) {
  const ByUser train(split.train);
  const ByUser test(split.test);
  std::vector<Candidates> all;
  all.reserve(split.test.size());
  std::unordered_map<std::uint32_t, SeededGenerator> of_user;
  for (const Entry& entry : split.test.entries) {
    std::vector<bool> taken(split.test.item_count(), false);
    std::size_t free_count = taken.size();
    for (const auto rated : {train[entry.user], test[entry.user]}) {
      for (const Entry& other : rated) {
        if (!taken[other.item]) --free_count;
        taken[other.item] = true;
      }
    }
    SeededGenerator& generator =
        of_user.try_emplace(entry.user, SeededGenerator(seed, kUserStreams + entry.user)).first->second;
    all.push_back({entry.user, entry.item, draw_free(taken, free_count, count, generator)});
  }
  return all;
}

Result<RankingTask> read_ncf_candidates(const RatingTable& ratings, const std::filesystem::path& negatives,
                                        const std::optional<std::filesystem::path>& item_map) {
  std::vector<std::uint32_t> numbers;
  if (item_map) {
    CHORUS_TRY(numbers, read_item_map(*item_map, *ratings.items));
  } else {
    numbers = own_numbers(ratings.item_count());
  }
  const NcfParser parser(ratings.user_count(), std::move(numbers));

  CHORUS_TRY(auto lines, LineReader::open(negatives));
  FieldSplitter splitter("\t", false);
  std::vector<std::pair<Candidates, std::string>> read;  // and where each was read
  std::unordered_map<std::uint64_t, std::size_t> place;  // of a pair in `read`
  while (true) {
    CHORUS_TRY(const bool more, lines.next());
    if (!more) break;
    if (trimmed(lines.line()).empty()) continue;
    CHORUS_TRY(const auto fields, splitter.split(lines.line()));
    auto parsed = parser.parse(fields);
    if (!parsed) return fail(parsed.error().at(lines.where()));
    if (!place.emplace(pair_key(parsed->user, parsed->positive), read.size()).second) {
      return fail(ErrorCode::duplicate, fmt::format("the pair {} is there twice", shown(fields[0])), lines.where());
    }
    read.emplace_back(std::move(*parsed), lines.where());
  }
  if (read.empty()) return fail(ErrorCode::malformed, "the file is empty", negatives.string());

  RankingTask task;
  task.split.train = {ratings.users, ratings.items, {}};
  task.split.test = {ratings.users, ratings.items, {}};
  for (const Entry& entry : ratings.entries) {
    const auto found = place.find(pair_key(entry.user, entry.item));
    if (found == place.end()) {
      task.split.train.entries.push_back(entry);
      continue;
    }
    task.split.test.entries.push_back(entry);
    task.candidates.push_back(std::move(read[found->second].first));
    place.erase(found);
  }
  if (!place.empty()) {
    const auto first = std::min_element(place.begin(), place.end(),
                                        [](const auto& left, const auto& right) { return left.second < right.second; });
    return fail(ErrorCode::not_found, "no rating is about this user and item", read[first->second].second);
  }
  if (task.split.train.size() == 0) return fail(ErrorCode::invalid_argument, "the pairs leave nothing to train on");
  return task;
}

}  // namespace chorus::dataset
