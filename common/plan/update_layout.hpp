// What a device uploads in a round: named tensors of fixed-point numbers, each coordinate an integer modulo 2^bits.
// The layout is public, the same for every device of a cohort, and part of the plan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"

namespace chorus::plan {

// Two limbs carry a number as hi·2^kLimbBits + lo with lo in [-2^(kLimbBits-1), 2^(kLimbBits-1)): sums of wide values
// (counts, squares, curvature) stay exact in the same ring.
inline constexpr int kLimbBits = 12;

struct TensorLayout {
  std::string name;            // "gradient"; at most 32 characters of [a-z0-9_]
  std::uint32_t rows = 0;      // the number of items for a per-item tensor, 1 otherwise
  std::uint32_t columns = 0;   // numbers a row
  bool per_item = false;       // row i belongs to item i; most rows of one device are zero
  std::uint8_t limbs = 1;      // 1 or 2 ring coordinates a number
  std::int8_t scale_log2 = 0;  // a number x travels as round_to_even(x·2^scale_log2)
  double clip = 0;             // |x| is clipped to this before it is scaled

  [[nodiscard]] std::size_t numbers() const noexcept { return std::size_t{rows} * columns; }
  [[nodiscard]] std::size_t coordinates() const noexcept { return numbers() * limbs; }
  friend bool operator==(const TensorLayout&, const TensorLayout&) = default;
};

// At least the largest |coordinate| that a device may upload for this tensor, in either limb, also where its numbers
// are rounded away from zero. REQUIRES: a tensor of a validated layout.
[[nodiscard]] std::uint64_t largest_coordinate(const TensorLayout& tensor) noexcept;

// Validated: every tensor well-formed, names distinct, per-item tensors of one row count, and each coordinate's sum
// over `max_contributors` devices fits: contributors · max|coordinate| < 2^(bits-1).
class UpdateLayout {
 public:
  static constexpr std::size_t kMaxTensors = 16;
  static constexpr std::size_t kMaxCoordinates = std::size_t{1} << 28;

  // bits: 16, 24 or 32. Errors: invalid_argument, too_large; the sentence names the tensor and the bound.
  [[nodiscard]] static Result<UpdateLayout> create(std::vector<TensorLayout> tensors, int bits,
                                                   std::uint32_t max_contributors);

  [[nodiscard]] const std::vector<TensorLayout>& tensors() const noexcept { return tensors_; }
  [[nodiscard]] int bits() const noexcept { return bits_; }
  [[nodiscard]] std::uint32_t max_contributors() const noexcept { return max_contributors_; }
  // d, the ring coordinates of an upload.
  [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
  // Bytes of a packed upload: dimension · bits / 8.
  [[nodiscard]] std::size_t packed_size() const noexcept { return dimension_ * static_cast<std::size_t>(bits_) / 8; }
  // The first coordinate of tensor `t` (in order of tensors()). Numbers are row-major; the limbs of a number are
  // adjacent, high first.
  [[nodiscard]] std::size_t offset(std::size_t t) const noexcept { return offsets_[t]; }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const noexcept;
  // Items of the per-item tensors, 0 without any; numbers a row of all per-item tensors together; numbers of all
  // other tensors together.
  [[nodiscard]] std::uint32_t items() const noexcept { return items_; }
  [[nodiscard]] std::size_t row_width() const noexcept { return row_width_; }
  [[nodiscard]] std::size_t dense_width() const noexcept { return dense_width_; }

  void encode(ByteWriter& out) const;
  [[nodiscard]] static Result<UpdateLayout> decode(ByteReader& in);

  friend bool operator==(const UpdateLayout&, const UpdateLayout&) = default;

 private:
  UpdateLayout() = default;
  std::vector<TensorLayout> tensors_;
  std::vector<std::size_t> offsets_;
  int bits_ = 24;
  std::uint32_t max_contributors_ = 0;
  std::size_t dimension_ = 0;
  std::uint32_t items_ = 0;
  std::size_t row_width_ = 0;
  std::size_t dense_width_ = 0;
};

}  // namespace chorus::plan
