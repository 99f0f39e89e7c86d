// The logistic function, the same bytes on every machine: an exponential's last bit depends on the C library. Pure.
#pragma once

namespace chorus::model::bpr {

// σ(x) = 1 / (1 + e^−x), to 1e-15; 0 and 1 far out. NaN gives NaN.
[[nodiscard]] double logistic(double x) noexcept;

// h(x) = (σ(x) − ½) / x, ¼ at zero: the weight of the parabola −x/2 + h(x₀) x²/2 + constant, which touches
// ln(1 + e^−x) at x₀ and lies above it everywhere else (Jaakkola and Jordan 2000). Within (0, ¼].
[[nodiscard]] double logistic_weight(double x) noexcept;

}  // namespace chorus::model::bpr
