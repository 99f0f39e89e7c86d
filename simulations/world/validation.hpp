// Validation: a share of everybody's training ratings is held out, a model is trained on the rest and measured on the
// held-out part after every round. How `train --validation` chooses a round and what `tune` compares. Test ratings are
// not an argument: nothing can be chosen on them. Stateless.
#pragma once

#include <cstdint>
#include <vector>

#include "common/dataset/rating.hpp"
#include "simulations/world/training_run.hpp"

namespace chorus::sim {

struct Validation {
  std::uint32_t best_round = 1;      // the first of the best
  std::vector<double> round_losses;  // [rounds], of round 1, 2, …: lower is better
  double seconds = 0;

  [[nodiscard]] double best_loss() const noexcept { return round_losses[best_round - 1]; }
};

// What is compared: the error on the held-out ratings; of events −NDCG@10 at full rank.
[[nodiscard]] double validation_loss(const RoundReport& report);

// `share` within (0, 1); who is held out depends on `training` and `options.seed` alone, not on the model.
// Errors: invalid_argument (nothing could be held out: everybody has one rating), those of run_training.
[[nodiscard]] Result<Validation> validate(const model::Model& model, const dataset::RatingTable& training, double share,
                                          const TrainingOptions& options);

}  // namespace chorus::sim
