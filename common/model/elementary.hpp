// Exponential, logarithm and power with the same bytes on every machine: a C library's last bit differs between
// versions. Sums, products, quotients and exact scaling in a fixed order; relative error below 1e-14. Pure.
#pragma once

namespace chorus::model {

// ln x. REQUIRES: x > 0 and finite.
[[nodiscard]] double natural_logarithm(double x) noexcept;
// e^x; 0 and infinity where a double has no room.
[[nodiscard]] double exponential(double x) noexcept;
// x^a. REQUIRES: x > 0 and finite.
[[nodiscard]] inline double power(double x, double a) noexcept {
  return exponential(a * natural_logarithm(x));
}

}  // namespace chorus::model
