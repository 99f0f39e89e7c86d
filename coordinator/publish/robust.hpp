// What becomes of the sums of a round's cohorts, if some of them may be poisoned (Yin, Chen, Kannan and Bartlett,
// Byzantine-robust distributed learning, ICML 2018, sections 3.1 and 3.2, with cohorts in the place of machines: a
// secure sum shows nothing smaller).
//
// A rule looks at the cohorts' means s_c / n_c, and gives a sum as if all N contributors had given what it kept:
// N Σ s_c / Σ n_c over the cohorts kept. Every rule but the plain sum leaves out cohorts that are unusually long,
// whole; a median and a trimmed mean then look at what is left, so that poisoned devices who are confined to fewer
// cohorts than the rule leaves out move a number no farther than honest cohorts do.
//
// The numbers of items' rows are combined one by one. What that costs is rare items: a number that fewer cohorts touch
// than are left out on one side becomes zero, and one that few touch becomes too small. The numbers that a device says
// once (Gram matrices, counts, errors) are kept or left out together, cohort by cohort: those of the cohorts nearest to
// the middle of all. So a summed matrix stays a sum of squares, and a ratio of two sums is one of the same devices.
//
// Measured and not taken: the mean of the cohorts nearest to each number's median (Xie, Koyejo and Gupta 2018,
// Generalized Byzantine-tolerant SGD). Counts of rare items are skewed, their largest are the farthest, and the model
// loses more by it than by the trimmed mean (./dev bench poisoning, without poison: 2.1 % instead of .8 %).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/model/model.hpp"
#include "common/ring/fixed_point.hpp"

namespace chorus::coordinator {

enum class Combination : std::uint8_t {
  mean,           // the plain sum
  norm_filtered,  // without cohorts of whose mean one tensor is longer than `most_norm` times its median length
  trimmed_mean,   // of those, without the largest and the smallest `trim` of the cohorts, number by number
  median,         // of those, the middle cohort of each number, or the middle two
};
// "mean", "trimmed-mean", "median", "norm-filtered".
[[nodiscard]] std::string_view to_string(Combination combination) noexcept;
// Errors: invalid_argument.
[[nodiscard]] Result<Combination> combination_named(std::string_view name);

struct CombinationRule {
  Combination combination = Combination::mean;
  // Of the cohorts, left out at each end, rounded up: more than the share that may be poisoned, and below a half.
  double trim = 0.25;
  // In median lengths; of every rule but the plain sum. Honest cohorts of one round differ by much less.
  double most_norm = 2;

  // Of a round, to know a middle by: 3, and 1 for the plain sum.
  [[nodiscard]] std::size_t least_cohorts() const noexcept { return combination == Combination::mean ? 1 : 3; }
  friend bool operator==(const CombinationRule&, const CombinationRule&) = default;
};

// 0 < trim < 1/2, most_norm ≥ 1. Errors: invalid_argument; where() is "trim" or "most_norm".
[[nodiscard]] Status check_rule(const CombinationRule& rule);
// Whether the rule may make the model's sums. Errors: invalid_argument: a rule beside the plain sum, and the model has
// differential privacy (its report and its steps count on the noise of all cohorts, and a rule keeps the noise of
// some); a rule that takes rows apart, and a row of the model is one matrix.
[[nodiscard]] Status check_rule(const CombinationRule& rule, const model::Model& model);

struct CombinedSum {
  std::vector<std::vector<double>> sums;  // [tensors][rows × columns]: what Model::step takes
  std::uint64_t contributors = 0;         // of all cohorts
  std::vector<std::size_t> left_out;      // cohorts, whole: too long
};

// Deterministic: the same bytes for the same cohorts in the same order, on any machine. Cohorts without contributors
// count for nothing. REQUIRES: all cohorts have this layout; check_rule(rule) passed. Errors: invalid_argument (no
// cohort has contributors), below_threshold (fewer cohorts than the rule needs have some).
[[nodiscard]] Result<CombinedSum> combine(const plan::UpdateLayout& layout, std::span<const ring::CohortSum> cohorts,
                                          const CombinationRule& rule);

// The sums of a round's cohorts as they come in: for the plain sum their total alone, for other rules each of them, 4
// bytes a coordinate. A value; not thread-safe.
class CollectedSums {
 public:
  CollectedSums(plan::UpdateLayout layout, const CombinationRule& rule);

  // In the order of the cohorts. REQUIRES: the sum has the layout.
  void add(ring::CohortSum cohort);
  // The total of several cohorts. REQUIRES: the rule is the plain sum, which does not need to know them apart.
  void add(const ring::RoundSum& total);

  [[nodiscard]] const CombinationRule& rule() const noexcept { return rule_; }
  [[nodiscard]] std::uint64_t contributors() const noexcept { return contributors_; }
  // The total, where the rule is the plain sum.
  [[nodiscard]] const std::optional<ring::RoundSum>& total() const noexcept { return total_; }
  // Errors: as of the function above; the plain sum of nobody is zero.
  [[nodiscard]] Result<CombinedSum> combine() const;

 private:
  plan::UpdateLayout layout_;
  CombinationRule rule_;
  std::uint64_t contributors_ = 0;
  std::optional<ring::RoundSum> total_;
  std::vector<ring::CohortSum> cohorts_;
};

}  // namespace chorus::coordinator
