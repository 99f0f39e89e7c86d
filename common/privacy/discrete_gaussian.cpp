#include "common/privacy/discrete_gaussian.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "common/base/check.hpp"
#include "common/crypto/key_stream.hpp"
#include "common/privacy/gaussian_table.hpp"
#include "common/privacy/sigma.hpp"

namespace chorus::privacy {
namespace {

// What drawing a table's random words costs, in thresholds.
constexpr double kTableCost = 12;

// σ₁² of a split by k: the least s with s (σ² − s) ≥ k² τ² σ², which is the condition on τ with σ₂² = (σ² − s)/k².
// Rounded up to a quarter: an exact double, and only better. Nothing where σ is too small for k.
std::optional<double> first_variance(double variance, double k) {
  const double discriminant = 1 - 4 * k * k * DiscreteGaussian::kLeastTau * DiscreteGaussian::kLeastTau / variance;
  if (discriminant < 0) return std::nullopt;
  const double least = variance / 2 * (1 - std::sqrt(discriminant));
  const double most = variance / 2 * (1 + std::sqrt(discriminant));
  const double rounded = std::ceil(least * 4) / 4;
  return rounded <= most ? std::optional(rounded) : std::nullopt;
}

struct Split {
  double cost = 0;
  int k = 0;  // 0: one table
};

// The cheapest way to draw from N_Z(0, variance).
Split cheapest(double variance) {
  Split best{kTableCost + table_size(std::sqrt(variance)), 0};
  for (const int k : {2, 4, 8, 16}) {
    const std::optional<double> first = first_variance(variance, k);
    if (!first) continue;
    const double cost = kTableCost + table_size(std::sqrt(*first)) + cheapest((variance - *first) / (k * k)).cost;
    if (cost < best.cost) best = {cost, k};
  }
  return best;
}

// ε/(1 − ε) for ε = 2 Σ_{j ≥ 1} e^(−2π²τ²j²), rounded up: the second term is below the first one's cube.
double smoothing_distance(double first, double second, double k) {
  const double tau2 = 1 / (k * k / first + 1 / second);
  CHORUS_ENSURE(tau2 >= DiscreteGaussian::kLeastTau * DiscreteGaussian::kLeastTau * (1 - 1e-12),
                "a split is smooth enough");
  return 2 * std::exp(-2 * std::numbers::pi * std::numbers::pi * tau2) * (1 + 1e-9);
}

}  // namespace

Result<DiscreteGaussian> DiscreteGaussian::create(double sigma) {
  CHORUS_TRY_DO(check_sigma(sigma));
  DiscreteGaussian out;
  out.sigma_ = sigma;
  Interval variance = Interval::of(sigma) * Interval::of(sigma);
  const auto add_table = [&](const Interval& of, std::int64_t factor) {
    const GaussianTable table = make_gaussian_table(of);
    Level level{.factor = factor, .thresholds = {}};
    for (const unsigned __int128 threshold : table.thresholds) {
      level.thresholds.push_back({.high = static_cast<std::uint64_t>(threshold >> 64),
                                  .low_flipped = static_cast<std::uint64_t>(threshold) ^ (std::uint64_t{1} << 63)});
    }
    out.distance_ += table.statistical_distance;
    out.levels_.push_back(std::move(level));
  };
  std::int64_t factor = 1;
  for (;;) {
    const double now = to_double(variance.low);
    const int k = cheapest(now).k;
    if (k == 0) break;
    const double first = *first_variance(now, k);
    add_table(Interval::of(first), factor);
    variance = (variance - Interval::of(first)) / Interval::of(static_cast<std::uint64_t>(k) * k);
    out.distance_ += smoothing_distance(first, to_double(variance.low), k);
    factor *= k;
  }
  add_table(variance, factor);
  CHORUS_ENSURE(std::log2(out.distance_) <= kMostDistanceLog2, "a sampler is as close to its law as it promises");
  return out;
}

std::int64_t DiscreteGaussian::largest() const noexcept {
  std::int64_t sum = 0;
  for (const Level& level : levels_) sum += level.factor * static_cast<std::int64_t>(level.thresholds.size());
  return sum;
}

template <typename Sink>
void DiscreteGaussian::draw(std::size_t count, crypto::RandomSource& random, Sink&& sink) const {
  const NoiseKernel kernel = noise_kernel();
  alignas(64) std::array<std::uint64_t, 2 * kNoiseBlock> words;
  alignas(64) std::array<std::int64_t, kNoiseBlock> samples;
  const auto bytes_of = [](auto& array) {
    return std::span(reinterpret_cast<std::uint8_t*>(array.data()), sizeof(array));
  };
  crypto::KeyStream stream(random.secret<32>(), 0, 0);
  for (std::size_t at = 0; at < count; at += kNoiseBlock) {
    samples.fill(0);
    for (const Level& level : levels_) {
      stream.next(bytes_of(words));
      kernel(words.data(), level.thresholds, level.factor, samples.data());
    }
    const std::size_t here = std::min(kNoiseBlock, count - at);
    for (std::size_t k = 0; k < here; ++k) sink(at + k, samples[k]);
  }
  crypto::wipe(bytes_of(words));
  crypto::wipe(bytes_of(samples));
}

void DiscreteGaussian::add_to(std::span<std::uint32_t> lanes, crypto::RandomSource& random) const {
  draw(lanes.size(), random, [&](std::size_t k, std::int64_t x) { lanes[k] += static_cast<std::uint32_t>(x); });
}

void DiscreteGaussian::fill(std::span<std::int32_t> samples, crypto::RandomSource& random) const {
  draw(samples.size(), random, [&](std::size_t k, std::int64_t x) { samples[k] = static_cast<std::int32_t>(x); });
}

}  // namespace chorus::privacy
