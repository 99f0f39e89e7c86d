// Embarrassingly shallow autoencoder (Steck 2019): item-item weights in closed form, from one secure sum.
//
//   minimise |X − X B|² + λ |B|²  with diag(B) = 0;   X: devices × items, 1 where something happened
//   P = (XᵀX + λ I)⁻¹,   B_ij = −P_ij / P_jj for i ≠ j
//
// A device uploads once, for each pair of its items, that they occur together, and for each item that it occurs: XᵀX is
// symmetric, so that a pair is one number (pairs.hpp), about items / 2 numbers an item, whatever the device has. There
// is no private factor: a device scores with its own history, s_j = Σ_{i ∈ S} B_ij, and what an item of the history
// adds is the explanation. A round starts from nothing but its own sum: a second one, later, follows the people as they
// now are.
//
// λ, unless it is set, is a share of the mean number of events of an item (server.cpp): XᵀX grows with the people and
// with their activity alike, and so does λ, with any participation.
//
// Shared tensors: precision [items × items/2 + 1] P, as pairs; scale [1 × 2] λ and the training rounds behind the
// model; popularity [items × 1] the events of each item in the last round. Before it P is the identity, and all scores
// are zero.
#pragma once

#include <optional>

#include "common/model/ease/pairs.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/model.hpp"
#include "common/model/registry.hpp"

namespace chorus::model::ease {

[[nodiscard]] Family family();

// An upload, and the model, have about items² / 2 numbers, the solution takes items³ operations.
inline constexpr std::uint32_t kMostItems = 5'000;

struct Parameters {
  std::optional<double> lambda;  // absent: from the round's own sums
  std::uint32_t rounds = 0;      // the preset's
  int bits = 0;                  // of a ring coordinate
};

class Ease final : public Model {
 public:
  // Errors: invalid_argument (a setting, a contract of ratings, a catalogue above kMostItems, or no headroom for the
  // cohorts' size).
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(const Settings& settings, const ModelShape& shape);

  [[nodiscard]] std::string_view family() const noexcept override { return "ease"; }
  [[nodiscard]] std::uint32_t solver_version() const noexcept override { return 1; }
  [[nodiscard]] const Settings& settings() const noexcept override { return settings_; }
  [[nodiscard]] const ModelShape& shape() const noexcept override { return shape_; }
  [[nodiscard]] std::uint32_t preset_rounds() const noexcept override { return parameters_.rounds; }
  [[nodiscard]] bool needs_survey() const noexcept override { return false; }
  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const override;
  // They are XᵀX.
  [[nodiscard]] bool rows_come_apart() const noexcept override { return false; }

  [[nodiscard]] ServerState initial() const override;
  // New items have no weights until the next round.
  void grow(ServerState& state) const override;
  // REQUIRES: a training round's sums; nothing is surveyed.
  [[nodiscard]] Status step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                            std::uint64_t contributors) const override;
  [[nodiscard]] Quality quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const override;
  [[nodiscard]] Status check_shared(const TensorSet& shared) const override;
  [[nodiscard]] std::uint64_t training_rounds(const TensorSet& shared) const noexcept override;

  // The private state is the history: the items' indices.
  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                  ring::Contribution& out) const override;
  void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const override;
  [[nodiscard]] double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const override;
  // One part for each training event: its item's weight.
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;
  [[nodiscard]] std::span<const float> popularity(const TensorSet& shared) const noexcept override;

 private:
  Ease(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts);

  [[nodiscard]] Status apply_training(ServerState& state, std::span<const std::vector<double>> sums) const;
  // λ of this sum, with the events an item.
  [[nodiscard]] static double ridge_of(std::span<const double> together, std::span<const double> events) noexcept;
  // B_ij, 0 for i = j.
  [[nodiscard]] double weight(const std::vector<float>& precision, std::size_t i, std::size_t j) const noexcept;
  void write_metrics(const TensorSet& shared, const LocalData& data, std::span<double> out) const;

  Settings settings_;
  Parameters parameters_;
  ModelShape shape_;
  Layouts layouts_;
  Pairs pairs_;
};

// Indices of the update layouts' tensors.
namespace tensor {
inline constexpr std::size_t kTogether = 0, kTrainMetrics = 1;
inline constexpr std::size_t kMeasureMetrics = 0;
}  // namespace tensor
// Of the shared tensors.
namespace shared_tensor {
inline constexpr std::size_t kPrecision = 0, kScale = 1, kPopularity = 2;
}

}  // namespace chorus::model::ease
