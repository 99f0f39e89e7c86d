#include "common/privacy/private_encoding.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/crypto/prg.hpp"
#include "common/ring/packing.hpp"

namespace chorus::privacy {
namespace {

using plan::TensorLayout;
using plan::UpdateLayout;

// Each try succeeds with a chance of at least 1 − e^(−1/2) = 0.39: this many fail with a chance below 1e-55.
constexpr int kMostTries = 256;
// Clipped a little inside, so that no rounding of doubles makes a vector longer than it may be.
constexpr double kInside = 1 - 1e-12;

// Uniform in [0, 1), in steps of 2^-53, from a stream that is read in blocks.
class Uniform {
 public:
  explicit Uniform(crypto::RandomSource& random) : stream_(random.secret<32>(), 0) {}
  Uniform(const Uniform&) = delete;
  Uniform& operator=(const Uniform&) = delete;
  ~Uniform() { crypto::wipe(bytes()); }
  double next() {
    if (at_ == words_.size()) {
      stream_.fill(bytes());
      at_ = 0;
    }
    return static_cast<double>(words_[at_++] >> 11) * 0x1p-53;
  }

 private:
  std::span<std::uint8_t> bytes() {
    return {reinterpret_cast<std::uint8_t*>(words_.data()), words_.size() * sizeof(std::uint64_t)};
  }
  crypto::Prg stream_;
  std::array<std::uint64_t, 256> words_{};
  std::size_t at_ = words_.size();
};

// Calls visit(tensor, numbers) for each run of a contribution's numbers that belongs to one of the tensors
// [first, first + count): a row's columns, or a whole dense tensor.
template <typename Numbers, typename Visit>
void for_each_run(const UpdateLayout& layout, std::size_t items, Numbers& rows, Numbers& dense, std::size_t first,
                  std::size_t count, Visit&& visit) {
  std::size_t row_column = 0;
  std::size_t dense_column = 0;
  for (std::size_t t = 0; t < first + count; ++t) {
    const TensorLayout& tensor = layout.tensors()[t];
    const bool wanted = t >= first;
    if (tensor.per_item) {
      for (std::size_t i = 0; wanted && i < items; ++i) {
        visit(tensor, std::span(rows.data() + i * layout.row_width() + row_column, tensor.columns));
      }
      row_column += tensor.columns;
    } else {
      if (wanted) visit(tensor, std::span(dense.data() + dense_column, tensor.columns));
      dense_column += tensor.columns;
    }
  }
}

Status check_tensor(const TensorLayout& tensor) {
  const auto refuse = [&tensor](std::string_view what) {
    return fail(ErrorCode::invalid_argument, fmt::format("tensor '{}' {}", tensor.name, what), "field 'layout'");
  };
  if (tensor.limbs != 1) return refuse("has two limbs: the noise of the high one would count 2^12-fold");
  const double clip = std::ldexp(tensor.clip, tensor.scale_log2);
  if (clip != std::floor(clip)) return refuse("has a clip that is no whole number of ring units");
  return {};
}

}  // namespace

double local_sigma(double noise_multiplier, double sensitivity, std::uint32_t honest) noexcept {
  return std::max(kLeastLocalSigma, noise_multiplier * sensitivity / std::sqrt(static_cast<double>(honest)));
}

std::uint32_t honest_contributors(std::uint32_t members, plan::Ratio corrupt, plan::Ratio dropout) noexcept {
  const std::uint32_t without = corrupt.of(members) + dropout.of(members);
  return without < members ? members - without : 0;
}

Result<PrivateEncoding> PrivateEncoding::create(plan::UpdateLayout layout, std::span<const ClipGroup> groups,
                                                std::uint32_t most_items, double sigma) {
  if (sigma < kLeastLocalSigma) {
    return fail(ErrorCode::parameter_below_floor,
                fmt::format("a device's noise must be at least {}, not {}", kLeastLocalSigma, sigma),
                "field 'local_noise'");
  }
  CHORUS_TRY(DiscreteGaussian noise, DiscreteGaussian::create(sigma));
  PrivateEncoding out(std::move(layout), std::move(noise));
  out.most_items_ = std::min(most_items, out.layout_.items());
  if (out.layout_.items() > 0 && most_items == 0) {
    return fail(ErrorCode::invalid_argument, "a device may contribute to no item", "most_items");
  }
  const std::vector<TensorLayout>& tensors = out.layout_.tensors();
  std::size_t first = 0;
  for (const ClipGroup& group : groups) {
    if (group.tensors == 0 || group.tensors > tensors.size() - first) {
      return fail(ErrorCode::invalid_argument, "the groups do not cover the layout's tensors once each", "groups");
    }
    if (!std::isfinite(group.norm) || group.norm <= 0 || group.norm > 0x1p31) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("a group's norm must be a number above 0 and at most 2^31, not {}", group.norm),
                  "groups");
    }
    for (std::size_t t = first; t < first + group.tensors; ++t) CHORUS_TRY_DO(check_tensor(tensors[t]));
    const std::uint64_t squared = plan::squared_sensitivity(out.layout_, first, group, out.most_items_);
    out.groups_.push_back({first, group.tensors, group.norm, squared});
    out.squared_sensitivity_ += squared;
    first += group.tensors;
  }
  if (first != tensors.size()) {
    return fail(ErrorCode::invalid_argument, "the groups do not cover the layout's tensors once each", "groups");
  }
  return out;
}

double PrivateEncoding::noise_delta() const noexcept {
  return static_cast<double>(layout_.dimension()) * noise_.statistical_distance();
}

Result<ring::Contribution> PrivateEncoding::clip_and_round(const ring::Contribution& contribution,
                                                           crypto::RandomSource& random, PrivateCounts& counts) const {
  CHORUS_TRY_DO(ring::check(layout_, contribution));
  if (contribution.items.size() > most_items_) {
    return fail(ErrorCode::too_large, fmt::format("a contribution touches {} items; the plan's cap is {}",
                                                  contribution.items.size(), most_items_));
  }
  const std::size_t items = contribution.items.size();
  PrivateCounts found;
  Uniform uniform(random);
  ring::Contribution out = contribution;
  for (const Group& group : groups_) {
    const auto visit = [&](auto& of, auto&& run) {
      for_each_run(layout_, items, of.rows, of.dense, group.first_tensor, group.tensors, run);
    };
    // Relative to the largest, so that no square of a finite number overflows.
    double largest = 0;
    visit(contribution, [&](const TensorLayout& tensor, std::span<const double> numbers) {
      for (const double x : numbers) largest = std::max(largest, std::abs(std::ldexp(x, tensor.scale_log2)));
    });
    if (largest == 0) continue;
    if (!std::isfinite(largest)) {
      return fail(ErrorCode::non_finite, "a contribution is too large to be scaled");
    }
    double squares = 0;
    visit(contribution, [&](const TensorLayout& tensor, std::span<const double> numbers) {
      for (const double x : numbers) {
        const double part = std::ldexp(x, tensor.scale_log2) / largest;
        squares += part * part;
      }
    });
    double factor = 1;
    if (largest * std::sqrt(squares) > group.norm) {
      factor = group.norm / largest / std::sqrt(squares) * kInside;
      ++found.norm_clipped;
    }
    // Clipped and scaled, not yet rounded.
    visit(out, [&](const TensorLayout& tensor, std::span<double> numbers) {
      const double clip = std::ldexp(tensor.clip, tensor.scale_log2);
      for (double& x : numbers) {
        const double scaled = std::ldexp(x, tensor.scale_log2) * factor;
        x = std::clamp(scaled, -clip, clip);
        found.clipped += static_cast<std::uint64_t>(x != scaled);
      }
    });
    const ring::Contribution scaled = out;
    for (int tries = 1;; ++tries) {
      // Held at Δ² + 1 ≤ 2^63 as it grows: a square of a number up to 2^31 more is below 2^64.
      std::uint64_t squared_norm = 0;
      visit(out, [&](const TensorLayout&, std::span<double> numbers) {
        for (double& x : numbers) {
          const double below = std::floor(x);
          x = below + static_cast<double>(uniform.next() < x - below);
          const auto whole = static_cast<std::uint64_t>(std::abs(x));
          squared_norm = std::min(squared_norm + whole * whole, group.squared_sensitivity + 1);
        }
      });
      if (squared_norm <= group.squared_sensitivity) break;
      CHORUS_ENSURE(tries < kMostTries, "one of many roundings is short enough");
      ++found.retries;
      out = scaled;
    }
    // Back to numbers: exact, as products with powers of two are.
    visit(out, [&](const TensorLayout& tensor, std::span<double> numbers) {
      for (double& x : numbers) x = std::ldexp(x, -tensor.scale_log2);
    });
  }
  counts.clipped += found.clipped;
  counts.norm_clipped += found.norm_clipped;
  counts.retries += found.retries;
  return out;
}

Result<crypto::ZeroizingBytes> PrivateEncoding::encode(const ring::Contribution& contribution,
                                                       crypto::RandomSource& random, PrivateCounts& counts) const {
  CHORUS_TRY(const ring::Contribution rounded, clip_and_round(contribution, random, counts));
  ring::EncodeCounts none;
  CHORUS_TRY(crypto::ZeroizingBytes packed, ring::encode(layout_, rounded, none));
  CHORUS_ENSURE(none.clipped == 0, "rounded numbers are within their clips");
  crypto::ZeroizingVector<std::uint32_t> lanes(layout_.dimension(), 0);
  ring::add_packed(layout_.bits(), packed, lanes);
  const int unused = 32 - layout_.bits();
  const std::int64_t half = std::int64_t{1} << (layout_.bits() - 1);
  crypto::ZeroizingVector<std::int32_t> samples(lanes.size());
  noise_.fill(samples, random);
  std::uint64_t wrapped = 0;
  for (std::size_t k = 0; k < lanes.size(); ++k) {
    // Lifted to two's complement, so that a wrap is seen; no branch depends on it.
    const std::int64_t value =
        std::int64_t{static_cast<std::int32_t>(lanes[k] << unused) >> unused} + std::int64_t{samples[k]};
    wrapped += static_cast<std::uint64_t>((value + half) >> layout_.bits() & 1);
    lanes[k] = static_cast<std::uint32_t>(value);
  }
  counts.wrapped += wrapped;
  ring::pack(layout_.bits(), lanes, packed);
  return packed;
}

std::uint64_t PrivateEncoding::count_saturated(const ring::CohortSum& sum) const {
  const double members = sum.contributors();
  const double margin = 6 * std::sqrt(members) * noise_.sigma();
  const int unused = 32 - layout_.bits();
  std::uint64_t saturated = 0;
  for (std::size_t t = 0; t < layout_.tensors().size(); ++t) {
    const TensorLayout& tensor = layout_.tensors()[t];
    const double most = members * std::ldexp(tensor.clip, tensor.scale_log2) + margin;
    for (const std::uint32_t coordinate : sum.coordinates().subspan(layout_.offset(t), tensor.coordinates())) {
      const std::int32_t value = static_cast<std::int32_t>(coordinate << unused) >> unused;
      saturated += static_cast<std::uint64_t>(std::abs(static_cast<double>(value)) > most);
    }
  }
  return saturated;
}

}  // namespace chorus::privacy
