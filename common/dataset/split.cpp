#include "common/dataset/split.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/dataset/number.hpp"
#include "common/dataset/seeded_generator.hpp"
#include "common/dataset/text.hpp"

namespace chorus::dataset {

namespace {

// What the seed is used for, so that no two uses draw the same numbers.
enum Stream : std::uint64_t { kRatingOrder = 1, kItemOrder = 2, kHeldOut = 3 };

constexpr const char* kForms = "expected test:FILE, random:SHARE, kfold:COUNT, loo or cold-items:SHARE";

std::vector<std::uint32_t> drawn_order(std::size_t size, std::uint64_t seed, Stream stream) {
  std::vector<std::uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0U);
  SeededGenerator generator(seed, stream);
  shuffle(std::span(order), generator);
  return order;
}

// The ratings in their order, each in the half that its mark says.
Split parted(const RatingTable& ratings, const std::vector<bool>& is_test) {
  Split split;
  split.train = {ratings.users, ratings.items, {}};
  split.test = {ratings.users, ratings.items, {}};
  const auto tests = static_cast<std::size_t>(std::count(is_test.begin(), is_test.end(), true));
  split.test.entries.reserve(tests);
  split.train.entries.reserve(ratings.size() - tests);
  for (std::size_t i = 0; i < ratings.size(); ++i) {
    (is_test[i] ? split.test : split.train).entries.push_back(ratings.entries[i]);
  }
  return split;
}

std::vector<bool> random_marks(const RatingTable& ratings, double share, std::uint64_t seed) {
  const std::size_t size = ratings.size();
  const auto train = static_cast<std::size_t>(std::llround(share * static_cast<double>(size)));
  const auto order = drawn_order(size, seed, kRatingOrder);
  std::vector<bool> is_test(size, false);
  for (std::size_t i = train; i < size; ++i) is_test[order[i]] = true;
  return is_test;
}

std::vector<bool> fold_marks(const RatingTable& ratings, std::size_t folds, std::size_t fold, std::uint64_t seed) {
  const std::size_t size = ratings.size();
  const auto order = drawn_order(size, seed, kRatingOrder);
  std::vector<bool> is_test(size, false);
  for (std::size_t i = size * fold / folds; i < size * (fold + 1) / folds; ++i) is_test[order[i]] = true;
  return is_test;
}

std::vector<bool> latest_marks(const RatingTable& ratings) {
  constexpr std::size_t kNone = SIZE_MAX;
  std::vector<std::size_t> latest(ratings.user_count(), kNone);
  std::vector<std::size_t> counts(ratings.user_count(), 0);
  for (std::size_t i = 0; i < ratings.size(); ++i) {
    const Entry& entry = ratings.entries[i];
    std::size_t& best = latest[entry.user];
    if (best == kNone || entry.when >= ratings.entries[best].when) best = i;
    ++counts[entry.user];
  }
  std::vector<bool> is_test(ratings.size(), false);
  for (std::size_t user = 0; user < latest.size(); ++user) {
    if (counts[user] > 1) is_test[latest[user]] = true;
  }
  return is_test;
}

std::vector<bool> cold_item_marks(const RatingTable& ratings, double share, std::uint64_t seed) {
  std::vector<bool> rated(ratings.item_count(), false);
  for (const Entry& entry : ratings.entries) rated[entry.item] = true;
  auto order = drawn_order(ratings.item_count(), seed, kItemOrder);
  std::erase_if(order, [&](std::uint32_t item) { return !rated[item]; });
  const auto wanted = static_cast<std::size_t>(std::llround(share * static_cast<double>(order.size())));
  const std::size_t cold_count = std::min(std::max<std::size_t>(wanted, 1), order.size());

  std::vector<bool> cold(ratings.item_count(), false);
  for (std::size_t i = 0; i < cold_count; ++i) cold[order[i]] = true;
  std::vector<bool> is_test(ratings.size());
  for (std::size_t i = 0; i < ratings.size(); ++i) is_test[i] = cold[ratings.entries[i].item];
  return is_test;
}

std::uint64_t pair_key(const Entry& entry) noexcept {
  return (std::uint64_t{entry.user} << 32) | entry.item;
}

Result<Split> split_by_file(const RatingTable& ratings, const std::filesystem::path& file, ReadOptions options) {
  options.descriptions = false;
  CHORUS_TRY(auto other, read_ratings(file, options));
  const auto users = std::make_shared<const IdMap>(merged(*ratings.users, *other.ratings.users));
  const auto items = std::make_shared<const IdMap>(merged(*ratings.items, *other.ratings.items));
  Split split;
  split.train = reindexed(ratings, users, items);
  split.test = reindexed(other.ratings, users, items);
  split.test_report = std::move(other.report);

  std::vector<std::uint64_t> tested;
  tested.reserve(split.test.size());
  for (const Entry& entry : split.test.entries) tested.push_back(pair_key(entry));
  std::sort(tested.begin(), tested.end());
  split.overlap = std::erase_if(split.train.entries, [&](const Entry& entry) {
    return std::binary_search(tested.begin(), tested.end(), pair_key(entry));
  });
  return split;
}

}  // namespace

Result<SplitSpec> SplitSpec::parse(std::string_view text) {
  const auto wrong = [&](std::string_view detail) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}; {}", detail, kForms),
                fmt::format("split {}", shown(text)));
  };
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view name = text.substr(0, colon);
  const std::string_view argument = text.substr(std::min(colon + 1, text.size()));
  SplitSpec spec;
  if (name == "loo") {
    if (colon != text.size()) return wrong("'loo' takes nothing after it");
    spec.kind = Kind::leave_one_out;
    return spec;
  }
  if (name == "test") {
    if (argument.empty()) return wrong("a file is missing");
    spec.kind = Kind::test_file;
    spec.file = std::filesystem::path(argument);
    return spec;
  }
  if (name == "random" || name == "cold-items") {
    const auto share = parse_real(argument);
    if (!share || !(*share > 0 && *share < 1)) return wrong("a share lies between 0 and 1");
    spec.kind = name == "random" ? Kind::random : Kind::cold_items;
    spec.share = *share;
    return spec;
  }
  if (name == "kfold") {
    const auto folds = parse_number<std::uint32_t>(argument);
    if (!folds || *folds < 2 || *folds > kMaxFolds) return wrong(fmt::format("folds are 2 to {}", kMaxFolds));
    spec.kind = Kind::kfold;
    spec.folds = *folds;
    return spec;
  }
  return wrong("there is no such split");
}

Result<Split> make_split(const RatingTable& ratings, const SplitSpec& spec, std::uint64_t seed, std::uint32_t fold,
                         const ReadOptions& options) {
  CHORUS_ENSURE(fold < spec.folds, "a fold of the split");
  Split split;
  switch (spec.kind) {
    case SplitSpec::Kind::test_file: {
      CHORUS_TRY(split, split_by_file(ratings, spec.file, options));
      break;
    }
    case SplitSpec::Kind::random:
      split = parted(ratings, random_marks(ratings, spec.share, seed));
      break;
    case SplitSpec::Kind::kfold:
      split = parted(ratings, fold_marks(ratings, spec.folds, fold, seed));
      break;
    case SplitSpec::Kind::leave_one_out:
      split = parted(ratings, latest_marks(ratings));
      break;
    case SplitSpec::Kind::cold_items:
      split = parted(ratings, cold_item_marks(ratings, spec.share, seed));
      break;
  }
  if (split.train.size() == 0) return fail(ErrorCode::invalid_argument, "the split leaves nothing to train on");
  if (split.test.size() == 0) return fail(ErrorCode::invalid_argument, "the split leaves nothing to test on");
  return split;
}

Split hold_out(const RatingTable& ratings, double share, std::uint64_t seed) {
  CHORUS_ENSURE(share >= 0 && share < 1, "a share below the whole");
  std::vector<std::vector<std::uint32_t>> places(ratings.user_count());
  for (std::size_t i = 0; i < ratings.size(); ++i) {
    places[ratings.entries[i].user].push_back(static_cast<std::uint32_t>(i));
  }
  SeededGenerator generator(seed, kHeldOut);
  std::vector<bool> is_test(ratings.size(), false);
  for (std::vector<std::uint32_t>& mine : places) {
    if (mine.size() < 2) continue;
    const double wanted = share * static_cast<double>(mine.size()) + generator.unit();
    const std::size_t count = std::min(static_cast<std::size_t>(wanted), mine.size() - 1);
    for (std::size_t i = 0; i < count; ++i) {
      std::swap(mine[i], mine[i + generator.below(mine.size() - i)]);
      is_test[mine[i]] = true;
    }
  }
  return parted(ratings, is_test);
}

}  // namespace chorus::dataset
