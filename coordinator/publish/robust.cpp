#include "coordinator/publish/robust.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/check.hpp"

namespace chorus::coordinator {
namespace {

// One cohort's numbers.
struct Cohort {
  std::size_t place = 0;                     // among those that were given
  double contributors = 0;                   // n_c > 0
  std::vector<std::vector<double>> numbers;  // s_c, [tensors][rows × columns]
};

double squared_length_of_mean(const Cohort& cohort) {
  double squares = 0;
  for (const std::vector<double>& tensor : cohort.numbers) {
    for (const double number : tensor) squares += number * number;
  }
  return squares / (cohort.contributors * cohort.contributors);
}

// Removes the cohorts that are too long, and says which.
std::vector<std::size_t> filter_by_norm(std::vector<Cohort>& cohorts, double most_norm) {
  std::vector<double> lengths;
  for (const Cohort& cohort : cohorts) lengths.push_back(squared_length_of_mean(cohort));
  std::vector<double> sorted = lengths;
  std::ranges::sort(sorted);
  // The lower of two middles: a filter that errs on the narrow side keeps at least half.
  const double most = most_norm * most_norm * sorted[(sorted.size() - 1) / 2];
  std::vector<std::size_t> left_out;
  std::vector<Cohort> kept;
  for (std::size_t c = 0; c < cohorts.size(); ++c) {
    if (lengths[c] <= most) {
      kept.push_back(std::move(cohorts[c]));
    } else {
      left_out.push_back(cohorts[c].place);
    }
  }
  cohorts = std::move(kept);
  return left_out;
}

// How many cohorts a rule leaves out at each end of a number's order; below half of them.
std::size_t trimmed_of(std::size_t cohorts, const CombinationRule& rule) {
  switch (rule.combination) {
    case Combination::trimmed_mean:
      return std::min(static_cast<std::size_t>(rule.trim * static_cast<double>(cohorts)), (cohorts - 1) / 2);
    case Combination::median:
      return (cohorts - 1) / 2;
    case Combination::mean:
    case Combination::norm_filtered:
      return 0;
  }
  std::unreachable();
}

}  // namespace

Result<Combination> combination_named(std::string_view name) {
  constexpr std::pair<std::string_view, Combination> kNames[] = {{"mean", Combination::mean},
                                                                 {"trimmed-mean", Combination::trimmed_mean},
                                                                 {"median", Combination::median},
                                                                 {"norm-filtered", Combination::norm_filtered}};
  for (const auto& [known, combination] : kNames) {
    if (known == name) return combination;
  }
  return fail(ErrorCode::invalid_argument,
              "expected mean, trimmed-mean, median or norm-filtered, not '" + std::string(name) + "'");
}

Result<CombinedSum> combine(std::span<const ring::RoundSum> given, const CombinationRule& rule) {
  CHORUS_ENSURE(rule.trim >= 0 && rule.trim < 0.5 && rule.most_norm >= 1, "a rule keeps the middle");
  CombinedSum combined;
  std::vector<Cohort> cohorts;
  for (std::size_t c = 0; c < given.size(); ++c) {
    CHORUS_ENSURE(given[c].layout() == given.front().layout(), "the cohorts of a round have one layout");
    if (given[c].contributors() == 0) continue;
    combined.contributors += given[c].contributors();
    Cohort cohort{.place = c, .contributors = static_cast<double>(given[c].contributors()), .numbers = {}};
    for (std::size_t t = 0; t < given[c].layout().tensors().size(); ++t) cohort.numbers.push_back(given[c].numbers(t));
    cohorts.push_back(std::move(cohort));
  }
  if (cohorts.empty()) return fail(ErrorCode::invalid_argument, "no cohort of the round has contributors");
  if (rule.combination == Combination::norm_filtered) combined.left_out = filter_by_norm(cohorts, rule.most_norm);

  const std::size_t trimmed = trimmed_of(cohorts.size(), rule);
  const auto everybody = static_cast<double>(combined.contributors);
  struct Seen {
    double mean;
    double sum;
    double contributors;
  };
  std::vector<Seen> seen(cohorts.size());
  for (std::size_t t = 0; t < cohorts.front().numbers.size(); ++t) {
    std::vector<double>& out = combined.sums.emplace_back(cohorts.front().numbers[t].size());
    for (std::size_t k = 0; k < out.size(); ++k) {
      for (std::size_t c = 0; c < cohorts.size(); ++c) {
        const double sum = cohorts[c].numbers[t][k];
        seen[c] = {sum / cohorts[c].contributors, sum, cohorts[c].contributors};
      }
      if (trimmed > 0) std::ranges::stable_sort(seen, {}, &Seen::mean);
      double sum = 0;
      double contributors = 0;
      for (std::size_t c = trimmed; c < seen.size() - trimmed; ++c) {
        sum += seen[c].sum;
        contributors += seen[c].contributors;
      }
      // Where all are kept this is the sum itself, bit for bit.
      out[k] = contributors == everybody ? sum : sum * (everybody / contributors);
    }
  }
  return combined;
}

}  // namespace chorus::coordinator
