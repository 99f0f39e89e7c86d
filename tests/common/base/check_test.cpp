#include "common/base/check.hpp"

#include <gtest/gtest.h>

namespace {

TEST(CheckDeathTest, ABrokenPromiseEndsTheProcessAndNamesItself) {
  EXPECT_DEATH(CHORUS_ENSURE(1 + 1 == 3, "arithmetic holds"), "arithmetic holds");
}

}  // namespace
