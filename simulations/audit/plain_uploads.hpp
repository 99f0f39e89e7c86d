// A1, the positive control of the whole audit: uploads that nobody masked.
//
// An upload's rows are g_i = e_ui [1; p_u] (common/model/mf/mf.hpp). The rows that are not zero are the items that the
// person rated, and the rows give away the ratings: p_u = Σ e g / Σ e², and because x_u solves the ridge, its bias is
// b_u = Σ e / λ_b; then r_ui = mean + deviation (b_u + c_i + p_uᵀ q_i + e_ui). Chai, Wang, Chen and Yang (Secure
// federated matrix factorization, IEEE Intelligent Systems 2021, section 4) need two consecutive gradients for this;
// where the regulariser is public one is enough.
#pragma once

#include <functional>
#include <vector>

#include "simulations/audit/finding.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

// What an attacker makes of one upload of `mf`, update newton.
struct Recovered {
  std::vector<model::Observation> ratings;  // rounded to the contract's step
  std::vector<double> factor;               // x_u = [b_u; p_u]
};
// `sums`: the upload as numbers. REQUIRES: `shared` is of `model`.
[[nodiscard]] Recovered recover(const model::Model& model, const model::TensorSet& shared,
                                std::span<const std::vector<double>> sums);

// A device's upload as it leaves the device. Tests give masked ones, which must break the control.
using Upload = std::function<Result<crypto::ZeroizingBytes>(const plan::UpdateLayout&, const ring::Contribution&)>;
// Encoded and nothing else.
[[nodiscard]] Result<crypto::ZeroizingBytes> unmasked(const plan::UpdateLayout& layout,
                                                      const ring::Contribution& contribution);

// `published`: a model in training; the cohort's uploads of its next round are read.
// Errors: those of encoding.
[[nodiscard]] Result<Finding> attack_plain_uploads(const Scene& scene, const model::Model& model,
                                                   const Training& published, const Upload& upload = unmasked);

}  // namespace chorus::sim::audit
