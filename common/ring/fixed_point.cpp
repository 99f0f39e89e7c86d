#include "common/ring/fixed_point.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

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

// Two numbers: one register of baseline x86-64.
using Two = double __attribute__((vector_size(16)));
using TwoIntegers = std::int64_t __attribute__((vector_size(16)));

Two load(const double* from) noexcept {
  Two two;
  std::memcpy(&two, from, sizeof two);
  return two;
}

Two magnitudes(Two x) noexcept {
  TwoIntegers bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits &= std::numeric_limits<std::int64_t>::max();  // without the sign
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

struct Quantizer {
  explicit Quantizer(const TensorLayout& tensor) : clip(tensor.clip), scale(std::ldexp(1.0, tensor.scale_log2)) {}
  // REQUIRES: neither is beyond the clip.
  [[nodiscard]] TwoIntegers operator()(Two x) const noexcept {
    const Two shifted = x * scale + kRound;
    TwoIntegers bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    return bits - std::bit_cast<std::int64_t>(kRound);
  }
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

// Whether no row of an item has a number beyond its tensor's clip, as is usual; then all of them are finite.
// REQUIRES: the contribution has the layout's shape.
bool rows_within_clips(const UpdateLayout& layout, const Contribution& contribution) {
  std::vector<double> clips;  // of a row's columns
  for (const TensorLayout& tensor : layout.tensors()) {
    if (tensor.per_item) clips.insert(clips.end(), tensor.columns, tensor.clip);
  }
  const std::size_t width = clips.size();
  const double* row = contribution.rows.data();
  TwoIntegers within = {-1, -1};
  bool last_within = true;  // of the last columns, where their number is odd
  for (std::size_t i = 0; i < contribution.items.size(); ++i, row += width) {
    for (std::size_t c = 0; c + 2 <= width; c += 2) within &= magnitudes(load(row + c)) <= load(clips.data() + c);
    if (width % 2 == 1) last_within &= std::abs(row[width - 1]) <= clips.back();
  }
  return (within[0] & within[1]) != 0 && last_within;
}

// Whether rows_within_clips(). Errors: as encode().
Result<bool> check_numbers(const UpdateLayout& layout, const Contribution& contribution) {
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
  const bool within = rows_within_clips(layout, contribution);
  if (!within) {
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
  return within;
}

// Calls sink(coordinate, value) for every coordinate that the contribution may touch, or sink(coordinate, values) for
// two of them, the coordinate and the next.
// REQUIRES: check() gave `within`.
template <typename Sink>
void quantize(const UpdateLayout& layout, const Contribution& contribution, bool within, EncodeCounts& counts,
              Sink&& sink) {
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
          std::size_t c = 0;
          if (within) {
            for (; c + 2 <= columns; c += 2) sink(first + c, quantizer(load(row + c)));
          }
          for (; c < columns; ++c) sink(first + c, quantizer(row[c], clipped));
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
struct Packed {
  std::uint8_t* out;
  void operator()(std::size_t k, std::int64_t value) const noexcept { store<kBytes>(out + k * kBytes, value); }
  void operator()(std::size_t k, TwoIntegers values) const noexcept {
    (*this)(k, values[0]);
    (*this)(k + 1, values[1]);
  }
};

struct Added {
  std::int64_t* sum;
  void operator()(std::size_t k, std::int64_t value) const noexcept { sum[k] += value; }
  void operator()(std::size_t k, TwoIntegers values) const noexcept {
    TwoIntegers two;
    std::memcpy(&two, sum + k, sizeof two);
    two += values;
    std::memcpy(sum + k, &two, sizeof two);
  }
};

template <int kBytes>
void encode_into(const UpdateLayout& layout, const Contribution& contribution, bool within, EncodeCounts& counts,
                 std::uint8_t* out) {
  quantize(layout, contribution, within, counts, Packed<kBytes>{out});
}

}  // namespace

Status check(const UpdateLayout& layout, const Contribution& contribution) {
  CHORUS_TRY([[maybe_unused]] const bool within, check_numbers(layout, contribution));
  return {};
}

Result<crypto::ZeroizingBytes> encode(const UpdateLayout& layout, const Contribution& contribution,
                                      EncodeCounts& counts) {
  CHORUS_TRY(const bool within, check_numbers(layout, contribution));
  crypto::ZeroizingBytes packed(layout.packed_size(), 0);
  switch (layout.bits()) {
    case 16:
      encode_into<2>(layout, contribution, within, counts, packed.data());
      break;
    case 24:
      encode_into<3>(layout, contribution, within, counts, packed.data());
      break;
    default:
      encode_into<4>(layout, contribution, within, counts, packed.data());
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

RoundSum RoundSum::of(const plan::UpdateLayout& layout, std::vector<std::int64_t> coordinates,
                      std::uint64_t contributors) {
  CHORUS_ENSURE(coordinates.size() == layout.dimension(), "a sum has its layout's coordinates");
  RoundSum out(layout);
  out.sum_ = std::move(coordinates);
  out.contributors_ = contributors;
  return out;
}

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
  CHORUS_TRY(const bool within, check_numbers(layout_, contribution));
  // |coordinate| < 2^31: 2^32 contributions fit.
  quantize(layout_, contribution, within, counts, Added{sum_.data()});
  ++contributors_;
  return {};
}

void RoundSum::add(const RoundSum& other) {
  CHORUS_ENSURE(other.layout_ == layout_, "two sums of one round have one layout");
  for (std::size_t k = 0; k < sum_.size(); ++k) sum_[k] += other.sum_[k];
  contributors_ += other.contributors_;
}

void RoundSum::add_noise(std::span<const std::int32_t> samples) {
  CHORUS_ENSURE(samples.size() == sum_.size(), "a sample for each coordinate");
  for (std::size_t k = 0; k < sum_.size(); ++k) sum_[k] += samples[k];
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
