#include "coordinator/roster/cohorts.hpp"

#include <algorithm>

#include "common/base/check.hpp"

namespace chorus::coordinator {

std::vector<std::uint32_t> cohort_sizes(std::uint32_t devices, std::uint32_t least, std::uint32_t most,
                                        std::uint32_t fewest) {
  CHORUS_ENSURE(least > 0 && least <= most && fewest > 0, "cohort bounds are in order");
  if (devices < fewest * least) return {};
  std::uint32_t cohorts = std::max(fewest, devices / most + (devices % most != 0 ? 1 : 0));
  if (devices / cohorts < least) {
    // Too many for the full cohorts, too few for one more: then there are more than `fewest`, all but one of them full.
    cohorts = devices / most;
    devices = cohorts * most;
  }
  std::vector<std::uint32_t> sizes(cohorts, devices / cohorts);
  for (std::uint32_t i = 0; i < devices % cohorts; ++i) ++sizes[i];
  return sizes;
}

}  // namespace chorus::coordinator
