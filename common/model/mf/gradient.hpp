// The gradient alone: a device uploads g_i = e_ui z_u and a one for each item it rated. With G_i and n_i the
// coordinator has the pseudo-gradient Δ_i = (G_i − Λ w_i) / (n_i + 1), divided by the item's count, not by the cohort's
// size, and hands it to a server optimizer (Reddi et al. 2021, algorithm 2), element by element:
//
//   fedavg      w += η Δ
//   momentum    m ← β m + Δ,  w += η m
//   fedadagrad  m ← β m + (1 − β) Δ,  v ← v + Δ²,                              w += η m / (√v + τ)
//   fedadam     the same m,           v ← β₂ v + (1 − β₂) Δ²,                  w += η m / (√v + τ)
//   fedyogi     the same m,           v ← v − (1 − β₂) Δ² sign(v − Δ²),        w += η m / (√v + τ)
//
// Hidden beside mf.hpp's: second_moment [items × D].
#pragma once

#include "common/model/mf/mf.hpp"

namespace chorus::model::mf {

class Gradient final : public Mf {
 public:
  // Errors: as Mf::make.
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(Settings settings, const Parameters& parameters,
                                                           const ModelShape& shape, Layouts layouts);
  [[nodiscard]] ServerState initial() const override;
  void grow(ServerState& state) const override;

 private:
  using Mf::Mf;
  void train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const override;
  [[nodiscard]] Status apply_training(ServerState& state, std::span<const std::vector<double>> sums) const override;
};

}  // namespace chorus::model::mf
