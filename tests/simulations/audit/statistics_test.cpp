// What attacks are judged by.
#include "simulations/audit/statistics.hpp"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::sim::audit {
namespace {

TEST(AttackAuc, IsTheShareOfPairsInTheRightOrderAndATieCountsHalf) {
  EXPECT_EQ(attack_auc(std::vector{2.0, 3.0}, std::vector{0.0, 1.0}), 1);
  EXPECT_EQ(attack_auc(std::vector{0.0}, std::vector{1.0, 2.0}), 0);
  EXPECT_EQ(attack_auc(std::vector{5.0, 5.0, 5.0}, std::vector{5.0, 5.0}), 0.5);
  // Of the six pairs three are right and one is a tie.
  EXPECT_DOUBLE_EQ(attack_auc(std::vector{1.0, 4.0}, std::vector{1.0, 3.0, 2.0}), 3.5 / 6);
}

TEST(AttackAuc, HasTheErrorOfHanleyAndMcNeil) {
  // Their table II: θ = .5 and n positives and negatives give √((2n + 1) / (12 n²)), as for Wilcoxon's statistic.
  EXPECT_NEAR(auc_error(0.5, 50, 50), std::sqrt(101.0 / (12.0 * 50 * 50)), 1e-12);
  EXPECT_LT(auc_error(0.9, 50, 50), auc_error(0.5, 50, 50));
}

TEST(RankCorrelation, SeesAnyMonotoneRelationAndNothingInAConstant) {
  const std::vector<double> a = {1, 2, 3, 4, 5};
  EXPECT_NEAR(rank_correlation(a, std::vector<double>{1, 8, 27, 64, 125}), 1, 1e-12);
  EXPECT_NEAR(rank_correlation(a, std::vector<double>{5, 4, 3, 2, 1}), -1, 1e-12);
  EXPECT_EQ(rank_correlation(a, std::vector<double>{7, 7, 7, 7, 7}), 0);
  // Ties share their middle rank: ranks 1.5, 1.5, 3 against 1, 2, 3.
  EXPECT_NEAR(rank_correlation(std::vector<double>{1, 1, 2}, std::vector<double>{1, 2, 3}), std::sqrt(0.75), 1e-12);
}

TEST(Permutation, HasEveryNumberOnceAndAnyFirst) {
  SeededRandom random(1);
  std::vector<int> first(5, 0);
  for (int draw = 0; draw < 500; ++draw) {
    const auto order = permutation(5, random);
    EXPECT_THAT(order, ::testing::UnorderedElementsAre(0, 1, 2, 3, 4));
    ++first[order.front()];
  }
  for (const int times : first) EXPECT_NEAR(times, 100, 45) << "five standard deviations";
}

TEST(Classifier, LearnsWhatTellsAndIgnoresWhatDoesNot) {
  SeededRandom random(2);
  const auto draw = [&random](int rows, double shift) {
    Examples examples(3);
    for (int r = 0; r < rows; ++r) {
      const bool label = r % 2 == 0;
      const auto noise = [&random] { return static_cast<double>(random.below(1000)) / 1000; };
      examples.add(std::vector{noise() + (label ? shift : 0), 7.0, noise()}, label);
    }
    return examples;
  };
  const Classifier classifier(draw(400, 0.5));
  // Uniform and uniform + s: 1 − (1 − s)² / 2.
  EXPECT_NEAR(classifier.auc(draw(2000, 0.5)), 0.875, 0.04);
  EXPECT_NEAR(classifier.auc(draw(2000, 0)), 0.5, 0.06);
  EXPECT_EQ(Classifier(draw(400, 2)).auc(draw(400, 2)), 1);
  EXPECT_EQ(Classifier(Examples(3)).auc(draw(10, 2)), 0.5) << "who learned nothing tells nothing";
}

TEST(NormalCdf, HasItsKnownValues) {
  EXPECT_DOUBLE_EQ(normal_cdf(0), 0.5);
  EXPECT_NEAR(normal_cdf(1.959963984540054), 0.975, 1e-12);
}

}  // namespace
}  // namespace chorus::sim::audit
