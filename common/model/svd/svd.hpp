// Truncated singular value decomposition by federated subspace iteration (design: learning, section 1; Sarwar et al.
// 2000 for the recommender, Hastie et al. 2015, "Matrix completion and low-rank SVD via fast alternating least
// squares", for imputing what is missing by the decomposition itself).
//
// Ratings are standardised by (mean, deviation). Of a person's ratings x_uj = r_uj − c_j − b_u, with
//   b_u = Σ_j (r_uj − c_j) / (n_u + λ_b),   c_i = Σ_u (r_ui − b_u) / (n_i + λ_b), again after every pass; b_u = 0 in
//   the survey.
// The row x̃_u of the matrix is x_u where it is known and V p_u elsewhere: V [items × d] is orthonormal, and
//   p_u = (Σ_j V_j V_jᵀ + diag(ω))⁻¹ Σ_j V_j x_uj,   ω_k = σ² sqrt(N m) / e_k,
// with e_k the eigenvalues of X̃ᵀX̃, N people, m rated items, σ² the mean of x². Why this ω: with noise σ² in a rating, a
// column of places has the variance e_k/N and one of V 1/m, so the posterior's mode pays σ²(N |p|²/e_k + m |v|²), which
// at its best split between the two sides is 2σ² sqrt(N m / e_k) times the singular value: a soft threshold; ω_k p_k is
// its slope. With σ²N/e_k alone, items that few people rated are fitted exactly. Before the first pass p_u = 0. A pass
// is one sum, though X̃ is dense: with t_u = Vᵀx̃_u = p_u + Σ_j V_j (x_uj − V_j·p_u)
//   Y = Σ_u x̃_u t_uᵀ = Σ_u (x_u − V p_u on rated items) t_uᵀ + V Σ_u p_u t_uᵀ,   V ← orthonormalised Y, e_k its norms
// and a device uploads the first sum's row for each item it rated, r_ui − b_u and a one, and once p_u t_uᵀ and Σ x².
//   r̂_ui = b_u + c_i + p_u·V_i
//
// Shared tensors: item_factors [items × d] V; item_biases [items × 1] c; weights [1 × d] ω; scale [1 × 3] mean and
// deviation on the contract's scale, and the training rounds behind the model; popularity [items × 1] n_i of the last
// training round. Nothing is hidden.
#pragma once

#include <vector>

#include "common/model/layout_maker.hpp"
#include "common/model/model.hpp"
#include "common/model/rating_sums.hpp"
#include "common/model/registry.hpp"
#include "common/model/ridge.hpp"

namespace chorus::model::svd {

[[nodiscard]] Family family();

struct Parameters {
  std::uint32_t rank = 0;    // d
  double lambda_bias = 0;    // λ_b, in ratings
  std::uint32_t rounds = 0;  // the preset's
  std::uint64_t seed = 0;    // of the initial subspace
  int bits = 0;              // of a ring coordinate
};

class Svd final : public Model {
 public:
  // Errors: invalid_argument (a setting, a contract of events, or no headroom for the cohorts' size).
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(const Settings& settings, const ModelShape& shape);

  [[nodiscard]] std::string_view family() const noexcept override { return "svd"; }
  [[nodiscard]] std::uint32_t solver_version() const noexcept override { return 1; }
  [[nodiscard]] const Settings& settings() const noexcept override { return settings_; }
  [[nodiscard]] const ModelShape& shape() const noexcept override { return shape_; }
  [[nodiscard]] std::uint32_t preset_rounds() const noexcept override { return parameters_.rounds; }
  [[nodiscard]] bool needs_survey() const noexcept override { return true; }
  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const override;

  [[nodiscard]] ServerState initial() const override;
  // New rows of a trained V are zero: the next pass fills them.
  void grow(ServerState& state) const override;
  [[nodiscard]] Status step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                            std::uint64_t contributors) const override;
  [[nodiscard]] Quality quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const override;
  [[nodiscard]] Status check_shared(const TensorSet& shared) const override;
  [[nodiscard]] std::uint64_t training_rounds(const TensorSet& shared) const noexcept override;

  // [b_u; p_u]; zeros without ratings.
  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                  ring::Contribution& out) const override;
  void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const override;
  [[nodiscard]] double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const override;
  // Parts: base (the mean), item (c_i), and one for each training rating: with y_j = r_uj − c_j, a = M⁻¹ V_i and
  // f = 1 / (n_u + λ_b), r̂ = c_i + Σ_j y_j (f + a·V_j − f Σ_l a·V_l).
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;
  [[nodiscard]] std::span<const float> popularity(const TensorSet& shared) const noexcept override;

 private:
  // What a device reads of the shared tensors.
  struct Shared {
    const float* factors;  // V, [items × d]
    const float* biases;   // c, [items]
    const float* weights;  // ω, [d]
    double mean;
    double deviation;
    bool trained;
  };
  // A device's solution. Personal.
  struct Fit {
    Ridge ridge;                        // rows V_j, targets x_uj, factorised if the model is trained
    double bias;                        // b_u
    crypto::ZeroizingVector<double> p;  // [d]
  };

  Svd(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts);

  [[nodiscard]] std::size_t dimension() const noexcept { return parameters_.rank; }
  [[nodiscard]] Shared view(const TensorSet& shared) const noexcept;
  void append_rows(ServerState& state, std::uint32_t from) const;
  [[nodiscard]] Status apply_survey(ServerState& state, std::span<const std::vector<double>> sums) const;
  // c_i from sums of standardised ratings less b_u, and counts. Errors: non_finite.
  [[nodiscard]] Status apply_biases(TensorSet& shared, std::span<const double> totals,
                                    std::span<const double> counts) const;
  [[nodiscard]] Status apply_pass(ServerState& state, std::span<const std::vector<double>> sums) const;

  // REQUIRES: `training` is not empty and within the contract's cap.
  [[nodiscard]] Fit fit(const Shared& shared, std::span<const Observation> training) const;
  // r̂ on the contract's scale, not clipped to it.
  [[nodiscard]] double predicted_rating(const Shared& shared, double bias, std::span<const double> p,
                                        std::uint32_t item) const;
  [[nodiscard]] double squared_errors(const Shared& shared, const Fit& fit, std::span<const Observation> ratings) const;
  // r' = (r − minimum) / range.
  [[nodiscard]] double unit_rating(const Observation& rating) const noexcept;
  void survey(std::span<const Observation> training, ring::Contribution& out) const;
  void train(const Shared& shared, const LocalData& data, ring::Contribution& out) const;

  Settings settings_;
  Parameters parameters_;
  ModelShape shape_;
  Layouts layouts_;
};

// Indices of the update layouts' tensors.
namespace tensor {
inline constexpr std::size_t kRatings = 0, kCounts = 1, kMoments = 2;  // survey
inline constexpr std::size_t kResiduals = 0, kTrainCounts = 1, kProduct = 2, kImputed = 3, kSpread = 4,
                             kTrainMetrics = 5;
inline constexpr std::size_t kMeasureMetrics = 0;
}  // namespace tensor
// Of the shared tensors.
namespace shared_tensor {
inline constexpr std::size_t kFactors = 0, kBiases = 1, kWeights = 2, kScale = 3, kPopularity = 4;
}

}  // namespace chorus::model::svd
