// A table of a discrete Gaussian's cumulative probabilities, to be sampled by inversion, and how far it is from the
// exact law.
#pragma once

#include <cstdint>
#include <vector>

#include "common/privacy/interval.hpp"

namespace chorus::privacy {

// P(|X| ≤ k) in units of 2^-127, rounded. A uniform v below 2^127 stands for |x| = #{k : v ≥ thresholds[k]}.
struct GaussianTable {
  std::vector<unsigned __int128> thresholds;  // increasing, each below 2^127
  // At least ½ Σ |P'(x) − P(x)|, P' the table's law with a fair sign: rounding, and the tail that is cut off.
  double statistical_distance = 0;
};

// Of the law P(x) ∝ e^(−x²/(2 variance)). All arithmetic is on intervals. REQUIRES: variance in [2^-6, 2^20].
[[nodiscard]] GaussianTable make_gaussian_table(const Interval& variance);
// How many thresholds such a table has, about.
[[nodiscard]] double table_size(double sigma);

}  // namespace chorus::privacy
