#include "coordinator/publish/robust.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::coordinator {
namespace {

constexpr std::array<std::pair<std::string_view, Combination>, 4> kNames{
    {{"mean", Combination::mean},
     {"trimmed-mean", Combination::trimmed_mean},
     {"median", Combination::median},
     {"norm-filtered", Combination::norm_filtered}}};

// A number this many median deviations from the middle is far; how much farther says no more.
constexpr double kFar = 64;

// One cohort's sum, and the numbers that its coordinates stand for (ring::RoundSum::numbers).
struct Cohort {
  const ring::CohortSum* sum = nullptr;
  std::size_t place = 0;    // among those that were given
  double contributors = 0;  // n_c > 0

  // Number `k` of tensor `t`.
  [[nodiscard]] double number(const plan::UpdateLayout& layout, std::size_t t, std::size_t k) const {
    const plan::TensorLayout& tensor = layout.tensors()[t];
    const int unused = 32 - layout.bits();
    const std::uint32_t* const at = sum->coordinates().data() + layout.offset(t) + k * tensor.limbs;
    const auto lifted = [unused](std::uint32_t coordinate) {
      return std::int64_t{static_cast<std::int32_t>(coordinate << unused) >> unused};
    };
    const std::int64_t value =
        tensor.limbs == 1 ? lifted(at[0]) : lifted(at[0]) * (std::int64_t{1} << plan::kLimbBits) + lifted(at[1]);
    return std::ldexp(static_cast<double>(value), -tensor.scale_log2);
  }
};

// How many cohorts a rule leaves out at each end of a number's order; below half of them.
std::size_t trimmed_of(std::size_t cohorts, const CombinationRule& rule) {
  switch (rule.combination) {
    case Combination::trimmed_mean: {
      // Up, but for the last bits of a product.
      const double wanted = std::ceil(rule.trim * static_cast<double>(cohorts) - 1e-9);
      return std::min(static_cast<std::size_t>(wanted), (cohorts - 1) / 2);
    }
    case Combination::median:
      return (cohorts - 1) / 2;
    case Combination::mean:
    case Combination::norm_filtered:
      return 0;
  }
  std::unreachable();
}

// The median, or the mean of the middle two; changes the order.
double middle_of(std::vector<double>& numbers) {
  const auto upper = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), upper, numbers.end());
  if (numbers.size() % 2 == 1) return *upper;
  return (*std::max_element(numbers.begin(), upper) + *upper) / 2;
}

// A number of one cohort; equal ones are in the order of their cohorts.
struct Seen {
  double mean = 0;
  std::size_t cohort = 0;
  bool operator<(const Seen& other) const { return mean < other.mean || (mean == other.mean && cohort < other.cohort); }
};

class Combiner {
 public:
  Combiner(const plan::UpdateLayout& layout, std::vector<Cohort> cohorts, std::uint64_t contributors)
      : layout_(layout), cohorts_(std::move(cohorts)), everybody_(static_cast<double>(contributors)) {}

  // Removes the cohorts that are too long in some tensor, and says which.
  std::vector<std::size_t> filter_by_norm(double most_norm) {
    std::vector<bool> too_long(cohorts_.size(), false);
    std::vector<double> lengths(cohorts_.size());  // squared
    for (std::size_t t = 0; t < layout_.tensors().size(); ++t) {
      for (std::size_t c = 0; c < cohorts_.size(); ++c) lengths[c] = squared_length(cohorts_[c], t);
      std::vector<double> sorted = lengths;
      std::ranges::sort(sorted);
      // The lower of two middles: a filter that errs on the narrow side. A tensor of which the middle says nothing
      // has no length to compare with.
      const double middle = sorted[(sorted.size() - 1) / 2];
      if (middle == 0) continue;
      for (std::size_t c = 0; c < cohorts_.size(); ++c) {
        if (lengths[c] > most_norm * most_norm * middle) too_long[c] = true;
      }
    }
    std::vector<std::size_t> left_out;
    std::vector<Cohort> kept;
    for (std::size_t c = 0; c < cohorts_.size(); ++c) {
      if (too_long[c]) {
        left_out.push_back(cohorts_[c].place);
      } else {
        kept.push_back(cohorts_[c]);
      }
    }
    cohorts_ = std::move(kept);
    return left_out;
  }

  [[nodiscard]] std::size_t cohorts() const noexcept { return cohorts_.size(); }

  // Every number by itself, without `trimmed` cohorts at each end. [rows × columns]
  [[nodiscard]] std::vector<double> apart(std::size_t t, std::size_t trimmed) const {
    std::vector<double> out(layout_.tensors()[t].numbers());
    std::vector<double> numbers(cohorts_.size());
    std::vector<Seen> seen(cohorts_.size());
    const auto first = seen.begin() + static_cast<std::ptrdiff_t>(trimmed);
    const auto last = seen.end() - static_cast<std::ptrdiff_t>(trimmed);
    for (std::size_t k = 0; k < out.size(); ++k) {
      std::size_t above = 0;
      std::size_t below = 0;
      for (std::size_t c = 0; c < cohorts_.size(); ++c) {
        numbers[c] = cohorts_[c].number(layout_, t, k);
        above += numbers[c] > 0 ? 1 : 0;
        below += numbers[c] < 0 ? 1 : 0;
        seen[c] = {numbers[c] / cohorts_[c].contributors, c};
      }
      if (above <= trimmed && below <= trimmed) continue;  // zeros are left
      if (trimmed > 0) {
        std::nth_element(seen.begin(), first, seen.end());
        std::nth_element(first, last, seen.end());
      }
      // The numbers are whole multiples of one power of two: their sum is exact in any order.
      double sum = 0;
      double contributors = 0;
      for (auto kept = first; kept != last; ++kept) {
        sum += numbers[kept->cohort];
        contributors += cohorts_[kept->cohort].contributors;
      }
      out[k] = scaled(sum, contributors);
    }
    return out;
  }

  // The cohorts that are nearest to the middle in the numbers that devices say once, all but `left_out` of them.
  [[nodiscard]] std::vector<std::size_t> nearest(std::size_t left_out) const {
    std::vector<std::pair<double, std::size_t>> far(cohorts_.size());
    for (std::size_t c = 0; c < cohorts_.size(); ++c) far[c].second = c;
    if (left_out > 0) measure(far);
    std::ranges::sort(far);
    std::vector<std::size_t> kept;
    for (std::size_t c = 0; c < far.size() - left_out; ++c) kept.push_back(far[c].second);
    return kept;
  }

  // The sum of some cohorts. [rows × columns]
  [[nodiscard]] std::vector<double> together(std::size_t t, std::span<const std::size_t> kept) const {
    double contributors = 0;
    for (const std::size_t c : kept) contributors += cohorts_[c].contributors;
    std::vector<double> out(layout_.tensors()[t].numbers());
    for (std::size_t k = 0; k < out.size(); ++k) {
      double sum = 0;
      for (const std::size_t c : kept) sum += cohorts_[c].number(layout_, t, k);
      out[k] = scaled(sum, contributors);
    }
    return out;
  }

 private:
  // Adds to each cohort how far it is from the middle: squared, in median deviations, over all numbers said once.
  void measure(std::vector<std::pair<double, std::size_t>>& far) const {
    std::vector<double> means(cohorts_.size());
    std::vector<double> sorted(cohorts_.size());
    for (std::size_t t = 0; t < layout_.tensors().size(); ++t) {
      if (layout_.tensors()[t].per_item) continue;
      for (std::size_t k = 0; k < layout_.tensors()[t].numbers(); ++k) {
        for (std::size_t c = 0; c < cohorts_.size(); ++c) {
          sorted[c] = means[c] = cohorts_[c].number(layout_, t, k) / cohorts_[c].contributors;
        }
        const double center = middle_of(sorted);
        for (std::size_t c = 0; c < cohorts_.size(); ++c) sorted[c] = means[c] = std::abs(means[c] - center);
        const double usual = middle_of(sorted);
        for (std::size_t c = 0; c < cohorts_.size(); ++c) {
          if (means[c] == 0) continue;
          const double deviations = means[c] < kFar * usual ? means[c] / usual : kFar;
          far[c].first += deviations * deviations;
        }
      }
    }
  }

  [[nodiscard]] double squared_length(const Cohort& cohort, std::size_t t) const {
    double squares = 0;
    for (std::size_t k = 0; k < layout_.tensors()[t].numbers(); ++k) {
      const double number = cohort.number(layout_, t, k);
      squares += number * number;
    }
    return squares / (cohort.contributors * cohort.contributors);
  }

  // As if everybody had given what `contributors` of them gave; where all are kept the sum itself, bit for bit.
  [[nodiscard]] double scaled(double sum, double contributors) const {
    return contributors == everybody_ ? sum : sum * (everybody_ / contributors);
  }

  const plan::UpdateLayout& layout_;
  std::vector<Cohort> cohorts_;
  double everybody_;
};

}  // namespace

std::string_view to_string(Combination combination) noexcept {
  return std::ranges::find(kNames, combination, &std::pair<std::string_view, Combination>::second)->first;
}

Result<Combination> combination_named(std::string_view name) {
  for (const auto& [known, combination] : kNames) {
    if (known == name) return combination;
  }
  return fail(ErrorCode::invalid_argument,
              "expected mean, trimmed-mean, median or norm-filtered, not '" + std::string(name) + "'");
}

Status check_rule(const CombinationRule& rule) {
  if (!(rule.trim > 0 && rule.trim < 0.5)) {
    return fail(ErrorCode::invalid_argument, "expected a share above 0 and below 0.5", "trim");
  }
  if (!(rule.most_norm >= 1) || !std::isfinite(rule.most_norm)) {
    return fail(ErrorCode::invalid_argument, "expected a number of at least 1", "most_norm");
  }
  return {};
}

Status check_rule(const CombinationRule& rule, const model::Model& model) {
  if (rule.combination == Combination::mean) return {};
  if (model.privacy(plan::Purpose::train, 0)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} keeps the noise of some cohorts, where differential privacy counts on that of all: "
                            "only mean goes with it",
                            to_string(rule.combination)));
  }
  if (rule.combination != Combination::norm_filtered && !model.rows_come_apart()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} takes an item's numbers from different cohorts, and those of this model '{}' are one "
                            "matrix: only mean and norm-filtered go with it",
                            to_string(rule.combination), model.family()));
  }
  return {};
}

Result<CombinedSum> combine(const plan::UpdateLayout& layout, std::span<const ring::CohortSum> given,
                            const CombinationRule& rule) {
  CHORUS_ENSURE(check_rule(rule).has_value(), "a rule keeps the middle");
  CombinedSum combined;
  std::vector<Cohort> cohorts;
  for (std::size_t c = 0; c < given.size(); ++c) {
    CHORUS_ENSURE(given[c].coordinates().size() == layout.dimension(), "the cohorts of a round have one layout");
    if (given[c].contributors() == 0) continue;
    combined.contributors += given[c].contributors();
    cohorts.push_back({.sum = &given[c], .place = c, .contributors = static_cast<double>(given[c].contributors())});
  }
  if (cohorts.empty()) return fail(ErrorCode::invalid_argument, "no cohort of the round has contributors");
  if (cohorts.size() < rule.least_cohorts()) {
    return fail(ErrorCode::below_threshold,
                fmt::format("the rule {} needs the sums of {} cohorts; this round has {}", to_string(rule.combination),
                            rule.least_cohorts(), cohorts.size()));
  }
  Combiner combiner(layout, std::move(cohorts), combined.contributors);
  if (rule.combination != Combination::mean) combined.left_out = combiner.filter_by_norm(rule.most_norm);
  if (combiner.cohorts() == 0) {
    return fail(ErrorCode::below_threshold, fmt::format("the rule {} leaves no cohort: each is too long in some tensor",
                                                        to_string(rule.combination)));
  }
  const std::size_t trimmed = trimmed_of(combiner.cohorts(), rule);
  const std::vector<std::size_t> nearest = combiner.nearest(trimmed);
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    combined.sums.push_back(layout.tensors()[t].per_item ? combiner.apart(t, trimmed) : combiner.together(t, nearest));
  }
  return combined;
}

CollectedSums::CollectedSums(plan::UpdateLayout layout, const CombinationRule& rule)
    : layout_(std::move(layout)), rule_(rule) {
  if (rule_.combination == Combination::mean) total_.emplace(layout_);
}

void CollectedSums::add(ring::CohortSum cohort) {
  contributors_ += cohort.contributors();
  if (total_) {
    total_->add(cohort);
  } else {
    cohorts_.push_back(std::move(cohort));
  }
}

void CollectedSums::add(const ring::RoundSum& total) {
  CHORUS_ENSURE(total_.has_value(), "cohorts are told apart by every rule but the plain sum");
  contributors_ += total.contributors();
  total_->add(total);
}

Result<CombinedSum> CollectedSums::combine() const {
  if (!total_) return coordinator::combine(layout_, cohorts_, rule_);
  CombinedSum combined{.sums = {}, .contributors = contributors_, .left_out = {}};
  for (std::size_t t = 0; t < layout_.tensors().size(); ++t) combined.sums.push_back(total_->numbers(t));
  return combined;
}

}  // namespace chorus::coordinator
