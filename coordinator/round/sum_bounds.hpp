// What honest members can make of a cohort's sum: a device that does not clip moves the model as far as it likes, and
// nobody sees its update. A sum beyond the bounds is rejected whole (design: privacy, section 2). Stateless.
#pragma once

#include <span>

#include "common/plan/sensitivity.hpp"
#include "common/plan/update_layout.hpp"
#include "common/ring/fixed_point.hpp"

namespace chorus::coordinator {

// With n members, clips c∞ and norms c in ring units, and noise of σ_sum = √n σ_loc (σ_loc: `local_noise`): every
// coordinate is within n c∞ + 6 σ_sum, and every group of d coordinates within n c + 6 σ_sum √d in norm. `groups` are
// empty for models that state no norms. Honest sums are refused with a chance below 2e-9 a coordinate, and only where
// all members are at their clips. Errors: sum_out_of_bounds (names the tensor, and the item of a per-item tensor).
[[nodiscard]] Status check_bounds(const plan::UpdateLayout& layout, double local_noise,
                                  std::span<const plan::ClipGroup> groups, const ring::CohortSum& sum);

}  // namespace chorus::coordinator
