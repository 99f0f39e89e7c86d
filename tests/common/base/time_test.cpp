#include "common/base/time.hpp"

#include <gtest/gtest.h>

namespace chorus {
namespace {

template <typename Clock>
concept HasNow = requires { Clock::now(); };

TEST(MonotonicClock, CannotBeRead) {
  static_assert(!HasNow<MonotonicClock>);
}

TEST(Sooner, IsTheEarlierDeadlineOfThoseThatExist) {
  const Moment early{1s};
  const Moment late{2s};
  EXPECT_EQ(sooner(early, late), early);
  EXPECT_EQ(sooner(late, early), early);
  EXPECT_EQ(sooner(std::nullopt, late), late);
  EXPECT_EQ(sooner(early, std::nullopt), early);
  EXPECT_EQ(sooner(std::nullopt, std::nullopt), std::nullopt);
}

}  // namespace
}  // namespace chorus
