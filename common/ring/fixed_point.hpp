// Real numbers to ring coordinates and back (design: privacy, section 2, without noise): clip, scale by a power of two,
// round to nearest even, reduce modulo 2^bits in two's complement. Zero encodes to zero.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.hpp"
#include "common/ring/contribution.hpp"

namespace chorus::ring {

// What encoding had to change; shown, never silent.
struct EncodeCounts {
  std::uint64_t clipped = 0;  // numbers beyond their tensor's clip
};

// Whether a contribution has its layout's shape and nothing but finite numbers. Errors: as encode().
[[nodiscard]] Status check(const plan::UpdateLayout& layout, const Contribution& contribution);

// The dense packed upload of layout.packed_size() bytes: coordinate k at bits [k·b, (k+1)·b), little-endian.
// Errors: non_finite (names the tensor and, for a per-item tensor, the item's index), invalid_argument (wrong shape).
[[nodiscard]] Result<crypto::ZeroizingBytes> encode(const plan::UpdateLayout& layout, const Contribution& contribution,
                                                    EncodeCounts& counts);

// The sum of one cohort, modulo 2^bits. Not thread-safe.
class CohortSum {
 public:
  explicit CohortSum(const plan::UpdateLayout& layout);
  // The sum that unmasking found: coordinates are cut to the ring's width. REQUIRES: coordinates.size() ==
  // layout.dimension().
  [[nodiscard]] static CohortSum of(const plan::UpdateLayout& layout, std::vector<std::uint32_t> coordinates,
                                    std::uint32_t contributors);
  // Adds a packed upload. Errors: malformed, if it is not layout.packed_size() bytes; too_large, beyond the
  // contributors that the layout has headroom for. The sum is then unchanged.
  [[nodiscard]] Status add(ByteView packed);
  [[nodiscard]] std::uint32_t contributors() const noexcept { return contributors_; }
  // [dimension] coordinates, each below 2^bits.
  [[nodiscard]] std::span<const std::uint32_t> coordinates() const noexcept { return sum_; }

 private:
  CohortSum(const plan::UpdateLayout& layout, std::size_t coordinates);
  int bits_;
  std::uint32_t max_contributors_;
  std::size_t packed_size_;
  std::uint32_t contributors_ = 0;
  std::vector<std::uint32_t> sum_;
};

// The sum of a round, over any number of cohorts, as exact integers (coordinates lifted to two's complement before
// they are added), and the numbers they stand for. Not thread-safe.
class RoundSum {
 public:
  explicit RoundSum(const plan::UpdateLayout& layout);
  // A sum that was written down. REQUIRES: coordinates.size() == layout.dimension().
  [[nodiscard]] static RoundSum of(const plan::UpdateLayout& layout, std::vector<std::int64_t> coordinates,
                                   std::uint64_t contributors);
  void add(const CohortSum& cohort);
  // Adds one contribution as its device would have encoded it: the same integers, without the packed form.
  // Errors: as encode().
  [[nodiscard]] Status add(const Contribution& contribution, EncodeCounts& counts);
  void add(const RoundSum& other);
  // Adds noise that was drawn for some of the contributors. REQUIRES: samples.size() == layout.dimension().
  void add_noise(std::span<const std::int32_t> samples);

  [[nodiscard]] const plan::UpdateLayout& layout() const noexcept { return layout_; }
  [[nodiscard]] std::uint64_t contributors() const noexcept { return contributors_; }
  // [dimension]
  [[nodiscard]] std::span<const std::int64_t> coordinates() const noexcept { return sum_; }
  // Tensor `t` as numbers, [rows × columns] row-major: integer / 2^scale_log2, limbs joined.
  [[nodiscard]] std::vector<double> numbers(std::size_t t) const;

 private:
  plan::UpdateLayout layout_;
  std::uint64_t contributors_ = 0;
  std::vector<std::int64_t> sum_;
};

}  // namespace chorus::ring
