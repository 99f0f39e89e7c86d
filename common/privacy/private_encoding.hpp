// From a device's real numbers to ring coordinates that hide it: clip, scale, round at random, add noise, reduce modulo
// 2^bits (design: privacy, section 2; Kairouz, Liu and Steinke 2021, algorithm 1, without the rotation, which sparse
// contributions do not need). Adds to common/ring/fixed_point what privacy needs; the packed form is the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/plan/floors.hpp"
#include "common/plan/sensitivity.hpp"
#include "common/privacy/discrete_gaussian.hpp"
#include "common/ring/fixed_point.hpp"

namespace chorus::privacy {

using plan::ClipGroup;
using plan::rounding_sensitivity;

// The noise of one device that gives a sum over N honest ones the noise multiplier z: z·Δ/√N, and no less than the
// floor of the mechanism, below which sums of discrete Gaussians are no longer accounted for as Gaussian.
inline constexpr double kLeastLocalSigma = 4;
[[nodiscard]] double local_sigma(double noise_multiplier, double sensitivity, std::uint32_t honest) noexcept;

// N = n − ⌊δn⌋ − ⌊γn⌋: honest contributors whose noise is in the sum, however many members are lost or lie. 0 if none.
[[nodiscard]] std::uint32_t honest_contributors(std::uint32_t members, plan::Ratio corrupt,
                                                plan::Ratio dropout) noexcept;

// What encoding had to change; shown, never silent.
struct PrivateCounts {
  std::uint64_t clipped = 0;       // numbers beyond their tensor's own clip
  std::uint64_t norm_clipped = 0;  // groups beyond their norm
  std::uint64_t retries = 0;       // roundings that came out too long
  std::uint64_t wrapped = 0;  // coordinates that left [−2^(bits−1), 2^(bits−1)) with their noise; harmless in a sum
};

// Immutable, thread-safe.
class PrivateEncoding {
 public:
  // `groups` cover all tensors, in order. `most_items`: U, the public cap on the items that one device contributes to.
  // Errors: invalid_argument (a tensor of two limbs, whose high one would multiply the noise; a clip that is no whole
  // number of ring units; groups that do not cover the layout; a norm that is no number above 0; σ beyond 2^20),
  // parameter_below_floor (σ below kLeastLocalSigma).
  [[nodiscard]] static Result<PrivateEncoding> create(plan::UpdateLayout layout, std::span<const ClipGroup> groups,
                                                      std::uint32_t most_items, double sigma);

  [[nodiscard]] const plan::UpdateLayout& layout() const noexcept { return layout_; }
  [[nodiscard]] const DiscreteGaussian& noise() const noexcept { return noise_; }
  [[nodiscard]] std::uint32_t most_items() const noexcept { return most_items_; }
  // Δ² of all groups together, a whole number of squared ring units: no encoding's norm is above it. Adding or removing
  // one device moves the sum by at most Δ.
  [[nodiscard]] std::uint64_t squared_sensitivity() const noexcept { return squared_sensitivity_; }
  // The distance of a whole vector's noise from its exact law: belongs to δ, once a round.
  [[nodiscard]] double noise_delta() const noexcept;

  // Clips and rounds: the numbers that come back are whole multiples of their tensor's 2^−scale_log2, and what
  // ring::encode and ring::RoundSum make of them is exact. Errors: non_finite, invalid_argument (wrong shape),
  // too_large (more items than the cap).
  [[nodiscard]] Result<ring::Contribution> clip_and_round(const ring::Contribution& contribution,
                                                          crypto::RandomSource& random, PrivateCounts& counts) const;
  // The whole of it: the packed upload, noise in every coordinate, also in those that the device does not touch.
  // Errors: as clip_and_round().
  [[nodiscard]] Result<crypto::ZeroizingBytes> encode(const ring::Contribution& contribution,
                                                      crypto::RandomSource& random, PrivateCounts& counts) const;

  // Coordinates of a cohort's sum that are beyond what its members' clips and six standard deviations of their noise
  // explain: a member that did not clip, or a coordinate that wrapped.
  [[nodiscard]] std::uint64_t count_saturated(const ring::CohortSum& sum) const;

 private:
  struct Group {
    std::size_t first_tensor = 0;
    std::size_t tensors = 0;
    double norm = 0;
    std::uint64_t squared_sensitivity = 0;
  };
  PrivateEncoding(plan::UpdateLayout layout, DiscreteGaussian noise)
      : layout_(std::move(layout)), noise_(std::move(noise)) {}

  plan::UpdateLayout layout_;
  DiscreteGaussian noise_;
  std::uint32_t most_items_ = 0;
  std::vector<Group> groups_;
  std::uint64_t squared_sensitivity_ = 0;
};

}  // namespace chorus::privacy
