#include "common/plan/sensitivity.hpp"

#include <algorithm>
#include <cmath>

namespace chorus::plan {

double rounding_sensitivity(double norm, std::size_t fractional) noexcept {
  const auto d = static_cast<double>(fractional);
  const double certain = (norm + std::sqrt(d)) * (norm + std::sqrt(d));
  // √(2 ln 1/β) = 1.
  const double likely = norm * norm + d / 4 + (norm + std::sqrt(d) / 2);
  return std::sqrt(std::min(certain, likely));
}

std::uint64_t squared_sensitivity(const UpdateLayout& layout, std::size_t first_tensor, const ClipGroup& group,
                                  std::uint32_t most_items) noexcept {
  const std::uint32_t touched = std::min(most_items, layout.items());
  std::size_t fractional = 0;
  for (std::size_t t = first_tensor; t < first_tensor + group.tensors; ++t) {
    const TensorLayout& tensor = layout.tensors()[t];
    fractional += std::size_t{tensor.columns} * (tensor.per_item ? touched : 1);
  }
  const double sensitivity = rounding_sensitivity(group.norm, fractional);
  // Below 2^63 for norms up to 2^31, as √d is at most 2^14.
  return static_cast<std::uint64_t>(std::floor(sensitivity * sensitivity));
}

std::uint64_t squared_sensitivity(const UpdateLayout& layout, std::span<const ClipGroup> groups,
                                  std::uint32_t most_items) noexcept {
  std::uint64_t sum = 0;
  std::size_t first = 0;
  for (const ClipGroup& group : groups) {
    sum += squared_sensitivity(layout, first, group, most_items);
    first += group.tensors;
  }
  return sum;
}

}  // namespace chorus::plan
