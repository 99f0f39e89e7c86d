// The trial of sparse events (design: learning, section 2, "Implicit"): below twelve events a person a factor model may
// rank worse than popularity. Each device then keeps one event out of its first rounds' training and says how well it
// ranks under each candidate; only the sums over all devices are known. The rounds after the trial train on everything.
// Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/model/model.hpp"

namespace chorus::model::ials::trial {

// Below so many events a person, in the mean, there is a trial.
inline constexpr double kSparse = 12;
// In so many training rounds; the last one's sums decide.
inline constexpr std::uint64_t kRounds = 4;
// The candidates: multiples of λ, then popularity. A device's numbers: the NDCG@10 under each.
inline constexpr double kMultiples[] = {1, 2, 4};
inline constexpr std::size_t kPopularity = 3, kSize = 4;

// The place of the event to hold out, or training.size(), if it is the only one: the latest one; among equally late
// ones any, by a hash of the items.
[[nodiscard]] std::size_t held_out_place(std::span<const Observation> training) noexcept;

// The candidate with the largest sum: popularity, if no other is above it; of others the first. sums: [kSize]
[[nodiscard]] std::size_t best_candidate(std::span<const double> sums) noexcept;

}  // namespace chorus::model::ials::trial
