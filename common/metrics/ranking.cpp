#include "common/metrics/ranking.hpp"

#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"

namespace chorus::metrics {

namespace {

Status refuse_nan(std::span<const float> scores) {
  if (std::any_of(scores.begin(), scores.end(), [](float score) { return std::isnan(score); })) {
    return fail(ErrorCode::non_finite, "a score is not a number");
  }
  return {};
}

double gain(std::size_t rank) {
  return 1 / std::log2(static_cast<double>(rank) + 1);
}

}  // namespace

Result<std::vector<std::size_t>> ranks_of(std::span<const float> scores, std::span<const std::uint32_t> positives,
                                          std::span<const std::uint32_t> excluded) {
  CHORUS_TRY_DO(refuse_nan(scores));
  std::vector<std::size_t> ranks;
  ranks.reserve(positives.size());
  for (const std::uint32_t positive : positives) {
    CHORUS_ENSURE(positive < scores.size(), "a test item has a score");
    const auto ahead = [own = scores[positive]](float score) { return score >= own; };
    // Counts the positive itself too, which is the "one and".
    auto rank = static_cast<std::size_t>(std::count_if(scores.begin(), scores.end(), ahead));
    for (const std::uint32_t item : excluded) {
      CHORUS_ENSURE(item < scores.size() && item != positive, "an excluded item has a score and is no test item");
      if (ahead(scores[item])) --rank;
    }
    ranks.push_back(rank);
  }
  return ranks;
}

Result<std::size_t> rank_among(float positive, std::span<const float> others) {
  CHORUS_TRY_DO(refuse_nan(others));
  CHORUS_TRY_DO(refuse_nan({&positive, 1}));
  const auto ahead = std::count_if(others.begin(), others.end(), [&](float score) { return score >= positive; });
  return static_cast<std::size_t>(ahead) + 1;
}

double hit_at(std::span<const std::size_t> ranks, std::size_t k) {
  return recall_at(ranks, k) > 0 ? 1 : 0;
}

double recall_at(std::span<const std::size_t> ranks, std::size_t k) {
  CHORUS_ENSURE(!ranks.empty() && k > 0, "test items and places to find them");
  const auto found = std::count_if(ranks.begin(), ranks.end(), [&](std::size_t rank) { return rank <= k; });
  return static_cast<double>(found) / static_cast<double>(ranks.size());
}

double ndcg_at(std::span<const std::size_t> ranks, std::size_t k) {
  CHORUS_ENSURE(!ranks.empty() && k > 0, "test items and places to find them");
  double gained = 0;
  for (const std::size_t rank : ranks) {
    if (rank <= k) gained += gain(rank);
  }
  double ideal = 0;
  for (std::size_t rank = 1; rank <= std::min(k, ranks.size()); ++rank) ideal += gain(rank);
  return gained / ideal;
}

Result<double> auc(std::span<const float> positives, std::span<const float> negatives) {
  if (positives.empty() || negatives.empty()) {
    return fail(ErrorCode::invalid_argument, "expected items that the user wants and others to compare them with");
  }
  CHORUS_TRY_DO(refuse_nan(positives));
  CHORUS_TRY_DO(refuse_nan(negatives));
  std::vector<float> sorted(negatives.begin(), negatives.end());
  std::sort(sorted.begin(), sorted.end());
  double won = 0;  // whole numbers below 2^53: exact
  for (const float positive : positives) {
    won += static_cast<double>(std::lower_bound(sorted.begin(), sorted.end(), positive) - sorted.begin());
  }
  return won / (static_cast<double>(positives.size()) * static_cast<double>(negatives.size()));
}

}  // namespace chorus::metrics
