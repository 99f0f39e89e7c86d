#include "common/ring/fixed_point.hpp"

#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/ring/packing.hpp"

namespace chorus::ring {
namespace {

using plan::kLimbBits;
using plan::TensorLayout;
using plan::UpdateLayout;

// 1.5·2^52: for |x| < 2^51 the sum x + kRound lies in [2^52, 2^53), where doubles are the integers; the addition itself
// rounds to nearest even, and the integer stands in the low bits. A layout's numbers are below 2^(31 + kLimbBits).
constexpr double kRound = 6755399441055744.0;

std::int64_t round_to_even(double x) noexcept {
  return std::bit_cast<std::int64_t>(x + kRound) - std::bit_cast<std::int64_t>(kRound);
}

struct Quantizer {
  explicit Quantizer(const TensorLayout& tensor) : clip(tensor.clip), scale(std::ldexp(1.0, tensor.scale_log2)) {}
  // REQUIRES: x is finite.
  std::int64_t operator()(double x, std::uint64_t& clipped) const noexcept {
    double kept = x < -clip ? -clip : x;
    kept = kept > clip ? clip : kept;
    clipped += static_cast<std::uint64_t>(kept != x);
    return round_to_even(kept * scale);
  }
  double clip;
  double scale;
};

// hi·2^L + lo with lo in [-2^(L-1), 2^(L-1)).
std::int64_t high_limb(std::int64_t value) noexcept {
  return (value + (std::int64_t{1} << (kLimbBits - 1))) >> kLimbBits;
}

bool all_finite(std::span<const double> values) noexcept {
  bool finite = true;
  for (const double x : values) finite &= x - x == 0;  // infinities and NaNs give NaN
  return finite;
}

// Which tensor of one kind (per-item or not) column `column` of a row belongs to.
const TensorLayout& tensor_of_column(const UpdateLayout& layout, bool per_item, std::size_t column) {
  const TensorLayout* last = nullptr;
  for (const TensorLayout& tensor : layout.tensors()) {
    if (tensor.per_item != per_item) continue;
    last = &tensor;
    if (column < tensor.columns) break;
    column -= tensor.columns;
  }
  return *last;
}

Status check(const UpdateLayout& layout, const Contribution& contribution) {
  const std::size_t width = layout.row_width();
  if (contribution.rows.size() != contribution.items.size() * width ||
      contribution.dense.size() != layout.dense_width()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a contribution of {} items has {} and {} numbers; its layout has {} an item and {}",
                            contribution.items.size(), contribution.rows.size(), contribution.dense.size(), width,
                            layout.dense_width()));
  }
  for (std::size_t i = 0; i < contribution.items.size(); ++i) {
    const std::uint32_t item = contribution.items[i];
    if (item >= layout.items()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("a contribution names item {}; its layout has {}", item, layout.items()));
    }
    if (i > 0 && contribution.items[i - 1] >= item) {
      return fail(ErrorCode::invalid_argument, "a contribution's items are not strictly increasing");
    }
  }
  if (!all_finite(contribution.rows)) {
    for (std::size_t k = 0; k < contribution.rows.size(); ++k) {
      if (std::isfinite(contribution.rows[k])) continue;
      return fail(ErrorCode::non_finite,
                  fmt::format("the contribution to '{}' is not a finite number",
                              tensor_of_column(layout, true, k % width).name),
                  fmt::format("item {}", contribution.items[k / width]));
    }
  }
  for (std::size_t k = 0; k < contribution.dense.size(); ++k) {
    if (std::isfinite(contribution.dense[k])) continue;
    return fail(ErrorCode::non_finite, fmt::format("the contribution to '{}' is not a finite number",
                                                   tensor_of_column(layout, false, k).name));
  }
  return {};
}

// Calls sink(coordinate, value) for every coordinate that the contribution may touch.
// REQUIRES: check() succeeded.
template <typename Sink>
void quantize(const UpdateLayout& layout, const Contribution& contribution, EncodeCounts& counts, Sink&& sink) {
  std::uint64_t clipped = 0;
  const auto number = [&](const Quantizer& quantizer, int limbs, std::size_t coordinate, double x) {
    const std::int64_t value = quantizer(x, clipped);
    if (limbs == 1) {
      sink(coordinate, value);
    } else {
      const std::int64_t high = high_limb(value);
      sink(coordinate, high);
      sink(coordinate + 1, value - (high << kLimbBits));
    }
  };
  const std::size_t width = layout.row_width();
  std::size_t row_column = 0;
  std::size_t dense_column = 0;
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    const TensorLayout& tensor = layout.tensors()[t];
    const Quantizer quantizer(tensor);
    const int limbs = tensor.limbs;
    const std::size_t columns = tensor.columns;
    if (tensor.per_item) {
      for (std::size_t i = 0; i < contribution.items.size(); ++i) {
        const double* row = contribution.rows.data() + i * width + row_column;
        const std::size_t first = layout.offset(t) + contribution.items[i] * columns * tensor.limbs;
        if (limbs == 1) {
          for (std::size_t c = 0; c < columns; ++c) sink(first + c, quantizer(row[c], clipped));
        } else {
          for (std::size_t c = 0; c < columns; ++c) number(quantizer, limbs, first + 2 * c, row[c]);
        }
      }
      row_column += columns;
    } else {
      for (std::size_t c = 0; c < columns; ++c) {
        number(quantizer, limbs, layout.offset(t) + c * tensor.limbs, contribution.dense[dense_column + c]);
      }
      dense_column += columns;
    }
  }
  counts.clipped += clipped;
}

template <int kBytes>
void store(std::uint8_t* out, std::int64_t value) noexcept {
  const auto bits = static_cast<std::uint64_t>(value);  // two's complement, cut to kBytes
  for (int b = 0; b < kBytes; ++b) out[b] = static_cast<std::uint8_t>(bits >> (8 * b));
}

template <int kBytes>
void encode_into(const UpdateLayout& layout, const Contribution& contribution, EncodeCounts& counts,
                 std::uint8_t* out) {
  quantize(layout, contribution, counts,
           [out](std::size_t k, std::int64_t value) { store<kBytes>(out + k * kBytes, value); });
}

}  // namespace

Result<crypto::ZeroizingBytes> encode(const UpdateLayout& layout, const Contribution& contribution,
                                      EncodeCounts& counts) {
  CHORUS_TRY_DO(check(layout, contribution));
  crypto::ZeroizingBytes packed(layout.packed_size(), 0);
  switch (layout.bits()) {
    case 16:
      encode_into<2>(layout, contribution, counts, packed.data());
      break;
    case 24:
      encode_into<3>(layout, contribution, counts, packed.data());
      break;
    default:
      encode_into<4>(layout, contribution, counts, packed.data());
      break;
  }
  return packed;
}

CohortSum::CohortSum(const UpdateLayout& layout) : CohortSum(layout, layout.dimension()) {}

CohortSum::CohortSum(const UpdateLayout& layout, std::size_t coordinates)
    : bits_(layout.bits()),
      max_contributors_(layout.max_contributors()),
      packed_size_(layout.packed_size()),
      sum_(coordinates, 0) {}

Status CohortSum::add(ByteView packed) {
  if (packed.size() != packed_size_) {
    return fail(ErrorCode::malformed, fmt::format("an update has {} bytes, not {}", packed.size(), packed_size_));
  }
  if (contributors_ >= max_contributors_) {
    return fail(ErrorCode::too_large,
                fmt::format("the layout has headroom for {} contributors, and they are there", max_contributors_));
  }
  add_packed(bits_, packed, sum_);
  ++contributors_;
  return {};
}

CohortSum CohortSum::of(const plan::UpdateLayout& layout, std::vector<std::uint32_t> coordinates,
                        std::uint32_t contributors) {
  CHORUS_ENSURE(coordinates.size() == layout.dimension(), "a sum has its layout's coordinates");
  const std::uint32_t mask = ~std::uint32_t{0} >> (32 - layout.bits());
  for (std::uint32_t& coordinate : coordinates) coordinate &= mask;
  CohortSum sum(layout, 0);
  sum.sum_ = std::move(coordinates);
  sum.contributors_ = contributors;
  return sum;
}

RoundSum::RoundSum(const UpdateLayout& layout) : layout_(layout), sum_(layout.dimension(), 0) {}

void RoundSum::add(const CohortSum& cohort) {
  const int unused = 32 - layout_.bits();
  const std::span<const std::uint32_t> coordinates = cohort.coordinates();
  CHORUS_ENSURE(coordinates.size() == sum_.size(), "a cohort's sum has its round's layout");
  for (std::size_t k = 0; k < sum_.size(); ++k) {
    // Lifted: the top bit of the ring is the sign. The layout's headroom keeps |Σ| below 2^(bits-1).
    sum_[k] += static_cast<std::int32_t>(coordinates[k] << unused) >> unused;
  }
  contributors_ += cohort.contributors();
}

Status RoundSum::add(const Contribution& contribution, EncodeCounts& counts) {
  CHORUS_TRY_DO(check(layout_, contribution));
  // |coordinate| < 2^31: 2^32 contributions fit.
  quantize(layout_, contribution, counts, [sum = sum_.data()](std::size_t k, std::int64_t value) { sum[k] += value; });
  ++contributors_;
  return {};
}

void RoundSum::add(const RoundSum& other) {
  CHORUS_ENSURE(other.layout_ == layout_, "two sums of one round have one layout");
  for (std::size_t k = 0; k < sum_.size(); ++k) sum_[k] += other.sum_[k];
  contributors_ += other.contributors_;
}

std::vector<double> RoundSum::numbers(std::size_t t) const {
  const TensorLayout& tensor = layout_.tensors()[t];
  const std::int64_t* sum = sum_.data() + layout_.offset(t);
  std::vector<double> numbers(tensor.numbers());
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    const std::int64_t value = tensor.limbs == 1 ? sum[k] : sum[2 * k] * (1 << kLimbBits) + sum[2 * k + 1];
    numbers[k] = std::ldexp(static_cast<double>(value), -tensor.scale_log2);
  }
  return numbers;
}

}  // namespace chorus::ring
