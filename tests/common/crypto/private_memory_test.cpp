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

// Calls it with arguments that lead, where the process starts itself again, to the test below.
[[noreturn]] void keep_and_exit() {
  char name[] = "program";
  char filter[] = "--gtest_filter=PrivateMemoryProgram.*";
  char disabled[] = "--gtest_also_run_disabled_tests";
  char* argv[] = {name, filter, disabled, nullptr};
  const bool kept = keep_memory_private(argv).has_value();
  const char* const binds = std::getenv("LD_BIND_NOW");
  ::_exit(kept && !leaves_core_dumps() && binds != nullptr && std::string(binds) == "1" ? 7 : 1);
}

TEST(PrivateMemoryProgram, DISABLED_KeepsItsMemoryPrivate) {
  keep_and_exit();
}

// In a process of its own: it lasts.
TEST(PrivateMemoryDeathTest, AProcessThatKeepsItsMemoryPrivateLeavesNoCoreDumpAndBindsNoCallLazily) {
  EXPECT_EXIT(
      {
        ::unsetenv("LD_BIND_NOW");
        if (leaves_core_dumps()) keep_and_exit();
        ::_exit(1);
      },
      ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace chorus::crypto
