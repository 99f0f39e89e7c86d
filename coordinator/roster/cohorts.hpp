// How devices are divided into cohorts. Stateless.
#pragma once

#include <cstdint>
#include <vector>

namespace chorus::coordinator {

// Sizes of as few cohorts as hold `devices`, as equal as can be, none above `most` and none below `least`. Where that
// cannot be (130 devices in cohorts of 76 to 128), as many full cohorts as there are, and the other devices wait.
// At least `fewest` cohorts; empty with fewer devices than these need. REQUIRES: 0 < least ≤ most; 0 < fewest;
// fewest · least fits in 32 bits.
[[nodiscard]] std::vector<std::uint32_t> cohort_sizes(std::uint32_t devices, std::uint32_t least, std::uint32_t most,
                                                      std::uint32_t fewest = 1);

}  // namespace chorus::coordinator
