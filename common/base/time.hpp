// Time as a parameter. Nothing here reads a clock: `io/` does, and passes what it read.
#pragma once

#include <chrono>
#include <optional>

namespace chorus {

using namespace std::chrono_literals;

// Calendar time, UTC: certificate validity, enrolment dates.
using WallTime = std::chrono::sys_seconds;

// Elapsed time since an arbitrary start, never going back: deadlines. Deliberately without now().
struct MonotonicClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using Moment = MonotonicClock::time_point;
using Duration = MonotonicClock::duration;

// The sooner of two deadlines, either of which may be absent.
[[nodiscard]] constexpr std::optional<Moment> sooner(std::optional<Moment> a, std::optional<Moment> b) {
  if (!a) return b;
  if (!b) return a;
  return *a < *b ? a : b;
}

}  // namespace chorus
