// Newton with a trial (design: learning, section 2: "where a summed hold-out error says that biases alone are better,
// serve biases"): where ratings are few, or taste says little of them, factors predict worse than biases do. In the
// first rounds every device trains without a tenth of its ratings and says how well each candidate predicts them; only
// the sums over all devices are known. The last of these rounds decides; those after it train on everything.
//
// The candidates: the model, and r̂ = b_u + c_i under multiples m of the biases' ridge λ_b. A device makes the latter of
// what is published: c_i is the ridge solution of n_i residuals, so that another ridge gives c_i (n_i + λ_b)/(n_i + m
// λ_b), and b_u is solved anew. If one of them wins, the factors become zero: then p_u is zero, too, everywhere, and
// the same steps train biases with the ridge that won.
//
// Shared tensors beside those of mf.hpp: trial [1 × 1], 0, or the place of the multiple that won, from 1.
#pragma once

#include <array>

#include "common/model/latest.hpp"
#include "common/model/mf/mf.hpp"

namespace chorus::model::mf {

namespace trial {

// In so many training rounds; the last one's sums decide.
inline constexpr std::uint64_t kRounds = 4;
inline constexpr std::size_t kShare = 10;  // one of so many ratings is held out, at least one of two
inline constexpr std::array<double, 3> kMultiples = {1, 3, 10};
// Of the sums: squared errors (rating_sums.hpp) of the model, then of each multiple.
inline constexpr std::size_t kModel = 0, kBiases = 1, kSize = kBiases + kMultiples.size();

// A device's ratings in two halves, each sorted by item. Which are held out depends on the items alone, so that it is
// the same in every round. training: sorted by item.
struct Halves {
  Observations training;
  Observations held_out;
};
[[nodiscard]] Halves halves_of(std::span<const Observation> training);

// The candidate with the least sum: the model, if it is strictly the best. Others: the least ridge first. sums: [kSize]
[[nodiscard]] std::size_t best_candidate(std::span<const double> sums) noexcept;

}  // namespace trial

class Tried final : public Mf {
 public:
  // Errors: as Mf::make.
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(Settings settings, const Parameters& parameters,
                                                           const ModelShape& shape, Layouts layouts);
  [[nodiscard]] std::uint32_t solver_version() const noexcept override { return 2; }
  [[nodiscard]] ServerState initial() const override;
  void grow(ServerState& state) const override;
  [[nodiscard]] Status step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                            std::uint64_t contributors) const override;
  [[nodiscard]] Status check_shared(const TensorSet& shared) const override;

 private:
  Tried(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts);
  // 0, or the place of a multiple, from 1.
  [[nodiscard]] static std::size_t winner_of(const TensorSet& shared) noexcept;
  [[nodiscard]] std::span<const double> prior_of(const TensorSet& shared) const override;
  void train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const override;
  // errors: [trial::kSize], zeros.
  void write_trial(const TensorSet& shared, const trial::Halves& halves, std::span<const double> x,
                   std::span<double> errors) const;
  static void drop_factors(ServerState& state, std::size_t dimension, std::uint32_t from);

  std::array<std::vector<double>, trial::kMultiples.size()> biases_;  // Λ of each multiple, [D]
};

}  // namespace chorus::model::mf
