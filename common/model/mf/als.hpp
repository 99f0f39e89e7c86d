// Full statistics, the reference that the other updates approach: a device uploads for each item it rated z_u z_uᵀ (its
// first number is the count) and z_u t, t = r − μ − b_u; with their sums A_i and s_i the coordinator solves exactly
//
//   w_i = (A_i + Λ)⁻¹ s_i
//
// D(D + 3)/2 numbers an item (Koren et al. 2009, "alternating least squares").
#pragma once

#include "common/model/mf/mf.hpp"

namespace chorus::model::mf {

class Als final : public Mf {
 public:
  // Errors: as Mf::make.
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(Settings settings, const Parameters& parameters,
                                                           const ModelShape& shape, Layouts layouts);

  // They are A_i and s_i.
  [[nodiscard]] bool rows_come_apart() const noexcept override { return false; }

 private:
  using Mf::Mf;
  void train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const override;
  [[nodiscard]] Status apply_training(ServerState& state, std::span<const std::vector<double>> sums) const override;
};

}  // namespace chorus::model::mf
