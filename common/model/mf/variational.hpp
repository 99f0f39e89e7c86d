// Matrix factorization by variational Bayes with the uploads of `newton`, and prior means from the twin (design:
// learning, section 2, "vb" and "The twin"). Names as in mf.hpp; besides
//
//   Σ_u = σ² N_u⁻¹   the device's posterior covariance, N_u its normal matrix
//   Σ_i = σ² M_i⁻¹   the coordinator's, rebuilt by devices from what is published (zero before the first step)
//   N_u = Σ_{i∈S_u} (y_i y_iᵀ + [0, 0; 0, Σ_i[1:,1:]]) + Λ_U
//   x_u = N_u⁻¹ (Σ_{i∈S_u} (y_i t_i − [0; Σ_i[1:,0]]) + Λ_U μ_u)
//   g_i[0] = e,  g_i[1:] = e p_u − Σ_u[1:,1:] q_i − Σ_u[1:,0];   n_u z_u z_uᵀ gains n_u Σ_u[1:,1:] in its block [1:,1:]
//   M_i = n_i C + Λ_I,  m_i ← β m_i + M_i⁻¹ (G_i − Λ_I (w_i − μ_i)),  w_i += η m_i
//
// From the third round on σ² and both Λ (one a dimension: automatic relevance) are learned from sums. With update
// `newton` all covariances are zero and σ², Λ stay.
// The twin's features give μ_u = B_U f_u and μ_i = B_I f_i from the second round on.
//
// Shared tensors beside those of mf.hpp: posterior [(D + 1) × D], V over γ of SharedCurvature; prior [2 × D], Λ_U over
// Λ_I; noise [1 × 1], σ²; with the twin twin_factors [items × k], twin_gram [k × k], twin_scale [1 × 6] (twin.hpp),
// twin_map [2D × F], B_U over B_I. Hidden: momentum, twin_momentum.
// With `features` f_i has besides what the catalogue says of the item (item_features.hpp), standardised over the items
// that somebody rated, and B_I its part of it, the shared tensor feature_map [D × feature::kPublic]: an item that
// nobody rated is what its features say. Users' features stay as they are.
#pragma once

#include <optional>
#include <vector>

#include "common/model/mf/mf.hpp"
#include "common/model/mf/twin.hpp"

namespace chorus::model::mf {

class Variational final : public Mf {
 public:
  // Errors: as Mf::make.
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(Settings settings, const Parameters& parameters,
                                                           const ModelShape& shape, Layouts layouts);

  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const override;
  [[nodiscard]] ServerState initial() const override;
  void grow(ServerState& state) const override;
  [[nodiscard]] Status check_shared(const TensorSet& shared) const override;
  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  // Parts: base, item, one for each training rating, and with the twin `prior`: what people with the same history like.
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;

 private:
  // What a device reads of the shared tensors besides Mf::Shared.
  struct Published {
    Shared base;
    std::vector<double> basis;  // V, [D × D]; empty: no covariances
    std::vector<double> gamma;  // γ, [D]
    std::span<const float> counts;
    std::span<const float> prior_users;  // Λ_U, [D]
    double noise = 0;                    // σ²
    TwinView twin;                       // rank 0: there is none
    std::span<const float> map_users;    // B_U, [D × F]
  };
  // A device's solution.
  struct Solved {
    Ridge ridge;
    crypto::ZeroizingVector<double> prior_mean;   // μ_u, [D]
    crypto::ZeroizingVector<double> features;     // f_u, [F]; empty without the twin
    crypto::ZeroizingVector<double> twin_factor;  // [k]
    crypto::ZeroizingVector<double> x;            // [D]
  };

  Variational(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts,
              plan::UpdateLayout later);

  [[nodiscard]] std::size_t features() const noexcept { return std::size_t{parameters_.twin_rank} + 2; }
  [[nodiscard]] bool twin_learns(std::uint64_t training_rounds) const noexcept {
    return parameters_.twin && training_rounds < parameters_.twin_rounds;
  }
  [[nodiscard]] Published published(const TensorSet& shared) const;
  [[nodiscard]] TwinView twin_of(const TensorSet& shared) const;
  [[nodiscard]] Solved solve_locally(const Published& from, std::span<const Observation> training) const;
  [[nodiscard]] crypto::ZeroizingVector<double> factor_of(const TensorSet& shared,
                                                          std::span<const Observation> training) const override;
  // 1 / (n_i γ_k + 1), [D].
  void shrinkage(const Published& from, std::uint32_t item, std::span<double> out) const;

  void survey(std::span<const Observation> training, ring::Contribution& out) const override;
  void train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const override;

  void apply_survey(ServerState& state, std::span<const std::vector<double>> sums) const override;
  [[nodiscard]] Status apply_training(ServerState& state, std::span<const std::vector<double>> sums) const override;
  void append_twin_rows(ServerState& state, std::uint32_t from) const;
  // F of an item.
  [[nodiscard]] std::size_t item_feature_count() const noexcept;
  // f_i of every item, [items × item_feature_count()].
  [[nodiscard]] std::vector<double> item_features(const TensorSet& shared) const;
  void learn_twin(ServerState& state, std::span<const std::vector<double>> sums) const;

  std::vector<double> public_;  // what is known of the items, [items × feature::kPublic]; empty without `features`
  plan::UpdateLayout later_;    // a training round's, when the twin has learned
};

}  // namespace chorus::model::mf
