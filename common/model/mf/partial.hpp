// Newton with a part of the devices in a round (design: learning, section 2, "Partial participation"): the coordinator
// keeps decayed sums of what devices said in earlier rounds. A device uploads for each item it rated its surrogate's
// target s = e z + h∘w and diagonal h = z∘z (h_0 is the count), w as published; with the sums s_i, h_i of a round
//
//   S ← .95 S + s,  H ← .95 H + h,  W ← .95 W + ρ,   w += η (S − H∘w − W Λ w) / (H + W Λ)
//
// ρ is the participation: the ridge counts as often as the ratings do. 2D numbers an item.
// Hidden: targets and diagonals [items × D], weight [1].
#pragma once

#include "common/model/mf/mf.hpp"

namespace chorus::model::mf {

class Partial final : public Mf {
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
