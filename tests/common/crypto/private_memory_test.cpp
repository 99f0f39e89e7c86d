#include "common/crypto/private_memory.hpp"

#include <cstdlib>
#include <string>

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

// Set in the process that is started again, so that it can tell.
constexpr const char* kStartedAgain = "CHORUS_TEST_STARTED_AGAIN";

bool binds_at_start() {
  const char* const set = std::getenv("LD_BIND_NOW");
  return set != nullptr && std::string(set) == "1";
}

// In processes of their own: it lasts.
TEST(PrivateMemoryDeathTest, AProcessWithEverySymbolBoundLeavesNoCoreDump) {
  EXPECT_EXIT(
      {
        if (std::getenv(kStartedAgain) == nullptr) ::setenv("LD_BIND_NOW", "1", 1);
        if (!binds_at_start()) ::_exit(2);
        const bool before = leaves_core_dumps();
        char* argv[] = {nullptr};
        const bool kept = keep_memory_private(argv).has_value();
        ::_exit(before && kept && !leaves_core_dumps() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

// It is started again as the test above alone, whose status is this process's.
TEST(PrivateMemoryDeathTest, AnyOtherProcessIsStartedAgainWithEverySymbolBound) {
  char name[] = "program";
  char filter[] = "--gtest_filter=PrivateMemoryDeathTest.AProcessWithEverySymbolBoundLeavesNoCoreDump";
  char* argv[] = {name, filter, nullptr};
  EXPECT_EXIT(
      {
        ::unsetenv("LD_BIND_NOW");
        ::setenv(kStartedAgain, "1", 1);
        static_cast<void>(keep_memory_private(argv));
        ::_exit(3);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace chorus::crypto
