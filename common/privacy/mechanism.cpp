#include "common/privacy/mechanism.hpp"

#include <cmath>

#include <fmt/format.h>

namespace chorus::privacy {

Status check_delta(double delta) {
  if (delta > 0 && delta < 1) return {};  // not of a NaN
  return fail(ErrorCode::invalid_argument,
              fmt::format("delta must lie between 0 and 1, not be {}: no noise promises anything at delta 0, and "
                          "delta 1 promises nothing",
                          delta),
              "privacy.delta");
}

Status check(const Budget& budget) {
  CHORUS_TRY_DO(check_delta(budget.delta));
  if (std::isfinite(budget.epsilon) && budget.epsilon >= 0) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("epsilon must be a number from 0, not {}", budget.epsilon),
              "privacy.epsilon");
}

Status check(const Mechanism& mechanism) {
  if (!std::isfinite(mechanism.noise_multiplier) || mechanism.noise_multiplier <= 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the noise multiplier must be a number above 0, not {}: without noise epsilon is infinite",
                            mechanism.noise_multiplier),
                "noise_multiplier");
  }
  if (mechanism.rounds == 0) return fail(ErrorCode::invalid_argument, "no round, nothing to account for", "rounds");
  if (mechanism.sampling > 0 && mechanism.sampling <= 1) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("the sampling rate must lie above 0 and be at most 1, not {}", mechanism.sampling),
              "sampling");
}

}  // namespace chorus::privacy
