#include "common/privacy/sigma.hpp"

#include <fmt/format.h>

namespace chorus::privacy {

Status check_sigma(double sigma) {
  if (sigma >= kLeastSigma && sigma <= kMostSigma) return {};  // not of a NaN
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("the noise's standard deviation must lie in [{}, {}], not be {}", kLeastSigma, kMostSigma, sigma),
      "sigma");
}

}  // namespace chorus::privacy
