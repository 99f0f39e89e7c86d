#include "common/privacy/rdp_accountant.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

namespace chorus::privacy {
namespace {

// Sums numbers given by their logarithms, none of which need be representable.
class LogSum {
 public:
  void add(double log_term) {
    if (log_term == -std::numeric_limits<double>::infinity()) return;
    if (log_term > largest_) {
      sum_ = sum_ * std::exp(largest_ - log_term) + 1;
      largest_ = log_term;
    } else {
      sum_ += std::exp(log_term - largest_);
    }
  }
  [[nodiscard]] double log() const { return largest_ + std::log(sum_); }

 private:
  double largest_ = -std::numeric_limits<double>::infinity();
  double sum_ = 0;
};

// ln(e^x − 1) for x > 0.
double log_expm1(double x) {
  return x > 40 ? x : std::log(std::expm1(x));
}

// ln(1 + e^x).
double log1p_exp(double x) {
  return x > 40 ? x : std::log1p(std::exp(x));
}

// Below, A = E_{x ~ N(0, z²)} [(1 + y)^α] with y = q (e^((2x − 1)/(2z²)) − 1), so that E[y] = 0, and ρ_α =
// ln(A)/(α − 1). What is summed is A − 1, in terms that are never negative: at small q or large z, A is so close to 1
// that its own rounding would be most of what is left.

// Integer α: A − 1 = Σ_{i ≥ 2} C(α, i) q^i (1 − q)^(α − i) (e^((i² − i)/(2z²)) − 1).
double log_excess_of_integer(double q, double z, double alpha) {
  LogSum sum;
  for (double i = 2; i <= alpha; ++i) {
    const double log_binomial = std::lgamma(alpha + 1) - std::lgamma(i + 1) - std::lgamma(alpha - i + 1);
    sum.add(log_binomial + i * std::log(q) + (alpha - i) * std::log1p(-q) + log_expm1((i * i - i) / (2 * z * z)));
  }
  return sum.log();
}

// ln((1 + y)^α − 1 − αy), which Bernoulli's inequality keeps from being negative. log1y = ln(1 + y).
double log_bernoulli_excess(double y, double log1y, double alpha) {
  if (std::abs(y) * alpha < 0.01) {
    // The binomial series from its second term.
    double term = alpha * (alpha - 1) / 2 * y * y;
    double sum = 0;
    for (double k = 2; k < 12; ++k) {
      sum += term;
      term *= (alpha - k) / (k + 1) * y;
    }
    return std::log(sum);
  }
  if (alpha * log1y > 600) return alpha * log1y;  // α(1 + y) is below its 1e-100th part
  return std::log(std::expm1(alpha * log1y) - alpha * y);
}

// Any α: the expectation of (1 + y)^α − 1 − αy by the trapezoid rule. The density is a Gaussian of width z, and 1 + y
// has its nearest zero at distance πz² from the real line: with a step of min(z/8, z²/2) both errors are below e^(−39).
// The integrand is at most a sum of Gaussians with means in [0, α].
double log_excess_of_any(double q, double z, double alpha) {
  const double step = std::min(z / 8, z * z / 2);
  const double from = -40 * z;
  const double to = alpha + 40 * z;
  const double log_norm = std::log(step) - std::log(z) - 0.5 * std::log(2 * std::numbers::pi);
  const double log_odds = std::log(q) - std::log1p(-q);
  LogSum sum;
  for (double k = 0; from + k * step <= to; ++k) {
    const double x = from + k * step;
    const double loss = (2 * x - 1) / (2 * z * z);
    const double y = loss > 600 ? std::numeric_limits<double>::max() : q * std::expm1(loss);
    const double log1y = std::log1p(-q) + log1p_exp(log_odds + loss);
    sum.add(log_norm - x * x / (2 * z * z) + log_bernoulli_excess(y, log1y, alpha));
  }
  return sum.log();
}

Status check_order(double order) {
  if (std::isfinite(order) && order > 1) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("an order must be a number above 1, not {}", order), "order");
}

// REQUIRES: checked arguments.
double step_of(double q, double z, double alpha) {
  if (q == 1) return alpha / (2 * z * z);
  const double log_excess =
      alpha == std::floor(alpha) ? log_excess_of_integer(q, z, alpha) : log_excess_of_any(q, z, alpha);
  return log1p_exp(log_excess) / (alpha - 1);
}

double convert(double rho, double alpha, double delta) {
  return rho + std::log1p(-1 / alpha) - std::log(delta * alpha) / (alpha - 1);
}

}  // namespace

const std::vector<double>& rdp_orders() {
  static const std::vector<double> orders = [] {
    std::vector<double> all;
    for (int tenths = 11; tenths < 110; ++tenths) all.push_back(tenths / 10.0);
    for (int whole = 11; whole < 64; ++whole) all.push_back(whole);
    all.insert(all.end(), {128, 256, 512, 1024});
    return all;
  }();
  return orders;
}

Result<double> rdp_step(double sampling, double noise_multiplier, double order) {
  CHORUS_TRY_DO(check(Mechanism{.noise_multiplier = noise_multiplier, .sampling = sampling}));
  CHORUS_TRY_DO(check_order(order));
  return step_of(sampling, noise_multiplier, order);
}

Result<RdpEpsilon> rdp_epsilon(const Mechanism& mechanism, double delta, std::span<const double> orders) {
  CHORUS_TRY_DO(check(mechanism));
  CHORUS_TRY_DO(check_delta(delta));
  if (orders.empty()) return fail(ErrorCode::invalid_argument, "an accountant without an order knows nothing", "order");
  RdpEpsilon best{std::numeric_limits<double>::infinity(), 0};
  for (const double order : orders) {
    CHORUS_TRY_DO(check_order(order));
    const double rho =
        static_cast<double>(mechanism.rounds) * step_of(mechanism.sampling, mechanism.noise_multiplier, order);
    const double epsilon = std::max(0.0, convert(rho, order, delta));
    if (epsilon < best.epsilon) best = {epsilon, order};
  }
  return best;
}

Result<std::uint64_t> rdp_rounds(Mechanism mechanism, const Budget& budget) {
  mechanism.rounds = 1;
  CHORUS_TRY_DO(check(mechanism));
  CHORUS_TRY_DO(check(budget));
  // Tρ is linear in T: each order allows so many rounds, and the best one decides.
  double most = 0;
  for (const double order : rdp_orders()) {
    const double rho = step_of(mechanism.sampling, mechanism.noise_multiplier, order);
    most = std::max(most, std::floor((budget.epsilon - convert(0, order, budget.delta)) / rho));
  }
  return static_cast<std::uint64_t>(std::min(most, 0x1p53));
}

}  // namespace chorus::privacy
