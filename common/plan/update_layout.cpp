#include "common/plan/update_layout.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace chorus::plan {
namespace {

constexpr std::size_t kMaxNameLength = 32;
constexpr int kMaxScaleLog2 = 40;

bool well_named(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameLength &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

// The largest |coordinate| that a number of this tensor can take, in either limb.
// With v the encoded number, |v| ≤ V, hi = ⌊(v + 2^(L-1)) / 2^L⌋ and lo = v − hi·2^L: |hi| ≤ (V + 2^(L-1)) / 2^L, and
// |lo| ≤ min(V, 2^(L-1)).
std::uint64_t largest_of(std::uint64_t largest_number, int limbs) {
  if (limbs == 1) return largest_number;
  constexpr std::uint64_t half = std::uint64_t{1} << (kLimbBits - 1);
  return std::max((largest_number + half) >> kLimbBits, std::min(largest_number, half));
}

Status check_tensor(const TensorLayout& tensor, int bits, std::uint32_t max_contributors) {
  const auto refuse = [&tensor](ErrorCode code, std::string_view what) {
    return fail(code, fmt::format("tensor '{}' of the update layout {}", tensor.name, what));
  };
  if (!well_named(tensor.name)) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("a tensor of the update layout needs a name of 1 to {} characters of [a-z0-9_]", kMaxNameLength));
  }
  if (tensor.rows == 0 || tensor.columns == 0) {
    return refuse(ErrorCode::invalid_argument, fmt::format("is empty ({} x {})", tensor.rows, tensor.columns));
  }
  if (!tensor.per_item && tensor.rows != 1) {
    return refuse(ErrorCode::invalid_argument, "has several rows, but is not one row an item");
  }
  if (tensor.limbs != 1 && tensor.limbs != 2) {
    return refuse(ErrorCode::invalid_argument, fmt::format("has {} limbs, not 1 or 2", tensor.limbs));
  }
  if (tensor.numbers() > UpdateLayout::kMaxCoordinates / tensor.limbs) {
    return refuse(ErrorCode::too_large, fmt::format("has {} x {} numbers; at most {} coordinates are allowed",
                                                    tensor.rows, tensor.columns, UpdateLayout::kMaxCoordinates));
  }
  if (tensor.scale_log2 < -kMaxScaleLog2 || tensor.scale_log2 > kMaxScaleLog2) {
    return refuse(ErrorCode::invalid_argument,
                  fmt::format("has the scale 2^{}, beyond 2^±{}", tensor.scale_log2, kMaxScaleLog2));
  }
  if (!std::isfinite(tensor.clip) || tensor.clip <= 0) {
    return refuse(ErrorCode::invalid_argument, fmt::format("has the clip {}, not a positive number", tensor.clip));
  }
  // Exact, being a product with a power of two; far beyond the bound it may be infinite, which the bound refuses.
  const double scaled = std::ldexp(tensor.clip, tensor.scale_log2);
  const double bound = std::ldexp(1.0, bits - 1);
  if (scaled > bound * (1 << kLimbBits)) {
    return refuse(ErrorCode::too_large,
                  fmt::format("needs numbers up to {}, beyond {} bits in {} limbs", scaled, bits, tensor.limbs));
  }
  const auto largest = static_cast<std::uint64_t>(std::nearbyint(scaled));
  if (largest == 0) {
    return refuse(ErrorCode::invalid_argument, fmt::format("rounds everything to zero: its clip {} times its scale "
                                                           "2^{} is below one",
                                                           tensor.clip, tensor.scale_log2));
  }
  // Headroom: the sum of every contributor's largest coordinate, of one sign, stays below 2^(bits-1), so two's
  // complement modulo 2^bits never wraps. The product could exceed 64 bits, the quotient cannot.
  const std::uint64_t coordinate = largest_of(largest, tensor.limbs);
  const std::uint64_t most = ((std::uint64_t{1} << (bits - 1)) - 1) / max_contributors;
  if (coordinate > most) {
    return refuse(ErrorCode::too_large,
                  fmt::format("has no headroom: {} contributors times {} reach beyond 2^{}; the largest coordinate may "
                              "be {}",
                              max_contributors, coordinate, bits - 1, most));
  }
  return {};
}

}  // namespace

std::uint64_t largest_coordinate(const TensorLayout& tensor) noexcept {
  return largest_of(static_cast<std::uint64_t>(std::ceil(std::ldexp(tensor.clip, tensor.scale_log2))), tensor.limbs);
}

Result<UpdateLayout> UpdateLayout::create(std::vector<TensorLayout> tensors, int bits, std::uint32_t max_contributors) {
  if (bits != 16 && bits != 24 && bits != 32) {
    return fail(ErrorCode::invalid_argument, fmt::format("an update layout has 16, 24 or 32 bits, not {}", bits));
  }
  if (max_contributors == 0) {
    return fail(ErrorCode::invalid_argument, "an update layout needs at least one contributor");
  }
  if (tensors.empty()) return fail(ErrorCode::invalid_argument, "an update layout needs at least one tensor");
  if (tensors.size() > kMaxTensors) {
    return fail(ErrorCode::too_large,
                fmt::format("an update layout has at most {} tensors, not {}", kMaxTensors, tensors.size()));
  }
  UpdateLayout layout;
  layout.bits_ = bits;
  layout.max_contributors_ = max_contributors;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const TensorLayout& tensor = tensors[t];
    CHORUS_TRY_DO(check_tensor(tensor, bits, max_contributors));
    for (std::size_t earlier = 0; earlier < t; ++earlier) {
      if (tensors[earlier].name == tensor.name) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the update layout has two tensors named '{}'", tensor.name));
      }
    }
    if (tensor.per_item) {
      if (layout.items_ != 0 && layout.items_ != tensor.rows) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("tensor '{}' of the update layout has {} items, the ones before it {}", tensor.name,
                                tensor.rows, layout.items_));
      }
      layout.items_ = tensor.rows;
      layout.row_width_ += tensor.columns;
    } else {
      layout.dense_width_ += tensor.columns;
    }
    // At most kMaxTensors · kMaxCoordinates = 2^32, no overflow.
    layout.offsets_.push_back(layout.dimension_);
    layout.dimension_ += tensor.coordinates();
    if (layout.dimension_ > kMaxCoordinates) {
      return fail(ErrorCode::too_large, fmt::format("with tensor '{}' the update layout has {} coordinates; at most {} "
                                                    "are allowed",
                                                    tensor.name, layout.dimension_, kMaxCoordinates));
    }
  }
  layout.tensors_ = std::move(tensors);
  return layout;
}

std::optional<std::size_t> UpdateLayout::find(std::string_view name) const noexcept {
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    if (tensors_[t].name == name) return t;
  }
  return std::nullopt;
}

void UpdateLayout::encode(ByteWriter& out) const {
  out.u8(static_cast<std::uint8_t>(bits_));
  out.u32(max_contributors_);
  out.u32(static_cast<std::uint32_t>(tensors_.size()));
  for (const TensorLayout& tensor : tensors_) {
    out.string(tensor.name);
    out.u32(tensor.rows);
    out.u32(tensor.columns);
    out.u8(tensor.per_item ? 1 : 0);
    out.u8(tensor.limbs);
    out.u8(static_cast<std::uint8_t>(tensor.scale_log2));
    out.f64(tensor.clip);
  }
}

Result<UpdateLayout> UpdateLayout::decode(ByteReader& in) {
  constexpr std::size_t kTensorSize = 4 + 4 + 4 + 1 + 1 + 1 + 8;  // without its name
  const int bits = in.u8();
  const std::uint32_t max_contributors = in.u32();
  const std::size_t count = in.count(kMaxTensors, kTensorSize);
  std::vector<TensorLayout> tensors(count);
  for (TensorLayout& tensor : tensors) {
    tensor.name = in.string(kMaxNameLength);
    tensor.rows = in.u32();
    tensor.columns = in.u32();
    const std::uint8_t per_item = in.u8();
    if (per_item > 1) in.reject("a flag that is neither 0 nor 1");
    tensor.per_item = per_item == 1;
    tensor.limbs = in.u8();
    tensor.scale_log2 = static_cast<std::int8_t>(in.u8());
    tensor.clip = in.f64();
  }
  if (in.failed()) return fail(in.finish("update layout").error());
  return create(std::move(tensors), bits, max_contributors);
}

}  // namespace chorus::plan
