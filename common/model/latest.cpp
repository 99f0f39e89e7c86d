#include "common/model/latest.hpp"

#include <algorithm>

namespace chorus::model {

std::span<const Observation> latest(std::span<const Observation> all, std::size_t cap, Observations& kept) {
  if (all.size() <= cap) return all;
  kept.assign(all.begin(), all.end());
  std::ranges::nth_element(
      kept, kept.begin() + static_cast<std::ptrdiff_t>(cap),
      [](const Observation& a, const Observation& b) { return a.when != b.when ? a.when > b.when : a.item < b.item; });
  kept.resize(cap);
  std::ranges::sort(kept, {}, &Observation::item);
  return kept;
}

}  // namespace chorus::model
