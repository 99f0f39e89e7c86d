// What becomes of the sums of a round's cohorts, if some of them may be poisoned (Yin, Chen, Kannan and Bartlett,
// Byzantine-robust distributed learning, ICML 2018, sections 3.1 and 3.2, with cohorts in the place of machines: a
// secure sum shows nothing smaller).
//
// A rule looks at the cohorts' means s_c / n_c, number by number, and gives a sum as if all N contributors had given
// what it kept: N Σ s_c / Σ n_c over the cohorts kept. Poisoned devices who are confined to fewer cohorts than a rule
// leaves out move a number no farther than honest cohorts do. What a rule costs is rare items: a row that fewer cohorts
// touch than are left out on one side is left out whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/ring/fixed_point.hpp"

namespace chorus::coordinator {

enum class Combination : std::uint8_t {
  mean,           // the plain sum
  trimmed_mean,   // without the largest and the smallest `trim` of the cohorts, number by number
  median,         // the middle cohort of each number, or the middle two
  norm_filtered,  // without cohorts whose mean is longer than `most_norm` times the median length
};
// "mean", "trimmed-mean", "median", "norm-filtered". Errors: invalid_argument.
[[nodiscard]] Result<Combination> combination_named(std::string_view name);

struct CombinationRule {
  Combination combination = Combination::mean;
  // Of the cohorts, left out at each end: more than the share that may be poisoned, and below a half.
  double trim = 0.25;
  // In median lengths: honest cohorts of one round differ by much less.
  double most_norm = 2;
};

struct CombinedSum {
  std::vector<std::vector<double>> sums;  // [tensors][rows × columns]: what Model::step takes
  std::uint64_t contributors = 0;         // of all cohorts
  std::vector<std::size_t> left_out;      // cohorts, whole; norm_filtered
};

// Deterministic: the same bytes for the same cohorts in the same order, on any machine. Cohorts without contributors
// count for nothing. REQUIRES: all cohorts have the layout of the first; 0 ≤ trim < 1/2; most_norm ≥ 1. Errors:
// invalid_argument (no cohort has contributors).
[[nodiscard]] Result<CombinedSum> combine(std::span<const ring::RoundSum> cohorts, const CombinationRule& rule);

}  // namespace chorus::coordinator
