#include "common/privacy/gaussian_accountant.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

namespace chorus::privacy {
namespace {

const double kLogSqrtTwoPi = 0.5 * std::log(2 * std::numbers::pi);

// ∫_0^∞ e^(−as − s²/2) g(s) ds for a smooth g with values in [0, 1]. With s = e^u the integrand is analytic in a strip
// of half width π/4 and dies out at both ends, where the trapezoid rule with step 1/8 errs by e^(−2π·(π/4)·8) < 1e-17.
// No term is negative, so nothing cancels. REQUIRES: a ≥ −1.
template <typename Function>
double integrate(double a, Function&& g) {
  constexpr double kStep = 1.0 / 8;
  const double scale = -std::log(std::max(a, 1.0));  // where the exponential begins to fall
  double sum = 0;
  for (double u = scale - 40;; u += kStep) {
    const double s = std::exp(u);
    const double exponent = -a * s - 0.5 * s * s;
    if (exponent < -750 && u > scale) break;
    sum += std::exp(exponent + u) * g(s);
  }
  return sum * kStep;
}

// ln δ(μ, ε). With x = ε/μ − μ/2 and y = ε/μ + μ/2, e^ε φ(y) = φ(x), so that
//   δ = Q(x) − e^ε Q(y) = φ(x) (R(x) − R(y)),  R(x) = Q(x)/φ(x) = ∫_0^∞ e^(−xs − s²/2) ds  (Mills' ratio),
// and R(x) − R(y) is the same integral with the factor 1 − e^(−μs): the difference is never formed.
double log_delta(double mu, double epsilon) {
  const double x = epsilon / mu - mu / 2;
  const double log_density = -0.5 * x * x - kLogSqrtTwoPi;
  if (x >= -1) {
    return log_density + std::log(integrate(x, [mu](double s) { return -std::expm1(-mu * s); }));
  }
  // Here δ is large and nothing cancels: μ > 2, and e^ε Q(y) = φ(x) R(y) is well below Q(x) > 0.84.
  const double second = std::exp(log_density) * integrate(x + mu, [](double) { return 1.0; });
  return std::log(0.5 * std::erfc(x / std::numbers::sqrt2) - second);
}

// The point in [low, high] where `above` turns true, to the last bit: the returned point is not above.
template <typename Predicate>
double bisect(double low, double high, Predicate&& above) {
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return low;
    (above(middle) ? high : low) = middle;
  }
}

Status check_mu(double mu) {
  if (std::isfinite(mu) && mu > 0) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("mu must be a number above 0, not {}", mu), "mu");
}

}  // namespace

Result<double> gaussian_delta(double mu, double epsilon) {
  CHORUS_TRY_DO(check_mu(mu));
  CHORUS_TRY_DO(check(Budget{.epsilon = epsilon, .delta = 0.5}));
  return std::exp(log_delta(mu, epsilon));
}

Result<double> gaussian_epsilon(double mu, double delta) {
  CHORUS_TRY_DO(check_mu(mu));
  CHORUS_TRY_DO(check_delta(delta));
  const double target = std::log(delta);
  if (log_delta(mu, 0) <= target) return 0.0;
  // At ε = μ²/2 + μ·√(2 ln(1/δ)): x = √(2 ln(1/δ)) and δ(ε) ≤ Q(x) ≤ e^(−x²/2) = δ.
  const double most = mu * mu / 2 + mu * std::sqrt(-2 * target);
  // The last point whose δ is above the target, and the next double, where it is not.
  const double below = bisect(0, std::nextafter(most, std::numeric_limits<double>::infinity()),
                              [&](double epsilon) { return log_delta(mu, epsilon) <= target; });
  return std::nextafter(below, std::numeric_limits<double>::infinity());
}

Result<double> gaussian_mu(const Budget& budget) {
  CHORUS_TRY_DO(check(budget));
  const double target = std::log(budget.delta);
  // μ = 2√(2ε) + 80 has x ≤ −39, hence δ = 1 to the last bit; every smaller δ is below.
  const double most = 2 * std::sqrt(2 * budget.epsilon) + 80;
  return bisect(std::numeric_limits<double>::min(), most,
                [&](double mu) { return log_delta(mu, budget.epsilon) > target; });
}

Result<std::uint64_t> gaussian_rounds(double noise_multiplier, const Budget& budget) {
  CHORUS_TRY_DO(check(Mechanism{.noise_multiplier = noise_multiplier}));
  CHORUS_TRY(const double mu, gaussian_mu(budget));
  const double rounds = std::floor(mu * mu * noise_multiplier * noise_multiplier);
  return static_cast<std::uint64_t>(std::min(rounds, 0x1p53));
}

Result<double> exact_epsilon(const Mechanism& mechanism, double delta) {
  CHORUS_TRY_DO(check(mechanism));
  return gaussian_epsilon(std::sqrt(static_cast<double>(mechanism.rounds)) / mechanism.noise_multiplier, delta);
}

}  // namespace chorus::privacy
