// The coordinator's wall clock jumps by a day, forth and back, while rounds run.
#include <cstdlib>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

constexpr std::int64_t kDay = 86'400;

// The clock of programs that are started while it lives.
class JumpingClock {
 public:
  explicit JumpingClock(const std::filesystem::path& file) {
    const int opened = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened < 0 || ::ftruncate(opened, sizeof(std::int64_t)) != 0) throw std::runtime_error("no clock file");
    shift_ = static_cast<std::int64_t*>(
        ::mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, opened, 0));
    ::close(opened);
    if (shift_ == MAP_FAILED) throw std::runtime_error("no clock file");
    ::setenv("CHORUS_CLOCK_SHIFT_FILE", file.c_str(), 1);
    ::setenv("LD_PRELOAD", CHORUS_SHIFTED_CLOCK, 1);
  }
  ~JumpingClock() {
    let_others_be();
    ::munmap(shift_, sizeof(std::int64_t));
  }
  // Programs that are started from now on have the machine's clock.
  static void let_others_be() {
    ::unsetenv("LD_PRELOAD");
    ::unsetenv("CHORUS_CLOCK_SHIFT_FILE");
  }
  void set(std::int64_t seconds) { __atomic_store_n(shift_, seconds, __ATOMIC_RELAXED); }

 private:
  std::int64_t* shift_ = nullptr;
};

TEST(ClockJump, ADayForthAndBackEndsNoProcessAndLosesNothingThatWasPublished) {
  Town town({.rounds = 4});
  JumpingClock clock(town.folder.path() / "clock");
  town.start_coordinator();
  JumpingClock::let_others_be();
  sim::Fleet& fleet = town.start_fleet();
  ASSERT_TRUE(town.until_logged("version published")) << town.log();
  // A day ahead nothing has expired: rounds go on.
  clock.set(kDay);
  const std::size_t before = town.logged("version published").size();
  ASSERT_TRUE(town.until_logged("version published", before + 1)) << town.log();
  // A day back every device's identity is of the future: rounds end, and the log says why.
  clock.set(-kDay);
  ASSERT_TRUE(town.until([&] { return town.log().find("not_yet_valid") != std::string::npos || fleet.ended(); }))
      << town.log();
  ASSERT_FALSE(fleet.ended()) << town.log();
  EXPECT_FALSE(town.coordinator_end) << town.log();
  // Set right again, the job comes to its end with the same devices.
  clock.set(0);
  ASSERT_TRUE(town.until([&] { return fleet.ended(); })) << town.log();
  EXPECT_EQ(fleet.finished(), town.options.devices) << fleet.report();
  EXPECT_EQ(town.stop_coordinator().status, 0);
  EXPECT_EQ(town.replay().status, 0);
}

}  // namespace
}  // namespace chorus::e2e
