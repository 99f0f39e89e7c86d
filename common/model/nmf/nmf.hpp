// Non-negative matrix factorization under a secure sum (design: learning, section 2, "NMF"; Lee and Seung 1999 for the
// model, mean-field variational Bayes for the variances).
//
//   r̂_ui = p_uᵀ q_i, p_u ≥ 0, q_i ≥ 0, in scaled ratings (r − origin) / unit; no biases. The origin is 0, or the
//   scale's minimum where that is negative; the unit is the ratings' deviation, at least an eighth of their mean.
//
// Both sides shrink towards their mean factors p̄, q̄. A device solves, with v_j the variances of item j's factor,
//
//   M_u = Σ_j (q_j q_jᵀ + diag(v_j)) + λI,   p_u = argmin_{p ≥ 0} ½ pᵀ M_u p − (Σ_j r_uj q_j + λ p̄)ᵀ p,
//   s_u = σ² diag(M_u⁻¹)
//
// and uploads for each item it rated g_i = e_ui p_u − s_u∘q_i, h_i = p_u∘p_u + s_u and a one, and once
// n_u (p_u p_uᵀ + diag(s_u)), n_u and p_u. The coordinator, with their sums G_i, H_i, n_i and C:
//
//   C̃ = C scaled to a unit diagonal,   M_i = H_i^½ C̃ H_i^½ + λI,
//   w_i = argmin_{w ≥ 0} ½ (w − q_i)ᵀ M_i (w − q_i) − (G_i − λ (q_i − q̄))ᵀ (w − q_i),
//   q_i ← q_i + η (w_i − q_i),   v_i = σ² diag(M_i⁻¹),   p̄ = Σ p_u / devices,   q̄ = mean of q_i over items with ratings
//
// Shared tensors: item_factors [items × d]; item_variances [items × d]; means [2 × d] rows p̄, q̄; scale [1 × 3] mean and
// deviation of the ratings on the contract's scale, and the training rounds behind the model; popularity [items × 1]
// n_i of the last training round. Nothing is hidden.
#pragma once

#include <vector>

#include "common/model/layout_maker.hpp"
#include "common/model/model.hpp"
#include "common/model/rating_sums.hpp"
#include "common/model/registry.hpp"

namespace chorus::model::nmf {

[[nodiscard]] Family family();

struct Parameters {
  std::uint32_t rank = 0;     // d
  double lambda = 0;          // λ, in ratings
  double noise = 0;           // σ², of a scaled rating
  double rate = 0;            // η
  std::uint32_t rounds = 0;   // the preset's
  std::uint64_t seed = 0;     // of the initial factors
  double initial_spread = 0;  // their deviation, in units of their mean
  int bits = 0;               // of a ring coordinate
};

class Nmf final : public Model {
 public:
  // Errors: invalid_argument (a setting, a contract of events, or no headroom for the cohorts' size).
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(const Settings& settings, const ModelShape& shape);

  [[nodiscard]] std::string_view family() const noexcept override { return "nmf"; }
  [[nodiscard]] std::uint32_t solver_version() const noexcept override { return 1; }
  [[nodiscard]] const Settings& settings() const noexcept override { return settings_; }
  [[nodiscard]] const ModelShape& shape() const noexcept override { return shape_; }
  [[nodiscard]] std::uint32_t preset_rounds() const noexcept override { return parameters_.rounds; }
  [[nodiscard]] bool needs_survey() const noexcept override { return true; }
  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const override;

  [[nodiscard]] ServerState initial() const override;
  void grow(ServerState& state) const override;
  [[nodiscard]] Status step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                            std::uint64_t contributors) const override;
  [[nodiscard]] Quality quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const override;
  [[nodiscard]] Status check_shared(const TensorSet& shared) const override;
  [[nodiscard]] std::uint64_t training_rounds(const TensorSet& shared) const noexcept override;

  // Without ratings: the mean factor.
  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                  ring::Contribution& out) const override;
  void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const override;
  [[nodiscard]] double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const override;
  // On A = {k : p_k > 0} the solution is linear in the ratings: with a = M_AA⁻¹ q_i,A,
  //   r̂_i = q_i,A·p̄_A + Σ_j a·(q_j,A (r_j − q_j,A·p̄_A) − v_j,A∘p̄_A)
  // Parts: base (the origin), item (the first term: what a person with the mean factor, as far as it is on A, would
  // say), and one for each training rating.
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;
  [[nodiscard]] std::span<const float> popularity(const TensorSet& shared) const noexcept override;

 private:
  // What a device reads of the shared tensors.
  struct Shared {
    const float* factors;    // [items × d]
    const float* variances;  // [items × d]
    const float* user_mean;  // p̄, [d]
    double unit;
  };
  // A device's solution. Personal.
  struct Fit {
    crypto::ZeroizingVector<double> matrix;   // M_u, [d × d]
    crypto::ZeroizingVector<double> factor;   // p_u, [d]
    crypto::ZeroizingVector<double> targets;  // scaled ratings, [training]
  };

  Nmf(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts);

  [[nodiscard]] std::size_t dimension() const noexcept { return parameters_.rank; }
  [[nodiscard]] double origin() const noexcept;
  [[nodiscard]] double unit_of(double mean, double deviation) const noexcept;
  // The size at which all factors give the mean rating: sqrt(scaled mean / d).
  [[nodiscard]] double level_of(double mean, double deviation) const noexcept;
  [[nodiscard]] Shared view(const TensorSet& shared) const noexcept;
  void append_rows(ServerState& state, std::uint32_t from) const;
  void apply_survey(ServerState& state, std::span<const double> moments) const;
  [[nodiscard]] Status apply_training(ServerState& state, std::span<const std::vector<double>> sums) const;

  // `training` is within the contract's cap.
  [[nodiscard]] Fit fit(const Shared& shared, std::span<const Observation> training) const;
  // r̂ on the contract's scale, not clipped to it.
  [[nodiscard]] double predicted_rating(const Shared& shared, std::span<const double> p, std::uint32_t item) const;
  [[nodiscard]] double squared_errors(const Shared& shared, std::span<const double> p,
                                      std::span<const Observation> ratings) const;
  void train(const Shared& shared, const LocalData& data, ring::Contribution& out) const;

  Settings settings_;
  Parameters parameters_;
  ModelShape shape_;
  Layouts layouts_;
};

// Indices of the update layouts' tensors.
namespace tensor {
inline constexpr std::size_t kMoments = 0;  // survey
inline constexpr std::size_t kGradient = 0, kEnergy = 1, kCount = 2, kCurvature = 3, kWeight = 4, kFactors = 5,
                             kTrainMetrics = 6;
inline constexpr std::size_t kMeasureMetrics = 0;
}  // namespace tensor
// Of the shared tensors.
namespace shared_tensor {
inline constexpr std::size_t kFactors = 0, kVariances = 1, kMeans = 2, kScale = 3, kPopularity = 4;
}

}  // namespace chorus::model::nmf
