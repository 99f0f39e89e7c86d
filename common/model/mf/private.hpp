// Matrix factorization under user-level differential privacy (update `dp`): a few questions that ask for little, and
// everything else is post-processing, which costs nothing (design: differential privacy, recipe).
//
//   r̂_ui = mean + unit (c_i + x_iᵀ p_u)     p_u ~ N(0, I)     x_i = Lᵀ f_i + δ_i
//
// f_i are public features of the item (genre, year, title) and what earlier answers said of it. The device solves p_u
// from its own ratings, each weighed by what is still unknown of its item; nothing of it is published. Questions, each
// a sum whose sensitivity (one person added or removed, the whole contribution) is proven where it is made
// (private_device.cpp):
//
//   counts     Σ 1/√n_u of an item's raters, and the number of people       Δ² = 1 + 1/64
//   means      [α w; β w e], w the person's weight of the item, Σ w² = 1     Δ = 1
//   taste      the upper triangle of p pᵀ + V − I                            Δ = C_F
//   residuals  w (e z − [0; g∘V x]), z = [s; g∘p]; and Σ w (z zᵀ + V)        Δ = C_Q, and R
//
// With rounding at random each Δ grows a little (plan::rounding_sensitivity), and the noise with it.
//
// Shared tensors: item_factors [items × (1 + K)] c_i, x_i; scale [1 × 3] mean, unit, rounds; popularity [items × 1] the
// denoised counts; weight [items × 1] h_i; uncertainty [items × 1] σ_i²; emphasis [1 × (1 + d)] s, g.
// Hidden: what the coordinator remembers of the noisy answers (private_server.cpp).
#pragma once

#include <vector>

#include "common/model/item_features.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/mf/private_recipe.hpp"
#include "common/model/model.hpp"
#include "common/model/private_questions.hpp"
#include "common/model/registry.hpp"
#include "common/model/ridge.hpp"

namespace chorus::model::mf {

// K: the constant, the public features, the logarithm of the count, its square, and the published mean.
inline constexpr std::size_t kPrivateFeatures = 1 + feature::kPublic + 3;

// What a person says of being there at all: one coordinate of the counts.
inline constexpr double kDeviceMark = 0.125;
// R, of the residuals' curvature.
[[nodiscard]] constexpr double curvature_clip(const Recipe& recipe) noexcept {
  return 12 * (1 + 0.3 * static_cast<double>(recipe.rank));
}

class Private final : public Model {
 public:
  // Errors: invalid_argument (a setting, a contract without a scale, or no headroom for the cohorts' size).
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(const Settings& settings, const ModelShape& shape);

  [[nodiscard]] std::string_view family() const noexcept override { return "mf"; }
  [[nodiscard]] std::uint32_t solver_version() const noexcept override { return 1; }
  [[nodiscard]] const Settings& settings() const noexcept override { return settings_; }
  [[nodiscard]] const ModelShape& shape() const noexcept override { return shape_; }
  [[nodiscard]] std::uint32_t preset_rounds() const noexcept override {
    return static_cast<std::uint32_t>(questions_.size() - 1);
  }
  [[nodiscard]] std::uint32_t most_rounds() const noexcept override { return preset_rounds(); }
  [[nodiscard]] bool needs_survey() const noexcept override { return true; }
  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const override;
  [[nodiscard]] std::optional<PrivateQuestion> privacy(plan::Purpose purpose,
                                                       std::uint64_t training_rounds) const override;

  [[nodiscard]] ServerState initial() const override;
  void grow(ServerState& state) const override;
  // Errors: besides the interface's, budget_exhausted: the recipe's questions have all been asked.
  [[nodiscard]] Status step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                            std::uint64_t contributors) const override;
  // Metrics would cost privacy: nothing but the number of devices is summed.
  [[nodiscard]] Quality quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const override;
  [[nodiscard]] Status check_shared(const TensorSet& shared) const override;
  [[nodiscard]] std::uint64_t training_rounds(const TensorSet& shared) const noexcept override;

  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                  ring::Contribution& out) const override;
  void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const override;
  [[nodiscard]] double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const override;
  // Parts: base (the mean), item (c_i), and one for each training rating. The prior mean is zero: it has no part.
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;
  [[nodiscard]] std::span<const float> popularity(const TensorSet& shared) const noexcept override;

 private:
  struct Options {
    bool features = true;
    double residual_clip = 0;
  };

  Private(Settings settings, const Options& options, const Recipe& recipe, const ModelShape& shape,
          PrivateQuestions questions);

  // --- device
  struct Solved {
    Ridge ridge;
    crypto::ZeroizingVector<double> factor;      // p̂, [K]
    crypto::ZeroizingVector<double> covariance;  // V, [K × K]
  };
  [[nodiscard]] Solved solved(const TensorSet& shared, std::span<const Observation> training) const;
  [[nodiscard]] double residual(const TensorSet& shared, const Observation& rating) const noexcept;  // (r − mean)/unit
  void contribute_counts(std::span<const Observation> training, ring::Contribution& out) const;
  void contribute_means(const TensorSet& shared, std::span<const Observation> training, ring::Contribution& out) const;
  void contribute_taste(const TensorSet& shared, std::span<const Observation> training, ring::Contribution& out) const;
  void contribute_residuals(const TensorSet& shared, std::span<const Observation> training,
                            ring::Contribution& out) const;
  // w_ui: the items' published weights, of unit length over the person's items. [training]
  [[nodiscard]] static crypto::ZeroizingVector<double> weights(const TensorSet& shared,
                                                               std::span<const Observation> training);

  // --- coordinator
  void apply_counts(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                    std::uint64_t contributors) const;
  void apply_means(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                   std::uint64_t contributors) const;
  void apply_taste(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                   std::uint64_t contributors) const;
  void apply_residuals(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                       std::uint64_t contributors) const;
  // f_i of all items, standardised with the counts as weights; remembers how. [items × K]
  [[nodiscard]] std::vector<double> features(ServerState& state, bool with_means) const;
  void place_items(ServerState& state, const std::vector<double>& f) const;

  Settings settings_;
  Options options_;
  Recipe recipe_;
  ModelShape shape_;
  std::vector<Step> steps_;  // what each question is
  PrivateQuestions questions_;
};

// Indices of the shared tensors.
namespace private_tensor {
inline constexpr std::size_t kFactors = 0, kScale = 1, kPopularity = 2, kWeight = 3, kUncertainty = 4, kEmphasis = 5;
}

}  // namespace chorus::model::mf
