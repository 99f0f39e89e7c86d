#include "common/privacy/pld_accountant.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>
#include <numbers>
#include <vector>

#include <fmt/format.h>

#include "common/privacy/fourier.hpp"
#include "common/privacy/rdp_accountant.hpp"

namespace chorus::privacy {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLeastDelta = 1e-10;
constexpr double kMostEpsilon = 200;
constexpr std::size_t kMostPoints = std::size_t{1} << 21;
// The part of δ that all truncations together may take.
constexpr double kTruncated = 1e-5;

// P(from < N(0, 1) ≤ to), with a relative error near that of erfc: both values are taken in the thin tail.
double normal_mass(double from, double to) {
  if (from > 0) return normal_mass(-to, -from);
  const auto below = [](double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); };
  return below(to) - below(from);
}

// Which of the two neighbouring data sets the loss is seen from.
enum class Direction { remove, add };

// One round. The user's data moves the mean by 1 (all in units of Δ), in a share q of the rounds:
//   with the user  M = (1 − q) N(0, z²) + q N(1, z²),  without  B = N(0, z²),
//   L(x) = ln(M(x)/B(x)) = ln(1 − q + q e^((2x − 1)/(2z²))), which increases with x.
// Removing: the loss L under M. Adding: the loss −L under B.
struct Round {
  double q;
  double z;
  Direction direction;

  // Where L(x) = loss; −∞ below its infimum.
  [[nodiscard]] double point(double loss) const {
    const double excess = std::expm1(loss) + q;  // e^loss − (1 − q)
    if (excess <= 0) return -kInfinity;
    return z * z * std::log(excess / q) + 0.5;
  }
  struct Masses {
    double p;  // of the distribution that the loss is taken under
    double q;  // of the other
  };
  [[nodiscard]] Masses between(double from_x, double to_x) const {
    const double without = normal_mass(from_x / z, to_x / z);
    const double moved = normal_mass((from_x - 1) / z, (to_x - 1) / z);
    const double with = (1 - q) * without + q * moved;
    return direction == Direction::remove ? Masses{with, without} : Masses{without, with};
  }
  // Of losses in (from, to].
  [[nodiscard]] Masses of_losses(double from, double to) const {
    return direction == Direction::remove ? between(point(from), point(to)) : between(point(-to), point(-from));
  }
};

// Masses on a grid of losses: masses[k] at (first + k)·step, and `lost` at +∞.
struct LossDistribution {
  double step = 0;
  std::ptrdiff_t first = 0;
  std::vector<double> masses;
  double lost = 0;

  [[nodiscard]] double loss(std::size_t k) const {
    return static_cast<double>(first + static_cast<std::ptrdiff_t>(k)) * step;
  }
};

// `tail` is what may be cut off above; what lies below the grid is moved up to its first point.
LossDistribution discretize(const Round& round, double step, double tail) {
  const double cut = 1 + round.z * std::sqrt(-2 * std::log(tail));  // N(1, z²) exceeds it with chance ≤ tail
  // The range of losses for |x| ≤ cut.
  const auto loss_at = [&](double x) {
    const double moved = (2 * x - 1) / (2 * round.z * round.z);
    return std::log1p(-round.q) == -kInfinity ? moved : std::log1p(round.q * std::expm1(moved));
  };
  double low = loss_at(-cut);
  double high = loss_at(cut);
  if (round.direction == Direction::add) {
    std::swap(low, high);
    low = -low;
    high = -high;
  }
  LossDistribution out;
  out.step = step;
  out.first = static_cast<std::ptrdiff_t>(std::floor(low / step)) - 1;
  const auto last = static_cast<std::ptrdiff_t>(std::ceil(high / step)) + 1;
  out.masses.assign(static_cast<std::size_t>(last - out.first + 1), 0.0);
  out.masses.front() = round.of_losses(-kInfinity, out.loss(0)).p;
  out.lost = round.of_losses(out.loss(out.masses.size() - 1), kInfinity).p;
  const double apart = -std::expm1(-step);  // 1 − e^(−step)
  for (std::size_t k = 0; k + 1 < out.masses.size(); ++k) {
    // The interval's P and Q go to its two ends so that both are kept: u at the upper end solves
    // (P − u) e^(−l) + u e^(−l − step) = Q. Splitting spreads the likelihood ratio, which only adds loss.
    const Round::Masses interval = round.of_losses(out.loss(k), out.loss(k + 1));
    const double upper = std::clamp((interval.p - std::exp(out.loss(k)) * interval.q) / apart, 0.0, interval.p);
    out.masses[k] += interval.p - upper;
    out.masses[k + 1] += upper;
  }
  return out;
}

// The variance of one round's loss, by the grid itself.
double variance(const LossDistribution& one) {
  double total = 0;
  double mean = 0;
  for (std::size_t k = 0; k < one.masses.size(); ++k) {
    total += one.masses[k];
    mean += one.masses[k] * one.loss(k);
  }
  mean /= total;
  double square = 0;
  for (std::size_t k = 0; k < one.masses.size(); ++k) square += one.masses[k] * std::pow(one.loss(k) - mean, 2);
  return square / total;
}

// Chernoff: the least s with P(sum of T losses ≥ s) ≤ e^log_tail, over a list of exponents; sign −1 for the lower end.
double edge(const LossDistribution& one, double rounds, double log_tail, double sign) {
  double best = kInfinity;
  for (double lambda = 1.0 / 64; lambda < 1e4; lambda *= 1.25) {
    // In log space: e^(λ·loss) may overflow.
    double largest = -kInfinity;
    for (std::size_t k = 0; k < one.masses.size(); ++k) {
      if (one.masses[k] > 0) largest = std::max(largest, std::log(one.masses[k]) + lambda * sign * one.loss(k));
    }
    double sum = 0;
    for (std::size_t k = 0; k < one.masses.size(); ++k) {
      if (one.masses[k] > 0) sum += std::exp(std::log(one.masses[k]) + lambda * sign * one.loss(k) - largest);
    }
    best = std::min(best, (rounds * (largest + std::log(sum)) - log_tail) / lambda);
  }
  return sign * best;
}

std::complex<double> power(std::complex<double> base, std::uint64_t exponent) {
  std::complex<double> result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result *= base;
    base *= base;
  }
  return result;
}

// The sum of T losses. Errors: invalid_argument, where no grid has room.
Result<LossDistribution> compose(const LossDistribution& one, std::uint64_t rounds, double tail) {
  const double times = static_cast<double>(rounds);
  const double low = edge(one, times, std::log(tail), -1);
  const double high = edge(one, times, std::log(tail), 1);
  const double wanted = std::max((high - low) / one.step + 2, static_cast<double>(one.masses.size()));
  if (!(wanted <= static_cast<double>(kMostPoints))) {
    return fail(ErrorCode::invalid_argument, "the losses of so many rounds fit no grid", "rounds");
  }
  const std::size_t size = std::bit_ceil(static_cast<std::size_t>(wanted));
  std::vector<std::complex<double>> values(size);
  for (std::size_t k = 0; k < one.masses.size(); ++k) values[k] = one.masses[k];
  fourier(values, false);
  for (std::complex<double>& value : values) value = power(value, rounds);
  fourier(values, true);
  LossDistribution sum;
  sum.step = one.step;
  sum.first = static_cast<std::ptrdiff_t>(std::floor(low / one.step));
  sum.masses.resize(size);
  // Entry j of the cyclic result stands for the losses T·first + j, modulo the size.
  const auto modulus = static_cast<std::ptrdiff_t>(size);
  const std::ptrdiff_t shift =
      ((sum.first - static_cast<std::ptrdiff_t>(rounds) * one.first) % modulus + modulus) % modulus;
  for (std::size_t k = 0; k < size; ++k) {
    const double mass = values[(k + static_cast<std::size_t>(shift)) % size].real() / static_cast<double>(size);
    sum.masses[k] = std::max(0.0, mass);
  }
  // Lost in any round, or outside the window and folded into it.
  sum.lost = -std::expm1(times * std::log1p(-one.lost)) + 2 * tail;
  return sum;
}

double delta_at(const LossDistribution& sum, double epsilon) {
  double delta = sum.lost;
  for (std::size_t k = sum.masses.size(); k-- > 0 && sum.loss(k) > epsilon;) {
    delta -= sum.masses[k] * std::expm1(epsilon - sum.loss(k));
  }
  return delta;
}

Result<double> epsilon_of(const Round& round, std::uint64_t rounds, double delta, double rough) {
  const double times = static_cast<double>(rounds);
  const double tail = kTruncated * delta / (4 * times);
  // Splitting adds at most step²/4 of variance a round. A first, coarse grid tells the loss's own; the step is then
  // such that σ of the sum grows by a ten-thousandth.
  LossDistribution one = discretize(round, std::max(rough / 1000, 1e-4), tail);
  const double own = variance(one);
  const double step = std::clamp(0.02 * std::sqrt(own), rough * 1e-6, std::max(1e-4, rough * 1e-4));
  one = discretize(round, step, tail);
  CHORUS_TRY(const LossDistribution sum, compose(one, rounds, kTruncated * delta / 4));
  double low = 0;
  double high = sum.loss(sum.masses.size() - 1);
  if (delta_at(sum, low) <= delta) return 0.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (delta_at(sum, middle) <= delta ? high : low) = middle;
  }
  return high;
}

}  // namespace

Result<double> pld_epsilon(const Mechanism& mechanism, double delta) {
  CHORUS_TRY(const RdpEpsilon rough, rdp_epsilon(mechanism, delta));
  if (delta < kLeastDelta) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("delta {} is below {}, where sums of doubles say nothing", delta, kLeastDelta),
                "privacy.delta");
  }
  if (rough.epsilon > kMostEpsilon) {
    return fail(ErrorCode::invalid_argument, fmt::format("epsilon is beyond {}: no grid is fine enough", kMostEpsilon),
                "noise_multiplier");
  }
  double worst = 0;
  for (const Direction direction : {Direction::remove, Direction::add}) {
    CHORUS_TRY(const double epsilon, epsilon_of({mechanism.sampling, mechanism.noise_multiplier, direction},
                                                mechanism.rounds, delta, std::max(rough.epsilon, 1e-3)));
    worst = std::max(worst, epsilon);
  }
  return worst;
}

}  // namespace chorus::privacy
