// Implicit alternating least squares under a secure sum (design: learning, section 2, "Implicit"; Hu, Koren and
// Volinsky 2008, with the weights of Rendle, Krichene, Zhang and Koren 2022).
//
//   minimise Σ_{(u,i) ∈ S} (1 − p_uᵀ q_i)² + α Σ_{u,i} (p_uᵀ q_i)² + Σ_u λ_u |p_u|² + Σ_i λ_i |q_i|²
//   λ_u = λ (n_u + α m)^ν,   λ_i = λ (n_i + α N)^ν;  N devices with events, m items, n events of a user or an item
//
// Nothing is sampled: what a user did not do is in the Gram matrices. A device solves
//
//   p_u = (α QᵀQ + Σ_{i ∈ S_u} q_i q_iᵀ + λ_u I)⁻¹ Σ_{i ∈ S_u} q_i
//
// and uploads for each of its items (1 − p_uᵀ q_i) p_u and a one, and once p_u p_uᵀ. The coordinator, with their sums
// G_i, n_i and P, takes for the curvature that an item's own users add the mean device's, n_i P / N:
//
//   M_i = (α + n_i / N) P + λ_i I,   m_i ← β m_i + M_i⁻¹ (G_i − α P q_i − λ_i q_i),   q_i += η m_i
//
// One decomposition P = U diag(γ) Uᵀ inverts every M_i.
//
// With a share ρ < 1 of the devices in a round, an item that none of them had would be forgotten. The coordinator then
// keeps sums of what earlier rounds said, decayed by 1 − ρ a round: n_i, N, P, and the target G_i + (n_i / N) P q_i.
// The step is the same, towards where the kept target is met; the ridge and the Gram matrices grow with what is kept.
// Uploads do not change.
//
// Where people have few events and λ is found by the model, the first rounds are a trial (trial.hpp): sums over an
// event that every device holds out say which multiple of λ ranks best, or that popularity alone does.
//
// Shared tensors: item_factors [items × d]; gram [d × d] QᵀQ; scale [1 × 4] λ, the training rounds behind the model,
// its Mode, and N of the last training round; popularity [items × 1] n_i of the last training round. Hidden: momentum
// [items × d].
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "common/model/layout_maker.hpp"
#include "common/model/model.hpp"
#include "common/model/registry.hpp"
#include "common/model/ridge.hpp"

namespace chorus::model::ials {

[[nodiscard]] Family family();

// ν: no other power is the same number on every machine.
enum class Exponent : std::uint8_t { zero, half, one };

// What the shared parameters are for.
enum class Mode : std::uint8_t {
  model = 0,       // p_uᵀ q_i ranks; everything trains
  trial = 1,       // p_uᵀ q_i ranks; every device keeps an event out of its training
  popularity = 2,  // n_i / N ranks: on a trial it was the better one
};

struct Parameters {
  std::uint32_t rank = 0;        // d
  std::optional<double> lambda;  // absent: from the survey's sums
  double alpha = 0;              // weight of what did not happen
  Exponent exponent = Exponent::one;
  double rate = 0;           // η
  double momentum = 0;       // β
  std::uint32_t rounds = 0;  // the preset's
  double participation = 1;  // ρ
  std::uint64_t seed = 0;    // of the initial factors
  double initial_scale = 0;  // their length, about
  int bits = 0;              // of a ring coordinate
};

class Ials final : public Model {
 public:
  // Errors: invalid_argument (a setting, a contract of ratings, or no headroom for the cohorts' size).
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(const Settings& settings, const ModelShape& shape);

  [[nodiscard]] std::string_view family() const noexcept override { return "ials"; }
  [[nodiscard]] std::uint32_t solver_version() const noexcept override { return 3; }
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

  // Without events: zero.
  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                  ring::Contribution& out) const override;
  // pᵀ q_i: about 1 for what happened, about 0 for what did not. In Mode::popularity n_i / N.
  void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const override;
  [[nodiscard]] double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const override;
  // pᵀ q_i = Σ_j q_iᵀ M_u⁻¹ q_j: one part for each training event. In Mode::popularity the item's own part alone.
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;
  [[nodiscard]] std::span<const float> popularity(const TensorSet& shared) const noexcept override;

 private:
  Ials(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts);

  [[nodiscard]] std::size_t dimension() const noexcept { return parameters_.rank; }
  // λ (events + α others)^ν
  [[nodiscard]] double weighted(double lambda, double events, double others) const noexcept;
  // What the server keeps, by name, and how many numbers.
  [[nodiscard]] std::vector<std::pair<std::string_view, std::size_t>> hidden_sizes() const;
  // Errors: wrong_model.
  [[nodiscard]] Status check_hidden(const ServerState& state) const;
  void append_rows(ServerState& state, std::uint32_t from) const;
  void write_gram(TensorSet& shared) const;
  void apply_survey(ServerState& state, std::span<const std::vector<double>> sums) const;
  [[nodiscard]] Status apply_training(ServerState& state, std::span<const std::vector<double>> sums) const;

  [[nodiscard]] static Mode mode_of(const TensorSet& shared) noexcept;
  // The factorised normal matrix of a person, whose rows are the events' q, with `times` λ. `training` is within the
  // contract's cap.
  [[nodiscard]] Ridge normal_of(const TensorSet& shared, std::span<const Observation> training, double times = 1) const;
  // What the candidates of a trial make of an event that did not train. gains: [trial::kSize]
  void write_trial(const TensorSet& shared, std::span<const Observation> training, const Observation& held_out,
                   std::span<double> gains) const;
  [[nodiscard]] double popularity_score(const TensorSet& shared, std::uint32_t item) const noexcept;
  // Of the mode.
  void rank_all(const TensorSet& shared, std::span<const double> p, std::span<float> out) const;
  void train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const;
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
inline constexpr std::size_t kTotals = 0, kSquares = 1, kSurveyCount = 2;  // survey
inline constexpr std::size_t kGradient = 0, kCount = 1, kGram = 2, kTrial = 3, kTrainMetrics = 4;
inline constexpr std::size_t kMeasureMetrics = 0;
}  // namespace tensor
// Of the survey's totals.
namespace total {
inline constexpr std::size_t kDevices = 0, kEvents = 1, kSize = 2;
}
// Of the shared tensors, and of the numbers of the scale.
namespace shared_tensor {
inline constexpr std::size_t kFactors = 0, kGram = 1, kScale = 2, kPopularity = 3;
}
namespace scale {
inline constexpr std::size_t kLambda = 0, kRounds = 1, kMode = 2, kDevices = 3, kSize = 4;
}

}  // namespace chorus::model::ials
