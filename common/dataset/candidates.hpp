// Candidates of ranking by leave-one-out: the test item among items that the user has not rated (He et al. 2017,
// section 4.1). Stateless functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/rating.hpp"
#include "common/dataset/split.hpp"

namespace chorus::dataset {

struct Candidates {
  std::uint32_t user = 0;
  std::uint32_t positive = 0;            // the test item
  std::vector<std::uint32_t> negatives;  // distinct, without the positive
};

struct RankingTask {
  Split split;
  std::vector<Candidates> candidates;  // one for each test rating, in its order
};

// Draws `count` items for each test rating among those that its user rated in neither half; all of them, if there are
// no more. Deterministic in the seed, and a user's draw depends on that user's ratings alone.
[[nodiscard]] std::vector<Candidates> draw_candidates(const Split& split, std::size_t count, std::uint64_t seed);

// Reads the published candidates of NCF: lines "(user0,item0)", a tab, and the negatives' item numbers separated by
// tabs. user0 counts the table's users from 0; item numbers count its items from 0, or `item_map` (tab-separated number
// and item id, with or without a header) says what they mean. The pairs are the test half, all other ratings train.
// An item that is on its line twice, or is the test item itself, counts once.
// Errors: as LineReader; malformed; not_found (a number without a user or item, a pair that is not rated); duplicate.
[[nodiscard]] Result<RankingTask> read_ncf_candidates(
    const RatingTable& ratings, const std::filesystem::path& negatives,
    const std::optional<std::filesystem::path>& item_map = std::nullopt);

}  // namespace chorus::dataset
