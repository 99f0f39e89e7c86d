#include "common/model/count_prior.hpp"

#include <algorithm>

#include "common/model/elementary.hpp"

namespace chorus::model {
namespace {

constexpr std::size_t kGrid = 90;
constexpr int kIterations = 200;
constexpr double kLeast = 0.02;

}  // namespace

Denoised denoise_counts(std::span<const double> observed, double deviation) {
  const std::size_t n = observed.size();
  Denoised out{std::vector<double>(n), std::vector<double>(n, 0)};
  if (!(deviation > 0)) {
    std::ranges::transform(observed, out.mean.begin(), [](double x) { return std::max(x, 0.0); });
    return out;
  }
  const double most = std::max(2 * kLeast, n == 0 ? 0 : *std::ranges::max_element(observed));
  std::vector<double> grid(kGrid);
  const double step = natural_logarithm(most / kLeast) / (kGrid - 1);
  for (std::size_t g = 0; g < kGrid; ++g) grid[g] = kLeast * exponential(step * static_cast<double>(g));

  // Likelihoods up to a factor an observation.
  std::vector<double> likelihood(n * kGrid);
  for (std::size_t i = 0; i < n; ++i) {
    double best = 0;
    for (std::size_t g = 0; g < kGrid; ++g) {
      const double away = (observed[i] - grid[g]) / deviation;
      const double exponent = -away * away / 2;
      likelihood[i * kGrid + g] = exponent;
      best = g == 0 ? exponent : std::max(best, exponent);
    }
    for (std::size_t g = 0; g < kGrid; ++g) {
      likelihood[i * kGrid + g] = exponential(likelihood[i * kGrid + g] - best);
    }
  }
  std::vector<double> prior(kGrid, 1.0 / kGrid);
  std::vector<double> next(kGrid);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    std::ranges::fill(next, 0);
    for (std::size_t i = 0; i < n; ++i) {
      const double* const row = likelihood.data() + i * kGrid;
      double total = 0;
      for (std::size_t g = 0; g < kGrid; ++g) total += row[g] * prior[g];
      if (!(total > 0)) continue;
      for (std::size_t g = 0; g < kGrid; ++g) next[g] += row[g] * prior[g] / total;
    }
    double all = 0;
    for (const double x : next) all += x;
    if (!(all > 0)) break;
    for (std::size_t g = 0; g < kGrid; ++g) prior[g] = next[g] / all;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double* const row = likelihood.data() + i * kGrid;
    double total = 0;
    double first = 0;
    double second = 0;
    for (std::size_t g = 0; g < kGrid; ++g) {
      const double weight = row[g] * prior[g];
      total += weight;
      first += weight * grid[g];
      second += weight * grid[g] * grid[g];
    }
    if (!(total > 0)) {
      out.mean[i] = std::max(observed[i], kLeast);
      continue;
    }
    out.mean[i] = first / total;
    out.variance[i] = std::max(second / total - out.mean[i] * out.mean[i], 0.0);
  }
  return out;
}

}  // namespace chorus::model
