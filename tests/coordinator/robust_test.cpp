// Rules over the sums of a round's cohorts: what they keep, and how far poisoned cohorts move them.
#include "coordinator/publish/robust.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/registry.hpp"

namespace chorus::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Combination kRules[] = {Combination::mean, Combination::trimmed_mean, Combination::median,
                                  Combination::norm_filtered};
constexpr int kScale = 8;
// Of rules whose order of numbers is looked at, and not what is too long.
constexpr double kAnyNorm = 1e9;

plan::UpdateLayout layout() {
  std::vector<plan::TensorLayout> tensors = {
      {.name = "g", .rows = 2, .columns = 1, .per_item = true, .scale_log2 = kScale, .clip = 8},
      {.name = "m", .rows = 1, .columns = 1, .limbs = 2, .scale_log2 = kScale, .clip = 8}};
  return plan::UpdateLayout::create(std::move(tensors), 24, 64).value();
}

Result<CombinedSum> combine(std::span<const ring::CohortSum> cohorts, const CombinationRule& rule) {
  return coordinator::combine(layout(), cohorts, rule);
}

// Of n contributors whose two rows and whose other number have these means: whole multiples of 2^-8.
ring::CohortSum cohort(std::uint32_t n, double first, double second, double other) {
  ring::CohortSum sum(layout());
  ring::EncodeCounts counts;
  for (std::uint32_t k = 0; k < n; ++k) {
    ring::Contribution one;
    one.reset(layout(), 2);
    one.items = {0, 1};
    one.rows = {first, second};
    one.dense = {other};
    EXPECT_TRUE(sum.add(ring::encode(layout(), one, counts).value()).has_value());
  }
  EXPECT_EQ(counts.clipped, 0U);
  return sum;
}

std::vector<ring::CohortSum> honest(std::size_t cohorts) {
  std::vector<ring::CohortSum> sums;
  for (std::size_t c = 0; c < cohorts; ++c) {
    const double little = (static_cast<double>(c % 5) - 2) / 64;
    sums.push_back(cohort(10, 1 + little, -2 - little, 0.5));
  }
  return sums;
}

TEST(Combination, OfEqualCohortsIsTheirSumByEveryRule) {
  const std::vector<ring::CohortSum> sums(7, cohort(10, 1, -2, 0.5));
  for (const Combination combination : kRules) {
    const CombinedSum found = combine(sums, {.combination = combination}).value();
    EXPECT_EQ(found.contributors, 70U);
    EXPECT_THAT(found.sums, ElementsAre(ElementsAre(70, -140), ElementsAre(35)));
    EXPECT_THAT(found.left_out, IsEmpty());
  }
}

TEST(Combination, OfCohortsThatSayNothingIsNothingAndLeavesNobodyOut) {
  const std::vector<ring::CohortSum> sums(3, cohort(2, 0, 0, 0));
  for (const Combination combination : kRules) {
    const CombinedSum found = combine(sums, {.combination = combination}).value();
    EXPECT_THAT(found.sums, ElementsAre(ElementsAre(0, 0), ElementsAre(0)));
    EXPECT_THAT(found.left_out, IsEmpty());
  }
}

TEST(Combination, ByTheMeanIsTheRoundsSumBitForBitForCohortsOfAnySize) {
  std::vector<ring::CohortSum> sums = {cohort(3, 1, 0.25, 3), cohort(7, -2, 0.5, 1), cohort(1, 0, 8, -8)};
  ring::RoundSum total(layout());
  CollectedSums collected(layout(), {});
  for (const ring::CohortSum& sum : sums) {
    total.add(sum);
    collected.add(sum);
  }
  const CombinedSum found = combine(sums, {}).value();
  EXPECT_EQ(found.sums[0], total.numbers(0));
  EXPECT_EQ(found.sums[1], total.numbers(1));
  EXPECT_EQ(found.contributors, total.contributors());
  EXPECT_EQ(collected.combine().value().sums, found.sums) << "added up as they come in";
}

TEST(Combination, KeepsTheMiddleOfEveryOrderOfFiveCohorts) {
  // Exhaustive: all orders of the means 0, 1, 2, 3, 4 of cohorts of one size.
  std::vector<int> order = {0, 1, 2, 3, 4};
  do {
    std::vector<ring::CohortSum> sums;
    for (const int mean : order) sums.push_back(cohort(2, mean, -mean, 0));
    EXPECT_THAT(combine(sums, {.combination = Combination::median, .most_norm = kAnyNorm}).value().sums[0],
                ElementsAre(20, -20));
    const CombinationRule trimmed{.combination = Combination::trimmed_mean, .trim = 0.4, .most_norm = kAnyNorm};
    EXPECT_THAT(combine(sums, trimmed).value().sums[0], ElementsAre(20, -20));
  } while (std::ranges::next_permutation(order).found);
}

TEST(Combination, ByTheMedianOfAnEvenNumberTakesTheMiddleTwo) {
  const std::vector<ring::CohortSum> sums = {cohort(1, 0, 0, 0), cohort(1, 1, 7, 0), cohort(1, 2, 8, 0),
                                             cohort(1, 8, -8, 0)};
  EXPECT_THAT(combine(sums, {.combination = Combination::median, .most_norm = kAnyNorm}).value().sums[0],
              ElementsAre(6, 14));
}

TEST(Combination, WeighsWhatItKeepsByContributors) {
  // The means 1 and 2 of three and one contributors are kept: 5/4 a contributor, of six.
  const std::vector<ring::CohortSum> sums = {cohort(1, -8, 0, 0), cohort(3, 1, 0, 0), cohort(1, 2, 0, 0),
                                             cohort(1, 8, 0, 0)};
  const CombinationRule trimmed{.combination = Combination::trimmed_mean, .trim = 0.25, .most_norm = kAnyNorm};
  EXPECT_DOUBLE_EQ(combine(sums, trimmed).value().sums[0][0], 7.5);
}

TEST(Combination, IsMovedByNoPatternOfFewerPoisonedCohortsThanItLeavesOut) {
  // Exhaustive: every choice of poisoned cohorts among nine, each with one of three poisons.
  constexpr std::size_t kCohorts = 9;
  const std::vector<ring::CohortSum> clean = honest(kCohorts);
  const ring::CohortSum poisons[] = {cohort(10, 8, 8, 8), cohort(10, -8, 8, -8), cohort(10, 8, -8, 0)};
  for (unsigned poisoned = 0; poisoned < 1U << kCohorts; ++poisoned) {
    const int many = std::popcount(poisoned);
    if (many > 4) continue;
    for (const ring::CohortSum& poison : poisons) {
      std::vector<ring::CohortSum> sums = clean;
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
      EXPECT_LE(off({.combination = Combination::median, .most_norm = kAnyNorm}), kHonest + 1e-12) << poisoned;
      EXPECT_LE(off({.combination = Combination::norm_filtered}), kHonest + 1e-12) << poisoned;
      if (many <= 2) {
        EXPECT_LE(off({.combination = Combination::trimmed_mean, .most_norm = kAnyNorm}), kHonest + 1e-12) << poisoned;
      }
      if (many > 0) {
        EXPECT_GT(off({.combination = Combination::mean}), 0.5) << "the control";
      }
    }
  }
}

TEST(Combination, NamesTheCohortsThatItLeavesOutForTheirLength) {
  std::vector<ring::CohortSum> sums = honest(9);
  sums[2] = cohort(10, 8, 8, 8);
  sums[7] = cohort(10, -8, 8, 8);
  for (const Combination combination : kRules) {
    const auto left_out = combine(sums, {.combination = combination}).value().left_out;
    if (combination == Combination::mean) {
      EXPECT_THAT(left_out, IsEmpty());
    } else {
      EXPECT_THAT(left_out, ElementsAre(2, 7)) << to_string(combination);
    }
  }
}

TEST(Combination, CountsCohortsWithoutContributorsForNothing) {
  std::vector<ring::CohortSum> sums(3, cohort(4, 1, -1, 0));
  sums.insert(sums.begin() + 1, ring::CohortSum(layout()));
  sums.push_back(ring::CohortSum(layout()));
  for (const Combination combination : kRules) {
    EXPECT_THAT(combine(sums, {.combination = combination}).value().sums[0], ElementsAre(12, -12));
  }
  EXPECT_EQ(combine(std::vector(3, ring::CohortSum(layout())), {}).error().code(), ErrorCode::invalid_argument);
  EXPECT_FALSE(combine({}, {}).has_value());
}

TEST(Combination, ByAnyRuleButTheMeanNeedsThreeCohorts) {
  std::vector<ring::CohortSum> sums(2, cohort(4, 1, -1, 0));
  sums.push_back(ring::CohortSum(layout()));  // whom nobody answered
  for (const Combination combination : kRules) {
    const auto found = combine(sums, {.combination = combination});
    if (combination == Combination::mean) {
      EXPECT_TRUE(found.has_value());
      continue;
    }
    ASSERT_FALSE(found.has_value()) << to_string(combination);
    EXPECT_EQ(found.error().code(), ErrorCode::below_threshold);
    EXPECT_NE(found.error().sentence().find("needs the sums of 3 cohorts; this round has 2"), std::string::npos);
  }
}

TEST(Combination, TrimsAtLeastOneCohortOfThree) {
  const std::vector<ring::CohortSum> sums = {cohort(2, 1, 0, 0), cohort(2, 2, 0, 0), cohort(2, 8, 0, 0)};
  const CombinationRule trimmed{.combination = Combination::trimmed_mean, .trim = 0.01, .most_norm = kAnyNorm};
  EXPECT_THAT(combine(sums, trimmed).value().sums[0], ElementsAre(12, 0));
}

// Two numbers said once, which are a·b of the same two numbers.
TEST(Combination, KeepsWhatADeviceSaysOnceTogether) {
  std::vector<plan::TensorLayout> tensors = {{.name = "squares", .rows = 1, .columns = 3, .scale_log2 = 4, .clip = 100},
                                             {.name = "weight", .rows = 1, .columns = 1, .scale_log2 = 4, .clip = 100}};
  const auto dense = plan::UpdateLayout::create(std::move(tensors), 24, 64).value();
  // Of cohort c the matrix of z = (1, z_c), so that each summed matrix is singular, and its weight. Number by number
  // the middle would be (1, 0, 4): of z = (1, 0) and of z² = 4, which no device said.
  const auto said = [&](double z, double weight) {
    const auto ring = [](double x) { return static_cast<std::uint32_t>(static_cast<std::int32_t>(x * 16)); };
    return ring::CohortSum::of(dense, {ring(1), ring(z), ring(z * z), ring(weight)}, 1);
  };
  const std::vector<ring::CohortSum> sums = {said(-2, 7), said(2, 7), said(0, 7), said(-2.25, 7), said(2.25, 7)};
  const CombinationRule median{.combination = Combination::median, .most_norm = kAnyNorm};
  const auto found = coordinator::combine(dense, sums, median).value();
  const std::vector<double>& squares = found.sums[0];
  EXPECT_EQ(squares[0], 5);
  EXPECT_GE(squares[0] * squares[2] - squares[1] * squares[1], 0) << "a sum of squares";
  EXPECT_EQ(found.sums[1][0], 35);
  // Two poisoned ones of five, each in one number only, are not among those kept.
  std::vector<ring::CohortSum> poisoned(5, said(1, 7));
  poisoned[1] = said(1, 90);
  poisoned[3] = said(90, 7);
  EXPECT_EQ(coordinator::combine(dense, poisoned, median).value().sums,
            (std::vector<std::vector<double>>{{5, 5, 5}, {35}}));
}

TEST(Combination, ByNormLooksAtEveryTensorByItself) {
  // The second tensor is a thousand times as long as the first: what is done to the first is seen all the same.
  const auto small = plan::UpdateLayout::create({{.name = "a", .rows = 1, .columns = 1, .scale_log2 = 4, .clip = 100},
                                                 {.name = "b", .rows = 1, .columns = 1, .scale_log2 = 0, .clip = 9000}},
                                                24, 64)
                         .value();
  std::vector<ring::CohortSum> sums(5, ring::CohortSum::of(small, {16, 9000}, 1));
  sums[2] = ring::CohortSum::of(small, {16 * 3, 9000}, 1);
  EXPECT_THAT(coordinator::combine(small, sums, {.combination = Combination::norm_filtered}).value().left_out,
              ElementsAre(2));
}

TEST(Combination, OfAModelIsRefusedWhereItCannotBeSound) {
  const auto check = [](const char* family, const model::Settings& settings, Combination combination) {
    const dataset::DataContract ratings{.minimum = 1, .maximum = 5, .step = 1, .max_items_per_user = 100};
    const dataset::DataContract events{
        .feedback = dataset::Feedback::events, .minimum = 0, .maximum = 1, .step = 0, .max_items_per_user = 100};
    const bool of_events = std::string_view(family) == "ease" || std::string_view(family) == "ials";
    const auto model = model::make_model(
        family, settings, {.items = 5, .contract = of_events ? events : ratings, .max_contributors = 100});
    return check_rule({.combination = combination}, *model.value());
  };
  for (const Combination combination : kRules) {
    for (const char* const family : {"mf", "nmf", "svd", "ials"}) {
      EXPECT_TRUE(check(family, {}, combination).has_value()) << family;
    }
    const bool apart = combination == Combination::trimmed_mean || combination == Combination::median;
    EXPECT_EQ(check("mf", {{"update", "als"}}, combination).has_value(), !apart);
    EXPECT_EQ(check("ease", {}, combination).has_value(), !apart);
    const auto noisy = check("mf", {{"update", "dp"}, {"mu", "1"}}, combination);
    EXPECT_EQ(noisy.has_value(), combination == Combination::mean);
    if (!noisy) {
      EXPECT_NE(noisy.error().sentence().find("noise"), std::string::npos);
    }
  }
}

TEST(Combination, RefusesSettingsThatKeepNoMiddle) {
  for (const double wrong : {0.0, -0.1, 0.5, 0.7}) EXPECT_FALSE(check_rule({.trim = wrong}).has_value()) << wrong;
  EXPECT_FALSE(check_rule({.most_norm = 0.9}).has_value());
  EXPECT_TRUE(check_rule({.trim = 0.49, .most_norm = 1}).has_value());
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
