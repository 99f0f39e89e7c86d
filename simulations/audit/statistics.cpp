#include "simulations/audit/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "common/base/check.hpp"
#include "common/model/ridge.hpp"

namespace chorus::sim::audit {
namespace {

// Ranks from 1, ties at their middle.
std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [values](std::size_t k) { return values[k]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first + 1;
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (std::size_t k = first; k < last; ++k) ranks[order[k]] = static_cast<double>(first + 1 + last) / 2;
    first = last;
  }
  return ranks;
}

}  // namespace

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

double attack_auc(std::span<const double> positives, std::span<const double> negatives) {
  CHORUS_ENSURE(!positives.empty() && !negatives.empty(), "an attack is judged by positives and negatives");
  std::vector<double> all(positives.begin(), positives.end());
  all.insert(all.end(), negatives.begin(), negatives.end());
  const std::vector<double> ranks = ranks_of(all);
  const auto p = static_cast<double>(positives.size());
  const double sum = std::accumulate(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(positives.size()), 0.0);
  return (sum - p * (p + 1) / 2) / (p * static_cast<double>(negatives.size()));
}

double auc_error(double auc, std::size_t positives, std::size_t negatives) {
  const auto p = static_cast<double>(positives);
  const auto n = static_cast<double>(negatives);
  const double q1 = auc / (2 - auc);
  const double q2 = 2 * auc * auc / (1 + auc);
  return std::sqrt((auc * (1 - auc) + (p - 1) * (q1 - auc * auc) + (n - 1) * (q2 - auc * auc)) / (p * n));
}

double rank_correlation(std::span<const double> a, std::span<const double> b) {
  CHORUS_ENSURE(a.size() == b.size(), "a correlation is of pairs");
  const std::vector<double> x = ranks_of(a);
  const std::vector<double> y = ranks_of(b);
  const double middle = (static_cast<double>(a.size()) + 1) / 2;
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    xx += (x[k] - middle) * (x[k] - middle);
    yy += (y[k] - middle) * (y[k] - middle);
    xy += (x[k] - middle) * (y[k] - middle);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

std::vector<std::uint32_t> permutation(std::uint32_t size, crypto::RandomSource& random) {
  std::vector<std::uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t k = 0; k + 1 < order.size(); ++k) std::swap(order[k], order[k + random.below(order.size() - k)]);
  return order;
}

void Examples::add(std::span<const double> row, bool label) {
  CHORUS_ENSURE(row.size() == features_, "a row has all features");
  rows_.insert(rows_.end(), row.begin(), row.end());
  labels_.push_back(label ? 1 : 0);
}

Classifier::Classifier(const Examples& examples) : means_(examples.features()), weights_(examples.features(), 0) {
  constexpr int kIterations = 25;
  constexpr double kRidge = 1;
  const std::size_t f = examples.features();
  const auto n = static_cast<double>(examples.size());
  std::vector<double> scale(f);
  for (std::size_t k = 0; k < f; ++k) {
    for (std::size_t r = 0; r < examples.size(); ++r) means_[k] += examples.row(r)[k] / n;
    for (std::size_t r = 0; r < examples.size(); ++r) {
      const double away = examples.row(r)[k] - means_[k];
      scale[k] += away * away / n;
    }
    scale[k] = scale[k] > 1e-24 ? 1 / std::sqrt(scale[k]) : 0;  // a constant tells nothing
  }
  const std::size_t d = f + 1;
  std::vector<double> w(d, 0);
  std::vector<double> x(d, 1);
  std::vector<double> normal(d * d);
  std::vector<double> step(d);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    std::ranges::fill(normal, 0);
    for (std::size_t k = 0; k < d; ++k) {
      normal[k * d + k] = kRidge;
      step[k] = -kRidge * w[k];
    }
    for (std::size_t r = 0; r < examples.size(); ++r) {
      for (std::size_t k = 0; k < f; ++k) x[k + 1] = (examples.row(r)[k] - means_[k]) * scale[k];
      const double chance = 1 / (1 + std::exp(-std::inner_product(x.begin(), x.end(), w.begin(), 0.0)));
      const double error = (examples.label(r) ? 1 : 0) - chance;
      const double weight = std::max(chance * (1 - chance), 1e-4);  // keeps the steps short where all is told
      for (std::size_t j = 0; j < d; ++j) {
        step[j] += error * x[j];
        for (std::size_t k = j; k < d; ++k) normal[j * d + k] += weight * x[j] * x[k];
      }
    }
    CHORUS_ENSURE(model::cholesky(normal.data(), d, d), "a ridge makes the curvature positive");
    model::cholesky_solve(normal.data(), d, d, step.data());
    double moved = 0;
    for (std::size_t k = 0; k < d; ++k) {
      w[k] += step[k];
      moved = std::max(moved, std::abs(step[k]));
    }
    if (moved < 1e-6) break;
  }
  for (std::size_t k = 0; k < f; ++k) weights_[k] = w[k + 1] * scale[k];
}

double Classifier::score(std::span<const double> row) const {
  double sum = 0;
  for (std::size_t k = 0; k < weights_.size(); ++k) sum += weights_[k] * (row[k] - means_[k]);
  return sum;
}

double Classifier::auc(const Examples& examples) const {
  std::vector<double> positives;
  std::vector<double> negatives;
  for (std::size_t r = 0; r < examples.size(); ++r) {
    (examples.label(r) ? positives : negatives).push_back(score(examples.row(r)));
  }
  return positives.empty() || negatives.empty() ? 0.5 : attack_auc(positives, negatives);
}

}  // namespace chorus::sim::audit
