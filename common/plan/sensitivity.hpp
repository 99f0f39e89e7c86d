// How far one device can move a round's sum: what a model states of its questions, and what noise is sized by (design:
// privacy, section 2). Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/result.hpp"
#include "common/plan/update_layout.hpp"

namespace chorus::plan {

// Consecutive tensors of a layout that are one question: clipped together, with a sensitivity of their own.
struct ClipGroup {
  std::size_t tensors = 0;
  double norm = 0;  // c·s: the L2 norm of the group's scaled numbers is clipped to this, in ring units
  friend bool operator==(const ClipGroup&, const ClipGroup&) = default;
};

// The largest norm that a vector of norm ≤ `norm` (c·s, in ring units) has after its `fractional` coordinates were
// rounded at random and the rounding was tried again until the norm is small enough (Kairouz, Liu and Steinke 2021,
// proposition 22):
//   Δ² = min{(cs + √d)², (cs)² + d/4 + √(2 ln 1/β) (cs + √d/2)},  β = e^(−1/2):  one try succeeds with chance ≥ 1 − β.
[[nodiscard]] double rounding_sensitivity(double norm, std::size_t fractional) noexcept;

// Δ² of one group, a whole number of squared ring units, for a device that touches at most `most_items` items.
// REQUIRES: the group begins at `first_tensor` and lies within the layout.
[[nodiscard]] std::uint64_t squared_sensitivity(const UpdateLayout& layout, std::size_t first_tensor,
                                                const ClipGroup& group, std::uint32_t most_items) noexcept;
// Δ² of all groups together. REQUIRES: the groups cover the layout's tensors, in order.
[[nodiscard]] std::uint64_t squared_sensitivity(const UpdateLayout& layout, std::span<const ClipGroup> groups,
                                                std::uint32_t most_items) noexcept;

}  // namespace chorus::plan
