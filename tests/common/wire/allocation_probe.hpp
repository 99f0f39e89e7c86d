// The largest single allocation since a moment, on this thread: what a hostile length makes us ask for.
#pragma once

#include <cstddef>

namespace chorus::wire {

class AllocationProbe {
 public:
  AllocationProbe() noexcept;
  [[nodiscard]] std::size_t largest() const noexcept;
};

}  // namespace chorus::wire
