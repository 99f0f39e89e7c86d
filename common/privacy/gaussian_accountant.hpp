// The exact accountant of Gaussian noise under certain participation (Balle and Wang, ICML 2018; Dong, Roth and Su
// 2019): μ-Gaussian privacy is (ε, δ)-private exactly for δ ≥ Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ), and composition adds
// μ². A round with noise multiplier z costs μ² = 1/z².
//
// Relative accuracy: 1e-12 of δ, ε and μ over δ ≥ 1e-300. The functions use libm and may differ in the last bits
// between machines: what they return is reported and held against budgets, never part of a model.
#pragma once

#include <cstdint>

#include "common/privacy/mechanism.hpp"

namespace chorus::privacy {

// The smallest δ at which a μ-Gaussian mechanism is (ε, δ)-private. Errors: invalid_argument (μ not positive and
// finite, ε negative or not finite).
[[nodiscard]] Result<double> gaussian_delta(double mu, double epsilon);
// The smallest ε ≥ 0 at which it is (ε, δ)-private. Errors: invalid_argument.
[[nodiscard]] Result<double> gaussian_epsilon(double mu, double delta);
// The largest μ that is (ε, δ)-private. Errors: invalid_argument.
[[nodiscard]] Result<double> gaussian_mu(const Budget& budget);

// How many rounds with noise multiplier z stay within the budget: ⌊μ(ε, δ)² z²⌋, at most 2^53. Errors:
// invalid_argument.
[[nodiscard]] Result<std::uint64_t> gaussian_rounds(double noise_multiplier, const Budget& budget);
// ε of all rounds together, at sampling 1 whatever the mechanism says. Errors: invalid_argument.
[[nodiscard]] Result<double> exact_epsilon(const Mechanism& mechanism, double delta);

}  // namespace chorus::privacy
