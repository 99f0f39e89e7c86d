// Bayesian personalised ranking under a secure sum (Rendle, Freudenthaler, Gantner and Schmidt-Thieme 2009): what a
// person chose is worth more than what the person did not.
//
//   x_uij = b_i − b_j + p_uᵀ (q_i − q_j)
//   minimise Σ_u Σ_{i ∈ S_u} 1/K_u Σ_{j ∈ N_ui} ln(1 + e^−x_uij) + Σ_u λ_u/2 |p_u|² + Σ_i (λ_q/2 |q_i|² + λ_b/2 b_i²)
//   λ_u = λ_user √n_u,   λ_q = λ s,   λ_b = λ_bias s,   s = √(Σ n_u / m);  n_u events of a user, m items
//
// N_ui are K_u items drawn anew every round among those outside the person's training events (negatives.hpp). The
// logarithm is bounded by the parabola that touches it at the present x (logistic.hpp), so that every step solves a
// ridge. A device starts at p = 0 and repeats, with δ = q_i − q_j, `passes` times
//
//   h = h(x),   p_u ← (1/K Σ h δ δᵀ + λ_u I)⁻¹ 1/K Σ (½ − h (b_i − b_j)) δ
//
// and uploads for each item that it has or drew the sums a = ± 1/K Σ σ(−x) as a z, z = [1; p_u], and v = 1/K Σ h; for
// those that it has a one; and once w z zᵀ, w = Σ v over the items. The coordinator, with the sums G_i, V_i and
// C = Σ w z zᵀ / Σ w, steps w_i = [b_i; q_i]:
//
//   M_i = V_i C + Λ,   m_i ← β m_i + M_i⁻¹ (G_i − Λ w_i),   w_i += η m_i
//
// Shared tensors: item_factors [items × D], D = d + 1, rows [b_i; q_i]; progress [1 × 1] the training rounds behind the
// model; popularity [items × 1] how many had the item in the last training round. Hidden: momentum [items × D].
#pragma once

#include <vector>

#include "common/model/layout_maker.hpp"
#include "common/model/model.hpp"
#include "common/model/registry.hpp"
#include "common/model/ridge.hpp"

namespace chorus::model::bpr {

[[nodiscard]] Family family();

struct Parameters {
  std::uint32_t rank = 0;       // d
  double lambda_user = 0;       // of p_u, times the root of the person's events
  double lambda = 0;            // of q_i, times the root of an item's mean events
  double lambda_bias = 0;       // of b_i, alike
  std::uint32_t negatives = 0;  // K_u at least
  std::uint32_t passes = 0;     // of the local solve
  double rate = 0;              // η
  double momentum = 0;          // β
  std::uint32_t rounds = 0;     // the preset's
  std::uint64_t seed = 0;       // of the initial factors and the negatives
  double initial_scale = 0;     // the factors' length, about
  int bits = 0;                 // of a ring coordinate
};

class Bpr final : public Model {
 public:
  // Errors: invalid_argument (a setting, a contract of ratings, or no headroom for the cohorts' size).
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(const Settings& settings, const ModelShape& shape);

  [[nodiscard]] std::string_view family() const noexcept override { return "bpr"; }
  [[nodiscard]] std::uint32_t solver_version() const noexcept override { return 1; }
  [[nodiscard]] const Settings& settings() const noexcept override { return settings_; }
  [[nodiscard]] const ModelShape& shape() const noexcept override { return shape_; }
  [[nodiscard]] std::uint32_t preset_rounds() const noexcept override { return parameters_.rounds; }
  [[nodiscard]] bool needs_survey() const noexcept override { return false; }
  // A survey has one number, how many devices have events, and changes nothing.
  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const override;

  [[nodiscard]] ServerState initial() const override;
  void grow(ServerState& state) const override;
  [[nodiscard]] Status step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                            std::uint64_t contributors) const override;
  [[nodiscard]] Quality quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const override;
  [[nodiscard]] Status check_shared(const TensorSet& shared) const override;
  [[nodiscard]] std::uint64_t training_rounds(const TensorSet& shared) const noexcept override;

  // Without events, or with all items: zero, so that the items' biases alone rank.
  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                  ring::Contribution& out) const override;
  // b_i + pᵀ q_i. Its differences are log-odds; its level means nothing.
  void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const override;
  [[nodiscard]] double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const override;
  // b_i, and for each training event what its pairs of the last pass put into p, times q_i.
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;
  [[nodiscard]] std::span<const float> popularity(const TensorSet& shared) const noexcept override;

 private:
  struct Solution;

  Bpr(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts);

  [[nodiscard]] std::size_t rank() const noexcept { return parameters_.rank; }
  [[nodiscard]] std::size_t width() const noexcept { return rank() + 1; }
  void append_rows(ServerState& state, std::uint32_t from) const;
  [[nodiscard]] Status apply_training(ServerState& state, std::span<const std::vector<double>> sums) const;

  // `training`: what counts, within the contract's cap; `all`: what is never a negative.
  [[nodiscard]] Solution solve_pairs(const TensorSet& shared, std::span<const Observation> training,
                                     std::span<const Observation> all) const;
  void train(const TensorSet& shared, const LocalData& kept, std::span<const Observation> all,
             ring::Contribution& out) const;
  void write_metrics(const TensorSet& shared, const LocalData& data, std::span<const double> p,
                     std::span<double> metrics) const;
  void scores_of(const TensorSet& shared, std::span<const double> p, std::span<float> out) const;

  Settings settings_;
  Parameters parameters_;
  ModelShape shape_;
  Layouts layouts_;
};

// Indices of the update layouts' tensors.
namespace tensor {
inline constexpr std::size_t kSurveyDevices = 0;
inline constexpr std::size_t kGradient = 0, kCurvature = 1, kCount = 2, kGram = 3, kWeight = 4, kTrainMetrics = 5;
inline constexpr std::size_t kMeasureMetrics = 0;
}  // namespace tensor
// Of the shared tensors.
namespace shared_tensor {
inline constexpr std::size_t kFactors = 0, kProgress = 1, kPopularity = 2;
}

}  // namespace chorus::model::bpr
