#include "tests/common/wire/allocation_probe.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t largest_allocation = 0;

}  // namespace

void* operator new(std::size_t size) {
  largest_allocation = std::max(largest_allocation, size);
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace chorus::wire {

AllocationProbe::AllocationProbe() noexcept {
  largest_allocation = 0;
}
std::size_t AllocationProbe::largest() const noexcept {
  return largest_allocation;
}

}  // namespace chorus::wire
