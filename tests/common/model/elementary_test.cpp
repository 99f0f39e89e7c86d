// The elementary functions against the C library's, and where a double ends.
#include "common/model/elementary.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace chorus::model {
namespace {

TEST(Elementary, LogarithmsAreRightFromTheLeastToTheLargestNumber) {
  for (double x = 1e-300; x < 1e300; x *= 1.37) {
    EXPECT_NEAR(natural_logarithm(x), std::log(x), 1e-14 * std::max(1.0, std::abs(std::log(x)))) << x;
  }
  for (double x = 0.5; x < 2; x += 0.001) EXPECT_NEAR(natural_logarithm(x), std::log(x), 1e-15) << x;
  EXPECT_EQ(natural_logarithm(1), 0);
}

TEST(Elementary, ExponentialsAreRightAndEndWhereADoubleEnds) {
  for (double x = -700; x < 700; x += 0.73) EXPECT_NEAR(exponential(x) / std::exp(x), 1, 1e-14) << x;
  EXPECT_EQ(exponential(0), 1);
  EXPECT_EQ(exponential(-1e9), 0);
  EXPECT_EQ(exponential(1e9), std::numeric_limits<double>::infinity());
}

TEST(Elementary, PowersAreRight) {
  for (const double a : {-2.5, -0.25, 0.0, 0.15, 1.0, 3.0}) {
    for (double x = 1e-6; x < 1e6; x *= 3.1) EXPECT_NEAR(power(x, a) / std::pow(x, a), 1, 1e-13) << x << "^" << a;
  }
}

}  // namespace
}  // namespace chorus::model
