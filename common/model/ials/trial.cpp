#include "common/model/ials/trial.hpp"

#include "common/dataset/seeded_generator.hpp"

namespace chorus::model::ials::trial {

std::size_t held_out_place(std::span<const Observation> training) noexcept {
  if (training.size() < 2) return training.size();
  std::uint64_t state = training.size();
  for (const Observation& event : training) {
    state ^= event.item;
    state = dataset::split_mix(state);
  }
  std::size_t place = state % training.size();
  for (std::size_t r = 0; r < training.size(); ++r) {
    if (training[r].when > training[place].when) place = r;
  }
  return place;
}

std::size_t best_candidate(std::span<const double> sums) noexcept {
  std::size_t best = kPopularity;
  for (std::size_t c = 0; c < kPopularity; ++c) {
    if (sums[c] > sums[best]) best = c;
  }
  return best;
}

}  // namespace chorus::model::ials::trial
