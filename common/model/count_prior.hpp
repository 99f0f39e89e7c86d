// Empirical Bayes for noisy counts: the non-parametric maximum-likelihood prior (Kiefer and Wolfowitz 1956) of what
// Gaussian noise hides, by expectation-maximisation on a grid (Koenker and Mizera 2014). The same bytes on every
// machine. Stateless.
#pragma once

#include <span>
#include <vector>

namespace chorus::model {

struct Denoised {
  std::vector<double> mean;      // posterior, [n]
  std::vector<double> variance;  // [n]
};

// observed: x_i + N(0, deviation²) with x_i ≥ 0. Without noise they come back as they are, at least 0.
[[nodiscard]] Denoised denoise_counts(std::span<const double> observed, double deviation);

}  // namespace chorus::model
