// Interval arithmetic on numbers from 0 to 2^64 with 256 binary places: every result holds the exact value between its
// two ends. For tables whose errors are then known, not believed.
#pragma once

#include "common/privacy/wide_integer.hpp"

namespace chorus::privacy {

inline constexpr std::size_t kPlaces = 256;
// A number times 2^kPlaces, cut down.
using Fixed = WideInteger<5>;

struct Interval {
  Fixed low;
  Fixed high;  // low ≤ the exact value ≤ high

  [[nodiscard]] static Interval of(std::uint64_t whole);
  // The double itself, exactly. REQUIRES: finite, 0 ≤ x < 2^64, and a multiple of 2^-256.
  [[nodiscard]] static Interval of(double x);

  friend Interval operator+(const Interval& a, const Interval& b) { return {a.low + b.low, a.high + b.high}; }
  // REQUIRES: a.low ≥ b.high.
  friend Interval operator-(const Interval& a, const Interval& b) { return {a.low - b.high, a.high - b.low}; }
  friend Interval operator*(const Interval& a, const Interval& b);
  // REQUIRES: b.low > 0, and the quotient is below 2^64.
  friend Interval operator/(const Interval& a, const Interval& b);
};

// e^(−x). REQUIRES: x < 2^16.
[[nodiscard]] Interval exp_minus(const Interval& x);

// The nearest double or a neighbour of it.
[[nodiscard]] double to_double(const Fixed& x);

}  // namespace chorus::privacy
