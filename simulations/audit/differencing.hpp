// A3: two cohorts that differ in one client.
//
// Without noise the difference of the two sums is the client's update (design: secure aggregation, section 1). With
// noise the strongest attacker knows the second sum without its noise, and the update x that it looks for: for each
// question of the private training it sees d = x + N(0, σ²) or N(0, σ²), and by Neyman and Pearson nothing beats the
// likelihood ratio Σ (⟨d, x⟩ − |x|²/2) / σ². Every update that left counts as released; together the questions are
// μ-Gaussian private, so TPR − FPR ≤ 2Φ(μ/2) − 1 (Dong, Roth and Su 2019, section 2.3). The members who may be lost or
// lie have taken their noise back: what is left is that of the honest whom it was sized for.
#pragma once

#include "simulations/audit/finding.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

struct Advantage {
  double value = 0;  // TPR − FPR
  double error = 0;  // its standard error
};

// The attack's advantage in `trials` games with clients of the cohort; noise is `noise` times what the model asks for.
[[nodiscard]] Result<Advantage> difference_private_cohorts(const Scene& scene, const model::Model& model,
                                                           std::uint32_t trials, double noise);

// The share of clients whose update is the difference of two sums without noise, coordinate by coordinate.
[[nodiscard]] Result<double> difference_plain_cohorts(const Scene& scene, const model::Model& model,
                                                      const Training& published);

// `plain` is the published model without noise.
[[nodiscard]] Result<Finding> attack_differences(const Scene& scene, const model::Model& plain,
                                                 const Training& published);

}  // namespace chorus::sim::audit
