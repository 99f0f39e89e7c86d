// The least and the most that a device accepts of any plan. Daemons and the library pass kProductionFloors, with no
// option and no build flag; tests pass their own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/time.hpp"

namespace chorus::plan {

// A non-negative rational, as γ and δ travel.
struct Ratio {
  std::uint32_t numerator = 0;
  std::uint32_t denominator = 1;
  // ⌊ratio · n⌋ by integer division. REQUIRES: denominator > 0.
  [[nodiscard]] constexpr std::uint32_t of(std::uint32_t n) const noexcept {
    return static_cast<std::uint32_t>(std::uint64_t{n} * numerator / denominator);
  }
  friend constexpr bool operator==(const Ratio&, const Ratio&) = default;
};

struct Floors {
  std::uint32_t least_survivors = 64;  // n_min ≥ ⌈least_survivors / (1 − δ)⌉: 76 at δ = .15
  std::uint32_t most_members = 512;    // of one cohort
  Ratio most_dropout{1, 3};            // δ
  Ratio least_corrupt{1, 20};          // γ
  double least_noise = 4;              // σ_loc where there is any; Policy says whether there may be none
  std::size_t most_coordinates = std::size_t{1} << 25;
  Duration longest_phase = 10min;
  std::uint64_t most_round_jump = std::uint64_t{1} << 20;
};

inline constexpr Floors kProductionFloors{};

// ⌈least_survivors / (1 − δ)⌉. REQUIRES: δ < 1.
[[nodiscard]] constexpr std::uint32_t least_cohort(const Floors& floors, Ratio dropout) noexcept {
  const std::uint64_t keep = dropout.denominator - dropout.numerator;
  return static_cast<std::uint32_t>((std::uint64_t{floors.least_survivors} * dropout.denominator + keep - 1) / keep);
}

}  // namespace chorus::plan
