#include "common/model/elementary.hpp"

#include <cmath>
#include <limits>

namespace chorus::model {
namespace {

// ln 2 in two parts, the first with 21 zero bits at its end, so that k times it is exact.
constexpr double kLog2High = 0x1.62e42feep-1;
constexpr double kLog2Low = 0x1.a39ef35793c76p-33;
constexpr double kLog2Inverse = 0x1.71547652b82fep+0;
constexpr double kHalfRoot = 0x1.6a09e667f3bcdp-1;  // √½

}  // namespace

double natural_logarithm(double x) noexcept {
  // x = m 2^e with m within [√½, √2); ln m = 2 artanh(t), t = (m − 1)/(m + 1), |t| < 0.172: t^26 is below 1e-19.
  int e = 0;
  double m = std::frexp(x, &e);
  if (m < kHalfRoot) {
    m *= 2;
    --e;
  }
  const double t = (m - 1) / (m + 1);
  double sum = 0;
  for (int n = 25; n > 0; n -= 2) sum = sum * (t * t) + 1.0 / n;
  return e * kLog2High + (2 * t * sum + e * kLog2Low);
}

double exponential(double x) noexcept {
  if (x > 710) return std::numeric_limits<double>::infinity();
  if (x < -745) return 0;
  // x = k ln 2 + r, |r| <= ln 2 / 2: Taylor's sum to the 14th power leaves 1e-18.
  const double k = std::floor(x * kLog2Inverse + 0.5);
  const double r = (x - k * kLog2High) - k * kLog2Low;
  double sum = 1;
  for (int n = 14; n > 0; --n) sum = 1 + sum * r / n;
  return std::ldexp(sum, static_cast<int>(k));
}

}  // namespace chorus::model
