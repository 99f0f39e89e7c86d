#include "common/model/mf/twin.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/ridge.hpp"

namespace chorus::model::mf {
namespace {

// The implicit model's preset (Rendle et al. 2022 name the parameters).
constexpr double kAlpha0 = 0.3;
constexpr double kRate = 1.2;
constexpr double kMomentum = 0.1;
constexpr double kLambdaShare = 0.8;

}  // namespace

double log_of_count(double n) {
  // 1 + n = m·2^e with m in [½, 1);  ln m = 2·artanh((m − 1)/(m + 1)), |s| ≤ ⅓
  constexpr double kLn2 = 0.693147180559945309417;
  int exponent = 0;
  const double m = std::frexp(1 + n, &exponent);
  const double s = (m - 1) / (m + 1);
  const double squared = s * s;
  double power = s;
  double sum = 0;
  for (int term = 1; term <= 35; term += 2) {
    sum += power / term;
    power *= squared;
  }
  return 2 * sum + exponent * kLn2;
}

crypto::ZeroizingVector<double> twin_factor(const TwinView& twin, std::span<const Observation> training) {
  const std::size_t k = twin.rank;
  Ridge ridge(k, training.size());
  for (std::size_t r = 0; r < training.size(); ++r) {
    const float* const q = twin.factors.data() + std::size_t{training[r].item} * k;
    const std::span<double> row = ridge.row(r);
    for (std::size_t c = 0; c < k; ++c) row[c] = double{q[c]};
    ridge.target(r) = 1;
  }
  std::vector<double> everywhere(k * k);
  for (std::size_t c = 0; c < k * k; ++c) everywhere[c] = kAlpha0 * double{twin.gram[c]};
  const double lambda = double{twin.scale[twin_scale::kLambda]} *
                        (static_cast<double>(training.size()) + kAlpha0 * static_cast<double>(twin.items));
  ridge.factorise(std::vector<double>(k, std::max(lambda, 1e-9)), everywhere);
  return ridge.solution();
}

crypto::ZeroizingVector<double> twin_features(std::span<const double> factor, double rms, double count,
                                              double mean_log) {
  crypto::ZeroizingVector<double> f(factor.size() + 2, 0.0);
  for (std::size_t c = 0; c < factor.size() && rms > 0; ++c) f[c] = factor[c] / rms;
  f[factor.size()] = 1;
  f[factor.size() + 1] = log_of_count(std::max(0.0, count)) - mean_log;
  for (double& x : f) x = std::clamp(x, -kFeatureBound, kFeatureBound);
  return f;
}

double twin_lambda(double mean_user_events, double mean_item_events, double devices, double items) {
  return kLambdaShare * (std::sqrt(mean_user_events) + std::sqrt(mean_item_events)) / std::sqrt(devices * items);
}

Status twin_step(const TwinSums& sums, std::span<const float> scale, std::uint32_t rank, std::vector<float>& factors,
                 std::vector<double>& momentum) {
  const std::size_t k = rank;
  const std::size_t items = sums.counts.size();
  CHORUS_ENSURE(factors.size() == items * k && momentum.size() == items * k, "a factor and its momentum an item");
  const double lambda = double{scale[twin_scale::kLambda]};
  const double everyone = kAlpha0 * double{scale[twin_scale::kDevices]};
  std::vector<double> gram(k * k);
  std::vector<double> weighted(k * k);
  std::size_t packed = 0;
  for (std::size_t row = 0; row < k; ++row) {
    for (std::size_t column = 0; column <= row; ++column, ++packed) {
      gram[row * k + column] = gram[column * k + row] = kAlpha0 * sums.gram[packed];
      const double share = sums.weight > 0 ? sums.weighted[packed] / sums.weight : 0.0;
      weighted[row * k + column] = weighted[column * k + row] = share;
    }
  }
  std::vector<float> next = factors;
  std::vector<double> moving = momentum;
  std::vector<double> metric(k * k);
  std::vector<double> step(k);
  for (std::size_t i = 0; i < items; ++i) {
    float* const q = next.data() + i * k;
    double* const m = moving.data() + i * k;
    const double n = std::max(0.0, sums.counts[i]);
    const double ridge = std::max(lambda * (n + everyone), 1e-9);
    for (std::size_t c = 0; c < k * k; ++c) metric[c] = gram[c] + n * weighted[c];
    for (std::size_t row = 0; row < k; ++row) {
      metric[row * k + row] += ridge;
      double pull = ridge * double{q[row]};
      for (std::size_t column = 0; column < k; ++column) pull += gram[row * k + column] * double{q[column]};
      step[row] = sums.gradient[i * k + row] - pull;
    }
    bool finite = cholesky(metric.data(), k, k);
    if (finite) cholesky_solve(metric.data(), k, k, step.data());
    for (std::size_t c = 0; c < k && finite; ++c) {
      m[c] = kMomentum * m[c] + step[c];
      q[c] = static_cast<float>(double{q[c]} + kRate * m[c]);
      finite = std::isfinite(m[c]) && std::isfinite(q[c]);
    }
    if (!finite) {
      return fail(ErrorCode::non_finite, "the step of an item's twin is not finite", fmt::format("item {}", i));
    }
  }
  factors = std::move(next);
  momentum = std::move(moving);
  return {};
}

std::vector<float> twin_gram(std::span<const float> factors, std::uint32_t rank) {
  const std::size_t k = rank;
  std::vector<double> sum(k * k, 0.0);
  for (std::size_t i = 0; i < factors.size(); i += k) {
    for (std::size_t row = 0; row < k; ++row) {
      for (std::size_t column = 0; column < k; ++column) {
        sum[row * k + column] += double{factors[i + row]} * double{factors[i + column]};
      }
    }
  }
  return {sum.begin(), sum.end()};
}

}  // namespace chorus::model::mf
