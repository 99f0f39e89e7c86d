#include "common/metrics/rating_error.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace chorus::metrics {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(RatingErrorTest, HandComputedErrorsComeOut) {
  const std::vector<float> predicted{1, 2, 5};
  const std::vector<float> actual{2, 2, 3};
  EXPECT_DOUBLE_EQ(rmse(predicted, actual).value(), std::sqrt(5.0 / 3));
  EXPECT_DOUBLE_EQ(mae(predicted, actual).value(), 1.0);
}

TEST(RatingErrorTest, PerfectPredictionsHaveNoError) {
  const std::vector<float> ratings{0.5F, 4, 5};
  EXPECT_EQ(rmse(ratings, ratings).value(), 0);
  EXPECT_EQ(mae(ratings, ratings).value(), 0);
}

TEST(RatingErrorTest, PartsAddUpToTheWhole) {
  RatingError whole;
  RatingError first;
  RatingError second;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(whole.add(i, 3).has_value());
    ASSERT_TRUE((i < 4 ? first : second).add(i, 3).has_value());
  }
  first.add(second);
  EXPECT_EQ(first.count(), 10U);
  EXPECT_DOUBLE_EQ(first.rmse(), whole.rmse());
  EXPECT_DOUBLE_EQ(first.mae(), whole.mae());
}

TEST(RatingErrorTest, ValuesThatAreNotFiniteAreRefusedAndLeaveNoTrace) {
  RatingError error;
  ASSERT_TRUE(error.add(1, 2).has_value());
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    EXPECT_EQ(error.add(bad, 1).error().code(), ErrorCode::non_finite);
    EXPECT_EQ(error.add(1, bad).error().code(), ErrorCode::non_finite);
  }
  EXPECT_EQ(error.count(), 1U);
  EXPECT_EQ(error.rmse(), 1);

  const std::vector<float> predicted{1, kNan};
  const std::vector<float> actual{1, 2};
  const auto refused = rmse(predicted, actual);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().where(), "rating 1");
}

TEST(RatingErrorTest, DifferentLengthsAndNothingAreRefused) {
  const std::vector<float> one{1};
  const std::vector<float> two{1, 2};
  EXPECT_EQ(rmse(one, two).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(mae(two, one).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(rmse({}, {}).error().code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace chorus::metrics
