#include "certs/io/clock.hpp"

namespace chorus::certs {

WallTime wall_clock() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace chorus::certs
