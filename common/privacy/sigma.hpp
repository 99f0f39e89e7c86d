// Which standard deviations the samplers know.
#pragma once

#include "common/base/result.hpp"

namespace chorus::privacy {

inline constexpr double kLeastSigma = 0.125;
inline constexpr double kMostSigma = 0x1p20;  // 24-bit rings hold no more

// Errors: invalid_argument.
[[nodiscard]] Status check_sigma(double sigma);

}  // namespace chorus::privacy
