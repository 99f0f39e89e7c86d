// Rules over the sums of a round's cohorts: what they keep, and how far poisoned cohorts move them.
#include "coordinator/publish/robust.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Combination kRules[] = {Combination::mean, Combination::trimmed_mean, Combination::median,
                                  Combination::norm_filtered};
constexpr int kScale = 8;

plan::UpdateLayout layout() {
  std::vector<plan::TensorLayout> tensors = {
      {.name = "g", .rows = 2, .columns = 1, .per_item = true, .scale_log2 = kScale, .clip = 8},
      {.name = "m", .rows = 1, .columns = 1, .limbs = 2, .scale_log2 = kScale, .clip = 8}};
  return plan::UpdateLayout::create(std::move(tensors), 24, 64).value();
}

// Of n contributors whose two rows and whose other number have these means: whole multiples of 2^-8.
ring::RoundSum cohort(std::uint64_t n, double first, double second, double other) {
  ring::RoundSum sum(layout());
  ring::EncodeCounts counts;
  for (std::uint64_t k = 0; k < n; ++k) {
    ring::Contribution one;
    one.reset(layout(), 2);
    one.items = {0, 1};
    one.rows = {first, second};
    one.dense = {other};
    EXPECT_TRUE(sum.add(one, counts).has_value());
  }
  EXPECT_EQ(counts.clipped, 0U);
  return sum;
}

std::vector<ring::RoundSum> honest(std::size_t cohorts) {
  std::vector<ring::RoundSum> sums;
  for (std::size_t c = 0; c < cohorts; ++c) {
    const double little = (static_cast<double>(c % 5) - 2) / 64;
    sums.push_back(cohort(10, 1 + little, -2 - little, 0.5));
  }
  return sums;
}

TEST(Combination, OfEqualCohortsIsTheirSumByEveryRule) {
  const std::vector<ring::RoundSum> sums(7, cohort(10, 1, -2, 0.5));
  for (const Combination combination : kRules) {
    const CombinedSum found = combine(sums, {.combination = combination}).value();
    EXPECT_EQ(found.contributors, 70U);
    EXPECT_THAT(found.sums, ElementsAre(ElementsAre(70, -140), ElementsAre(35)));
    EXPECT_THAT(found.left_out, IsEmpty());
  }
}

TEST(Combination, OfCohortsThatSayNothingIsNothingAndLeavesNobodyOut) {
  const std::vector<ring::RoundSum> sums(3, cohort(2, 0, 0, 0));
  for (const Combination combination : kRules) {
    const CombinedSum found = combine(sums, {.combination = combination}).value();
    EXPECT_THAT(found.sums, ElementsAre(ElementsAre(0, 0), ElementsAre(0)));
    EXPECT_THAT(found.left_out, IsEmpty());
  }
}

TEST(Combination, ByTheMeanIsTheRoundsSumBitForBitForCohortsOfAnySize) {
  std::vector<ring::RoundSum> sums = {cohort(3, 1, 0.25, 3), cohort(7, -2, 0.5, 1), cohort(1, 0, 8, -8)};
  ring::RoundSum total(layout());
  for (const ring::RoundSum& sum : sums) total.add(sum);
  const CombinedSum found = combine(sums, {}).value();
  EXPECT_EQ(found.sums[0], total.numbers(0));
  EXPECT_EQ(found.sums[1], total.numbers(1));
  EXPECT_EQ(found.contributors, total.contributors());
}

TEST(Combination, KeepsTheMiddleOfEveryOrderOfFiveCohorts) {
  // Exhaustive: all orders of the means 0, 1, 2, 3, 4 of cohorts of one size.
  std::vector<int> order = {0, 1, 2, 3, 4};
  do {
    std::vector<ring::RoundSum> sums;
    for (const int mean : order) sums.push_back(cohort(2, mean, -mean, 0));
    EXPECT_THAT(combine(sums, {.combination = Combination::median}).value().sums[0], ElementsAre(20, -20));
    EXPECT_THAT(combine(sums, {.combination = Combination::trimmed_mean, .trim = 0.2}).value().sums[0],
                ElementsAre(20, -20));
  } while (std::ranges::next_permutation(order).found);
}

TEST(Combination, ByTheMedianOfAnEvenNumberTakesTheMiddleTwo) {
  const std::vector<ring::RoundSum> sums = {cohort(1, 0, 0, 0), cohort(1, 1, 7, 0), cohort(1, 2, 8, 0),
                                            cohort(1, 8, -8, 0)};
  EXPECT_THAT(combine(sums, {.combination = Combination::median}).value().sums[0], ElementsAre(6, 14));
}

TEST(Combination, WeighsWhatItKeepsByContributors) {
  // The means 1 and 2 of three and one contributors are kept: 5/4 a contributor, of six.
  const std::vector<ring::RoundSum> sums = {cohort(1, -8, 0, 0), cohort(3, 1, 0, 0), cohort(1, 2, 0, 0),
                                            cohort(1, 8, 0, 0)};
  EXPECT_DOUBLE_EQ(combine(sums, {.combination = Combination::trimmed_mean, .trim = 0.25}).value().sums[0][0], 7.5);
}

TEST(Combination, IsMovedByNoPatternOfFewerPoisonedCohortsThanItLeavesOut) {
  // Exhaustive: every choice of poisoned cohorts among nine, each with one of three poisons.
  constexpr std::size_t kCohorts = 9;
  const std::vector<ring::RoundSum> clean = honest(kCohorts);
  const ring::RoundSum poisons[] = {cohort(10, 8, 8, 8), cohort(10, -8, 8, -8), cohort(10, 8, -8, 0)};
  for (unsigned poisoned = 0; poisoned < 1U << kCohorts; ++poisoned) {
    const int many = std::popcount(poisoned);
    if (many > 4) continue;
    for (const ring::RoundSum& poison : poisons) {
      std::vector<ring::RoundSum> sums = clean;
      for (std::size_t c = 0; c < kCohorts; ++c) {
        if ((poisoned >> c & 1U) != 0) sums[c] = poison;
      }
      const auto off = [&](const CombinationRule& rule) {
        const CombinedSum found = combine(sums, rule).value();
        return std::max({std::abs(found.sums[0][0] / 90 - 1), std::abs(found.sums[0][1] / 90 + 2),
                         std::abs(found.sums[1][0] / 90 - 0.5)});
      };
      constexpr double kHonest = 2.0 / 64;  // how far honest cohorts are from their middle
      EXPECT_LE(off({.combination = Combination::median}), kHonest + 1e-12) << poisoned;
      EXPECT_LE(off({.combination = Combination::norm_filtered}), kHonest + 1e-12) << poisoned;
      if (many <= 2) {
        EXPECT_LE(off({.combination = Combination::trimmed_mean}), kHonest + 1e-12) << poisoned;
      }
      if (many > 0) {
        EXPECT_GT(off({.combination = Combination::mean}), 0.5) << "the control";
      }
    }
  }
}

TEST(Combination, ByNormNamesTheCohortsThatItLeavesOut) {
  std::vector<ring::RoundSum> sums = honest(9);
  sums[2] = cohort(10, 8, 8, 8);
  sums[7] = cohort(10, -8, 8, 8);
  EXPECT_THAT(combine(sums, {.combination = Combination::norm_filtered}).value().left_out, ElementsAre(2, 7));
}

TEST(Combination, CountsCohortsWithoutContributorsForNothingAndNeedsOneWithSome) {
  std::vector<ring::RoundSum> sums = {ring::RoundSum(layout()), cohort(4, 1, -1, 0), ring::RoundSum(layout())};
  for (const Combination combination : kRules) {
    EXPECT_THAT(combine(sums, {.combination = combination}).value().sums[0], ElementsAre(4, -4));
  }
  sums[1] = ring::RoundSum(layout());
  EXPECT_EQ(combine(sums, {}).error().code(), ErrorCode::invalid_argument);
  EXPECT_FALSE(combine({}, {}).has_value());
}

TEST(Combination, HasANameForEveryRule) {
  EXPECT_EQ(combination_named("mean").value(), Combination::mean);
  EXPECT_EQ(combination_named("trimmed-mean").value(), Combination::trimmed_mean);
  EXPECT_EQ(combination_named("median").value(), Combination::median);
  EXPECT_EQ(combination_named("norm-filtered").value(), Combination::norm_filtered);
  EXPECT_FALSE(combination_named("Median").has_value());
}

}  // namespace
}  // namespace chorus::coordinator
