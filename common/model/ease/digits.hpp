// Metrics beside counts of 16 bits: a coordinate of such a ring holds little more than what one device adds in 5 bits,
// so that a metric travels as digits of base 32, each a number of its own. Sums of digits are digits of the sum.
// Stateless.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/model/event_sums.hpp"

namespace chorus::model::ease {

inline constexpr std::size_t kDigits = 4;     // of a metric
inline constexpr double kGreatestDigit = 32;  // a share of 1, exactly, has it in front
inline constexpr std::size_t kMetricNumbers = event_metric::kSize * kDigits;

// metrics: [event_metric::kSize] of one device, shares up to 1, counts up to 2^20; out: [kMetricNumbers], whole
// numbers.
void write_digits(std::span<const double> metrics, std::span<double> out) noexcept;
// The metrics that these sums of digits stand for.
[[nodiscard]] std::vector<double> read_digits(std::span<const double> sums);

}  // namespace chorus::model::ease
