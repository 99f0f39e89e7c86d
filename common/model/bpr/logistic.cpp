#include "common/model/bpr/logistic.hpp"

#include <cmath>

namespace chorus::model::bpr {
namespace {

// ln 2 in two parts, the first with 21 zero bits at its end, so that k times it is exact.
constexpr double kLog2High = 0x1.62e42feep-1;
constexpr double kLog2Low = 0x1.a39ef35793c76p-33;
constexpr double kLog2Inverse = 0x1.71547652b82fep+0;
// Beyond it e^−x is nothing beside 1.
constexpr double kFar = 708;

// e^−x for x within [0, kFar]: x = k ln 2 + r, |r| <= ln 2 / 2; Taylor's sum of e^−r to the 13th power leaves 5e-18.
double exponential_of_minus(double x) noexcept {
  const double k = std::floor(x * kLog2Inverse + 0.5);
  const double r = (x - k * kLog2High) - k * kLog2Low;
  double sum = 1;
  for (int n = 13; n > 0; --n) sum = 1 - sum * r / n;
  return std::ldexp(sum, -static_cast<int>(k));
}

}  // namespace

double logistic(double x) noexcept {
  if (std::isnan(x)) return x;
  const double away = std::fabs(x);
  const double e = away < kFar ? exponential_of_minus(away) : 0;
  return (x < 0 ? e : 1) / (1 + e);
}

double logistic_weight(double x) noexcept {
  // The quotient loses its digits near zero: there ¼ − x²/48, whose next term is x⁴/480.
  if (std::fabs(x) < 1e-3) return 0.25 - x * x / 48;
  return (logistic(x) - 0.5) / x;
}

}  // namespace chorus::model::bpr
