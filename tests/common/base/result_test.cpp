#include "common/base/result.hpp"

#include <gtest/gtest.h>

namespace chorus {
namespace {

Result<int> halve(int value) {
  if (value % 2 != 0) return fail(ErrorCode::invalid_argument, "odd", "value");
  return value / 2;
}

Result<int> quarter(int value) {
  CHORUS_TRY(const int half, halve(value));
  CHORUS_TRY(const int result, halve(half));
  return result;
}

TEST(Result, TryReturnsTheFirstErrorOrGoesOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  ASSERT_FALSE(quarter(6).has_value());
  EXPECT_EQ(quarter(6).error().code(), ErrorCode::invalid_argument);
}

TEST(Error, SaysWhereWhatAndWhich) {
  const Error error(ErrorCode::malformed, "expected a number", "line 3");
  EXPECT_EQ(error.at("ratings.csv").to_string(), "ratings.csv: line 3: expected a number (malformed)");
}

}  // namespace
}  // namespace chorus
