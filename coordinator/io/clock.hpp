// Where the coordinator reads the time; everything below takes it as a parameter.
#pragma once

#include <chrono>

#include "common/base/time.hpp"

namespace chorus::coordinator {

[[nodiscard]] inline Moment monotonic_now() {
  return Moment(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}
[[nodiscard]] inline WallTime wall_now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace chorus::coordinator
