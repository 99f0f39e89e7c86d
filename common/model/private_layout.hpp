// Layouts of sums that carry noise: the finest fixed-point scale at which a cohort's sum still fits with it. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/plan/update_layout.hpp"

namespace chorus::model {

// Of the roster: what the noise is sized for when a cohort loses members and some of the others lie (δ = .15, γ = .05).
inline constexpr double kHonest = 0.8;

// n c s + 6 σ s √n ≤ 2^(bits − 2), the rest of the ring's half for rounding, for numbers of at most `clip` of
// `contributors` whose noise has the standard deviation `noise` a sum.
[[nodiscard]] int noisy_scale(int bits, double clip, double noise, std::uint32_t contributors) noexcept;

// One limb: a high one would multiply the noise. The clip becomes a whole number of ring units.
[[nodiscard]] plan::TensorLayout noisy_tensor(std::string name, std::uint32_t rows, std::size_t columns, bool per_item,
                                              double clip, int scale_log2);

}  // namespace chorus::model
