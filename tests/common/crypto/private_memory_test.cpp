#include "common/crypto/private_memory.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace chorus::crypto {
namespace {

bool leaves_core_dumps() {
  rlimit limit{};
  return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || ::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0;
}

// In a process of its own: it lasts.
TEST(PrivateMemoryDeathTest, AProcessThatKeepsItsMemoryPrivateLeavesNoCoreDump) {
  EXPECT_EXIT(
      {
        const bool before = leaves_core_dumps();
        const bool kept = keep_memory_private().has_value();
        ::_exit(before && kept && !leaves_core_dumps() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace chorus::crypto
