// Biased matrix factorization under a secure sum (design: learning, section 2; Koren, Bell and Volinsky 2009).
//
//   r̂_ui = b_u + c_i + p_uᵀ q_i, in standardised ratings (r − mean) / deviation
//   z_u = [1; p_u]   x_u = [b_u; p_u]   w_i = [c_i; q_i]   y_i = [1; q_i]   D = rank + 1
//
// A device solves x_u exactly and uploads for each item it rated g_i = e_ui z_u and a one, and once n_u z_u z_uᵀ and
// n_u (update `newton`, shared curvature). The coordinator, with G_i, n_i and C = Σ n_u z_u z_uᵀ / Σ n_u:
//
//   M_i = n_i C + Λ,   m_i ← β m_i + M_i⁻¹ (G_i − Λ w_i),   w_i += η m_i
//
// Shared tensors: item_factors [items × D] rows w_i; scale [1 × 3] mean, deviation (both on the contract's scale) and
// the training rounds behind the model; popularity [items × 1] n_i of the last training round.
// Hidden: momentum [items × D].
#pragma once

#include <vector>

#include "common/model/layout_maker.hpp"
#include "common/model/model.hpp"
#include "common/model/rating_sums.hpp"
#include "common/model/registry.hpp"
#include "common/model/ridge.hpp"

namespace chorus::model::mf {

[[nodiscard]] Family family();

enum class Update : std::uint8_t {
  newton,    // shared curvature, point estimates; of a part of the devices (partial.hpp) decayed surrogates
  gradient,  // the gradient alone, and a server optimizer (gradient.hpp)
  als,       // full statistics: the reference (als.hpp)
  vb,        // variational: posterior covariances on both sides, the same uploads (variational.hpp)
};

// The server optimizers of Reddi et al. 2021 (Adaptive Federated Optimization, algorithm 2).
enum class Optimizer : std::uint8_t { fedavg, momentum, fedadagrad, fedadam, fedyogi };

struct Parameters {
  Update update = Update::newton;
  std::uint32_t rank = 0;                   // d
  double lambda = 0;                        // of the factors, of users and items alike
  double lambda_bias = 0;                   // of the biases
  double rate = 0;                          // η
  double momentum = 0;                      // β
  std::uint32_t rounds = 0;                 // the preset's
  std::uint64_t seed = 0;                   // of the initial factors
  double initial_scale = 0;                 // their standard deviation
  int bits = 0;                             // of a ring coordinate
  double participation = 1;                 // ρ, the share of the devices in a round
  Optimizer optimizer = Optimizer::fedavg;  // gradient
  double noise = 0;                         // σ², of a standardised rating, before it is learned; vb
  bool twin = false;                        // learn prior means from who rated what (twin.hpp)
  std::uint32_t twin_rank = 0;
  bool features = false;           // the items' prior means also from what the catalogue says of them
  std::uint32_t least_raters = 1;  // of a round, for an item's row to be published anew
  std::uint32_t twin_rounds = 0;   // in so many rounds, from the first, the twin learns too
  bool trial = false;              // biases alone, where a summed hold-out says so (trial.hpp); newton
};

class Mf : public Model {
 public:
  // Errors: invalid_argument (a setting, a contract without a scale, or no headroom for the cohorts' size).
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(const Settings& settings, const ModelShape& shape);

  [[nodiscard]] std::string_view family() const noexcept override { return "mf"; }
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

  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                  ring::Contribution& out) const override;
  void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const override;
  [[nodiscard]] double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const override;
  // Parts: base (the mean), item (c_i), and one for each training rating. The prior mean is zero: it has no part.
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;
  [[nodiscard]] std::span<const float> popularity(const TensorSet& shared) const noexcept override;

 protected:
  // What a device reads of the shared tensors.
  struct Shared {
    const float* factors;  // [items × D]
    double mean;
    double deviation;
  };

  Mf(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts);

  [[nodiscard]] std::size_t dimension() const noexcept { return std::size_t{parameters_.rank} + 1; }
  [[nodiscard]] Shared view(const TensorSet& shared) const noexcept;
  void append_rows(ServerState& state, std::uint32_t from) const;

  // Λ behind these parameters, [D].
  [[nodiscard]] virtual std::span<const double> prior_of(const TensorSet& /*shared*/) const { return prior_; }
  // x_u, [D]. REQUIRES: `training` is not empty.
  [[nodiscard]] virtual crypto::ZeroizingVector<double> factor_of(const TensorSet& shared,
                                                                  std::span<const Observation> training) const;
  // Rows y_i and targets r − c_i of a device.
  [[nodiscard]] Ridge rows_of(const Shared& shared, std::span<const Observation> training) const;
  // r̂ on the contract's scale, not clipped to it.
  [[nodiscard]] double predicted_rating(const Shared& shared, std::span<const double> x, std::uint32_t item) const;
  // Each REQUIRES: data.training is not empty and within the contract's cap.
  virtual void survey(std::span<const Observation> training, ring::Contribution& out) const;
  virtual void train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const;
  // What `newton` uploads, tensors kGradient to kTrainMetrics; gives x_u. REQUIRES: `out` has a row for each training
  // rating.
  crypto::ZeroizingVector<double> write_newton(const TensorSet& shared, const LocalData& data,
                                               ring::Contribution& out) const;
  void measure(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const;
  // e_ui = t − y·x of every row. [rows]
  [[nodiscard]] static crypto::ZeroizingVector<double> residuals(const Ridge& solved, std::span<const double> x);
  // Σ squared_error (rating_sums.hpp) of ratings with these residuals.
  [[nodiscard]] double training_error(const Shared& shared, std::span<const Observation> training,
                                      std::span<const double> residuals) const;
  [[nodiscard]] double squared_errors(const Shared& shared, std::span<const double> x,
                                      std::span<const Observation> ratings) const;
  virtual void apply_survey(ServerState& state, std::span<const std::vector<double>> sums) const;
  [[nodiscard]] virtual Status apply_training(ServerState& state, std::span<const std::vector<double>> sums) const;
  // C = Σ n_u z_u z_uᵀ / Σ n_u, [D × D], symmetric; zero if nobody had a rating.
  [[nodiscard]] std::vector<double> curvature(std::span<const std::vector<double>> sums) const;
  // Errors: wrong_model. REQUIRES: the tensors of mf have their sizes.
  [[nodiscard]] static Status check_scale(const TensorSet& shared);
  // The count threshold, for the readers of the model: rows of items that fewer than least_raters people rated in the
  // round stay as they were `before`.
  void withhold_rare(const TensorSet& before, TensorSet& after) const;
  // n_i becomes the popularity, one more training round is behind the model.
  void count_round(ServerState& state, std::span<const double> counts) const;

  Settings settings_;
  Parameters parameters_;
  ModelShape shape_;
  std::vector<double> prior_;  // Λ of the settings, [D]
  Layouts layouts_;
};

// Standardised residuals: an upload's clip; mf.cpp has the reasons.
inline constexpr double kGradientClip = 7.75;
inline constexpr double kCurvatureClip = 8;

// Indices of the update layouts' tensors and of the numbers in them.
namespace tensor {
inline constexpr std::size_t kMoments = 0;  // survey
inline constexpr std::size_t kGradient = 0, kCount = 1, kCurvature = 2, kWeight = 3, kTrainMetrics = 4;
inline constexpr std::size_t kMeasureMetrics = 0;
}  // namespace tensor

}  // namespace chorus::model::mf
