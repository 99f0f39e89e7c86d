#include "common/privacy/gaussian_table.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace chorus::privacy {
namespace {

// The mass beyond the table's end: half of 2^-100 counts towards the statistical distance.
constexpr int kTailLog2 = -100;

}  // namespace

double table_size(double sigma) {
  return sigma * std::sqrt(-2 * kTailLog2 * std::numbers::ln2);
}

GaussianTable make_gaussian_table(const Interval& variance) {
  const Interval one = Interval::of(std::uint64_t{1});
  // weights[x] = e^(−x²/(2v)): each is the one before times g^(2x − 1), g = e^(−1/(2v)).
  const Interval g = exp_minus(one / (variance + variance));
  const Interval g2 = g * g;
  std::vector<Interval> weights{one};
  Interval factor = g;
  Interval total = one;  // Σ over all integers, 1 + 2 Σ_{x ≥ 1}
  // To 2^-200 of the largest weight.
  while (weights.back().high.bit_length() > kPlaces - 200) {
    weights.push_back(weights.back() * factor);
    factor = factor * g2;
    total = total + weights.back() + weights.back();
  }
  // The rest: with r = g^(2x + 1) < 1 the ratio of the next two, Σ_{y > x} weight(y) ≤ weight(x) r/(1 − r).
  const Interval tail = weights.back() * (one / (one - factor));
  total.high += tail.high + tail.high;

  GaussianTable table;
  const Interval scale = one / total;
  Interval cumulative = scale;  // P(|X| ≤ k)
  Fixed distance;               // Σ |P'(|X| = k) − P(|X| = k)|, rounded up
  unsigned __int128 before = 0;
  const auto widen = [](unsigned __int128 units) {
    Fixed value;
    value.words[0] = static_cast<std::uint64_t>(units);
    value.words[1] = static_cast<std::uint64_t>(units >> 64);
    return value << (kPlaces - 127);
  };
  const auto add_difference = [&](unsigned __int128 units, const Interval& exact) {
    const Fixed mine = widen(units);
    const Fixed above = exact.high > mine ? exact.high - mine : Fixed();
    const Fixed below = mine > exact.low ? mine - exact.low : Fixed();
    distance += std::max(above, below);
  };
  constexpr unsigned __int128 kAll = static_cast<unsigned __int128>(1) << 127;
  for (std::size_t k = 0;; ++k) {
    CHORUS_ENSURE(k < weights.size(), "a table ends before its weights do");
    const Interval mass = k == 0 ? scale : (weights[k] + weights[k]) * scale;
    if (k > 0) cumulative = cumulative + mass;
    const bool last = one.high - std::min(one.high, cumulative.low) < one.high >> static_cast<std::size_t>(-kTailLog2);
    if (last) {
      // All that is left falls on k: its own mass, and what lies beyond.
      add_difference(kAll - before, mass);
      distance += one.high - std::min(one.high, cumulative.low);
      break;
    }
    // To the nearest unit: half a unit is 2^(kPlaces − 128).
    const Fixed rounded = (cumulative.low + (Fixed(1) << (kPlaces - 128))) >> (kPlaces - 127);
    const unsigned __int128 threshold = static_cast<unsigned __int128>(rounded.words[1]) << 64 | rounded.words[0];
    CHORUS_ENSURE(threshold > before && threshold < kAll, "a table's thresholds increase");
    add_difference(threshold - before, mass);
    table.thresholds.push_back(threshold);
    before = threshold;
  }
  table.statistical_distance = std::nextafter(to_double(distance) / 2, 1.0);
  return table;
}

}  // namespace chorus::privacy
