#include "common/privacy/interval.hpp"

#include <cmath>

namespace chorus::privacy {
namespace {

const Fixed kUnit(1);  // 2^-256

Interval divided_by(const Interval& x, std::uint64_t whole) {
  return {quotient(x.low, WideInteger<2>(whole)), quotient(x.high, WideInteger<2>(whole)) + kUnit};
}

}  // namespace

Interval Interval::of(std::uint64_t whole) {
  const Fixed value = Fixed(whole) << kPlaces;
  return {value, value};
}

Interval Interval::of(double x) {
  CHORUS_ENSURE(std::isfinite(x) && x >= 0 && x < 0x1p64, "an interval begins in its range");
  int exponent = 0;
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(x, &exponent), 53));
  const int shift = static_cast<int>(kPlaces) + exponent - 53;
  Fixed value(mantissa);
  if (shift >= 0) {
    value <<= static_cast<std::size_t>(shift);
  } else {
    value >>= static_cast<std::size_t>(-shift);
    CHORUS_ENSURE(value << static_cast<std::size_t>(-shift) == Fixed(mantissa), "a double has 256 binary places");
  }
  return {value, value};
}

Interval operator*(const Interval& a, const Interval& b) {
  return {resized<5>(product(a.low, b.low) >> kPlaces), resized<5>(product(a.high, b.high) >> kPlaces) + kUnit};
}

Interval operator/(const Interval& a, const Interval& b) {
  return {resized<5>(quotient(resized<10>(a.low) << kPlaces, resized<6>(b.high))),
          resized<5>(quotient(resized<10>(a.high) << kPlaces, resized<6>(b.low))) + kUnit};
}

Interval exp_minus(const Interval& x) {
  // x = 2^halvings · y with y < 2^-8; e^y by its series, whose terms are all positive; then its reciprocal, squared.
  Interval y = x;
  int halvings = 0;
  for (; y.high.bit_length() + 8 > kPlaces; ++halvings) y = divided_by(y, 2);
  CHORUS_ENSURE(halvings <= 24, "an exponent is below 2^16");
  Interval sum = Interval::of(std::uint64_t{1});
  Interval term = sum;
  for (std::uint64_t n = 1; n < 32; ++n) {
    term = divided_by(term * y, n);
    sum = sum + term;
  }
  // What is left after term n is below term n · 2^-8 / (1 − 2^-8) < term n.
  sum.high += term.high;
  Interval result = Interval::of(std::uint64_t{1}) / sum;
  for (; halvings > 0; --halvings) result = result * result;
  return result;
}

double to_double(const Fixed& x) {
  double value = 0;
  for (std::size_t i = 0; i < x.words.size(); ++i) {
    value += std::ldexp(static_cast<double>(x.words[i]), static_cast<int>(64 * i) - static_cast<int>(kPlaces));
  }
  return value;
}

}  // namespace chorus::privacy
