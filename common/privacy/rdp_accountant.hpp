// Rényi differential privacy of the Poisson-subsampled Gaussian mechanism (Mironov, Talwar and Zhang 2019) and its
// conversion to (ε, δ) (Canonne, Kamath and Steinke 2020, proposition 12): ε = Tρ_α + ln(1 − 1/α) − ln(δα)/(α − 1),
// the least over a list of orders.
//
// Relative accuracy: 1e-12 of ρ. Uses libm: for reports and budgets, never for what is part of a model.
#pragma once

#include <span>
#include <vector>

#include "common/privacy/mechanism.hpp"

namespace chorus::privacy {

// 1.1, 1.2 … 10.9, 11, 12 … 63, 128, 256, 512, 1024.
[[nodiscard]] const std::vector<double>& rdp_orders();

// ρ_α of one round. Errors: invalid_argument (also: α not above 1, or not finite).
[[nodiscard]] Result<double> rdp_step(double sampling, double noise_multiplier, double order);

struct RdpEpsilon {
  double epsilon = 0;
  double order = 0;  // that gave it
};
// Errors: invalid_argument (also: no orders).
[[nodiscard]] Result<RdpEpsilon> rdp_epsilon(const Mechanism& mechanism, double delta,
                                             std::span<const double> orders = rdp_orders());
// How many rounds stay within the budget by this accountant; `mechanism.rounds` is ignored. Errors: invalid_argument.
[[nodiscard]] Result<std::uint64_t> rdp_rounds(Mechanism mechanism, const Budget& budget);

}  // namespace chorus::privacy
