// The numbers of a secure sum that follow from the roster's size (design: secure aggregation, symbols and section 3).
#pragma once

#include <cstdint>

#include "common/base/result.hpp"
#include "common/plan/floors.hpp"

namespace chorus::secagg {

// No more than this many members share one sum: positions fit 16 bits, and every pair is masked.
inline constexpr std::uint32_t kMostMembers = 512;

struct Parameters {
  std::uint32_t members = 0;    // n
  std::uint32_t corrupt = 0;    // A = ⌊γn⌋: corrupt roster members that the protocol withstands
  std::uint32_t dropout = 0;    // D = ⌊δn⌋: members that may be lost before the survivors are fixed
  std::uint32_t threshold = 0;  // t = ⌊(n + A)/2⌋ + 1: shares that open a secret, fewer tell nothing
  std::uint32_t quorum = 0;     // Q = t: signatures that certify one survivor set; 2Q > n + A
  std::uint32_t honest = 0;     // N = n − D − A: honest contributors that hide each other

  // The fewest survivors that may be summed, n − D.
  [[nodiscard]] constexpr std::uint32_t least_survivors() const noexcept { return members - dropout; }
  // Whether D members may go before the survivors are fixed, A stay silent, and t shares are still found.
  [[nodiscard]] constexpr bool recoverable() const noexcept { return members - dropout - corrupt >= threshold; }

  friend constexpr bool operator==(const Parameters&, const Parameters&) = default;
};

// Errors: cohort_too_small (no honest survivor, or fewer members than a threshold), invalid_argument (a ratio of 1 or
// more, n beyond kMostMembers).
[[nodiscard]] Result<Parameters> derive_parameters(std::uint32_t members, plan::Ratio corrupt, plan::Ratio dropout);

}  // namespace chorus::secagg
