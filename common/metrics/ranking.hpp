// How well scores rank what a user turned out to want. Ties count against the model: an item stands behind every other
// with the same score, so that a constant score is worth nothing. NaN is refused, for it compares with nothing.
// Stateless functions; a user's numbers are averaged over users by the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.hpp"

namespace chorus::metrics {

// The ranks from 1 of `positives` among `scores` without the items in `excluded` (those that the user already knows):
// one and how many others score at least as much. Linear in scores.size() for each positive.
// REQUIRES: `positives` and `excluded` are distinct positions in `scores`, none of them in both.
// Errors: non_finite (a NaN; infinite scores are allowed, -inf is the usual mark of what must not be recommended).
[[nodiscard]] Result<std::vector<std::size_t>> ranks_of(std::span<const float> scores,
                                                        std::span<const std::uint32_t> positives,
                                                        std::span<const std::uint32_t> excluded = {});

// The rank from 1 of one positive among candidates. Errors: non_finite.
[[nodiscard]] Result<std::size_t> rank_among(float positive, std::span<const float> others);

// The numbers of one user, from the ranks of all of the user's test items. REQUIRES: !ranks.empty(), k > 0.
// hit: 1 if one of the first k is a test item. recall: the share of the test items among the first k.
// ndcg: Σ 1 / log2(1 + rank) over the ranks up to k, divided by its largest possible value (Järvelin and Kekäläinen
// 2002, binary relevance); with one test item, 1 / log2(1 + rank).
[[nodiscard]] double hit_at(std::span<const std::size_t> ranks, std::size_t k);
[[nodiscard]] double recall_at(std::span<const std::size_t> ranks, std::size_t k);
[[nodiscard]] double ndcg_at(std::span<const std::size_t> ranks, std::size_t k);

// The share of (positive, negative) pairs in which the positive scores more; a tie counts as lost.
// O((p + n) log(p + n)). Errors: invalid_argument (either is empty), non_finite.
[[nodiscard]] Result<double> auc(std::span<const float> positives, std::span<const float> negatives);

}  // namespace chorus::metrics
