#include "common/metrics/ranking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace chorus::metrics {
namespace {

using Ranks = std::vector<std::size_t>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(RankingTest, RanksCountThoseThatScoreAtLeastAsMuch) {
  const std::vector<float> scores{0.1F, 0.9F, 0.5F, 0.7F};
  EXPECT_EQ(ranks_of(scores, std::vector<std::uint32_t>{1, 2, 0}).value(), (Ranks{1, 3, 4}));
}

TEST(RankingTest, KnownItemsDoNotStandInTheWay) {
  const std::vector<float> scores{0.1F, 0.9F, 0.5F, 0.7F};
  const std::vector<std::uint32_t> known{1, 0};
  EXPECT_EQ(ranks_of(scores, std::vector<std::uint32_t>{2}, known).value(), (Ranks{2}));
  EXPECT_EQ(ranks_of(scores, std::vector<std::uint32_t>{3}, known).value(), (Ranks{1}));
}

TEST(RankingTest, TiesCountAgainstTheModel) {
  const std::vector<float> constant(100, 0.5F);
  EXPECT_EQ(ranks_of(constant, std::vector<std::uint32_t>{0}).value(), (Ranks{100}));
  EXPECT_EQ(rank_among(0.5F, std::span(constant).first(99)).value(), 100U);
  EXPECT_EQ(auc(constant, constant).value(), 0);
}

TEST(RankingTest, TheBestOfAllHasRankOne) {
  EXPECT_EQ(rank_among(2, std::vector<float>{1, 1.5F, -kInfinity}).value(), 1U);
  EXPECT_EQ(rank_among(2, {}).value(), 1U);
}

TEST(RankingTest, ExcludedByMinusInfinityRanksBehindEverything) {
  const std::vector<float> scores{-kInfinity, 1, -kInfinity};
  EXPECT_EQ(ranks_of(scores, std::vector<std::uint32_t>{1, 0}).value(), (Ranks{1, 3}));
}

TEST(RankingTest, NanIsRefusedWhereverItStands) {
  EXPECT_EQ(ranks_of(std::vector<float>{1, kNan}, std::vector<std::uint32_t>{0}).error().code(), ErrorCode::non_finite);
  EXPECT_EQ(rank_among(kNan, std::vector<float>{1}).error().code(), ErrorCode::non_finite);
  EXPECT_EQ(rank_among(1, std::vector<float>{kNan}).error().code(), ErrorCode::non_finite);
  EXPECT_EQ(auc(std::vector<float>{kNan}, std::vector<float>{1}).error().code(), ErrorCode::non_finite);
  EXPECT_EQ(auc(std::vector<float>{1}, std::vector<float>{kNan}).error().code(), ErrorCode::non_finite);
}

// All orders of five scores, every item as the positive, against the definition.
TEST(RankingTest, EveryOrderOfFiveItemsGivesTheRankOfItsDefinition) {
  std::vector<float> scores{1, 2, 3, 4, 5};
  do {
    std::vector<float> sorted = scores;
    std::sort(sorted.rbegin(), sorted.rend());
    for (std::uint32_t item = 0; item < scores.size(); ++item) {
      const auto expected =
          static_cast<std::size_t>(std::find(sorted.begin(), sorted.end(), scores[item]) - sorted.begin()) + 1;
      ASSERT_EQ(ranks_of(scores, std::span(&item, 1)).value(), (Ranks{expected}));
    }
  } while (std::next_permutation(scores.begin(), scores.end()));
}

TEST(RankingTest, HitAndRecallCountTheFirstK) {
  const Ranks ranks{3, 11, 7};
  EXPECT_EQ(hit_at(ranks, 2), 0);
  EXPECT_EQ(hit_at(ranks, 3), 1);
  EXPECT_EQ(recall_at(ranks, 2), 0);
  EXPECT_DOUBLE_EQ(recall_at(ranks, 3), 1.0 / 3);
  EXPECT_DOUBLE_EQ(recall_at(ranks, 10), 2.0 / 3);
  EXPECT_EQ(recall_at(ranks, 11), 1);
}

TEST(RankingTest, GainFallsWithTheLogarithmOfTheRank) {
  EXPECT_EQ(ndcg_at(Ranks{1}, 10), 1);
  EXPECT_DOUBLE_EQ(ndcg_at(Ranks{3}, 10), 0.5);
  EXPECT_DOUBLE_EQ(ndcg_at(Ranks{7}, 10), 1.0 / 3);
  EXPECT_EQ(ndcg_at(Ranks{11}, 10), 0);
}

TEST(RankingTest, GainOfSeveralTestItemsIsRelativeToTheBestPossible) {
  EXPECT_DOUBLE_EQ(ndcg_at(Ranks{2, 1}, 10), 1);
  EXPECT_DOUBLE_EQ(ndcg_at(Ranks{3, 1}, 10), 1.5 / (1 + 1 / std::log2(3.0)));
  // With more test items than places, the places alone can be filled.
  EXPECT_DOUBLE_EQ(ndcg_at(Ranks{1, 5, 9}, 1), 1);
}

TEST(RankingTest, AucIsTheShareOfPairsWon) {
  const std::vector<float> positives{3, 1};
  const std::vector<float> negatives{2, 0, 1};
  // 3 beats 2, 0, 1; 1 beats 0 and loses to 2 and to the tie.
  EXPECT_DOUBLE_EQ(auc(positives, negatives).value(), 4.0 / 6);
  EXPECT_EQ(auc(std::vector<float>{5}, negatives).value(), 1);
  EXPECT_EQ(auc(std::vector<float>{-5}, negatives).value(), 0);
  EXPECT_EQ(auc({}, negatives).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(auc(positives, {}).error().code(), ErrorCode::invalid_argument);
}

// All assignments of the scores 0, 1, 2 to two positives and two negatives, against counting pairs.
TEST(RankingTest, AucOfEverySmallCaseAgreesWithCountingPairs) {
  for (int code = 0; code < 81; ++code) {
    const auto digit = [code](int place) {
      int rest = code;
      for (int i = 0; i < place; ++i) rest /= 3;
      return static_cast<float>(rest % 3);
    };
    const std::vector<float> positives{digit(0), digit(1)};
    const std::vector<float> negatives{digit(2), digit(3)};
    int won = 0;
    for (const float p : positives) {
      for (const float n : negatives) won += p > n ? 1 : 0;
    }
    ASSERT_DOUBLE_EQ(auc(positives, negatives).value(), won / 4.0) << code;
  }
}

}  // namespace
}  // namespace chorus::metrics
