#include "simulations/world/training_run.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/base/check.hpp"
#include "common/evaluation/rating_test.hpp"
#include "common/privacy/gaussian_accountant.hpp"
#include "simulations/support/seeded_random.hpp"
#include "simulations/world/parallel.hpp"

namespace chorus::sim {
namespace {

// Who takes part, round by round.
class Draw {
 public:
  Draw(std::uint32_t population, const TrainingOptions& options)
      : random_(options.seed), order_(options.order), people_(population) {
    std::iota(people_.begin(), people_.end(), 0U);
    size_ = std::clamp<std::size_t>(static_cast<std::size_t>(std::llround(options.participation * population)), 1,
                                    population);
    if (size_ < people_.size()) shuffle(people_.size());
  }

  // In increasing order.
  std::vector<std::uint32_t> next() {
    std::vector<std::uint32_t> members;
    if (size_ < people_.size() && order_ == CohortOrder::random) shuffle(size_);
    for (std::size_t k = 0; k < size_; ++k) members.push_back(people_[(position_ + k) % people_.size()]);
    if (order_ == CohortOrder::round_robin) position_ = (position_ + size_) % people_.size();
    std::ranges::sort(members);
    return members;
  }

 private:
  // The first `count` places of a uniform permutation (Fisher and Yates).
  void shuffle(std::size_t count) {
    for (std::size_t k = 0; k < count; ++k) std::swap(people_[k], people_[k + random_.below(people_.size() - k)]);
  }

  SeededRandom random_;
  CohortOrder order_;
  std::vector<std::uint32_t> people_;
  std::size_t size_ = 0;
  std::size_t position_ = 0;
};

double seconds_between(Moment start, Moment end) {
  return std::chrono::duration<double>(end - start).count();
}

// The parts of all users, measured by several threads and added up in their order.
template <typename Total, typename Measure>
Result<Total> measure(std::size_t users, unsigned threads, const Measure& measure_part) {
  std::vector<Result<Total>> parts(kChunks);
  for_each_chunk(users, threads, [&](const Chunk& chunk) {
    parts[chunk.index] = measure_part(static_cast<std::uint32_t>(chunk.first), static_cast<std::uint32_t>(chunk.last));
  });
  Total total;
  for (Result<Total>& part : parts) {
    if (!part) return fail(std::move(part).error());
    total.add(*part);
  }
  return total;
}

}  // namespace

namespace {

// Adds up μ² of the rounds' Gaussian privacy. Everybody is taken to be in every round: no credit for sampling.
class Spending {
 public:
  Spending(std::uint32_t cohort_size, double delta) : cohort_(cohort_size), delta_(delta) {}

  [[nodiscard]] Result<SpentBudget> add(const model::PrivateQuestion& question, std::size_t contributors) {
    const double cost = 1 / (question.noise_multiplier * question.noise_multiplier);
    const auto all = static_cast<double>(contributors);
    const double one = std::min<double>(cohort_, all);
    // The noise of a sum grows with its contributors. It was sized for those whose sum the multiplier is of.
    const double sized = question.cohort == 0 ? all : std::min<double>(question.cohort, all);
    coordinator_ += cost * sized / one;
    readers_ += cost * sized / all;
    SpentBudget spent;
    CHORUS_TRY(spent.epsilon_coordinator, privacy::gaussian_epsilon(std::sqrt(coordinator_), delta_));
    CHORUS_TRY(spent.epsilon_readers, privacy::gaussian_epsilon(std::sqrt(readers_), delta_));
    return spent;
  }

 private:
  std::uint32_t cohort_;
  double delta_;
  double coordinator_ = 0;  // μ²
  double readers_ = 0;
};

}  // namespace

Status run_training(const model::Model& model, const Population& population, const TestData& test,
                    const TrainingOptions& options, const std::function<void(const RoundReport&)>& on_round) {
  CHORUS_ENSURE(population.size() > 0 && options.participation > 0 && options.participation <= 1,
                "a training has people, and a share of them takes part");
  const dataset::ByUser tests(test.ratings);
  Training training(model, population.data(), options.aggregation, options.threads, options.seed, options.treatment);
  Draw draw(population.size(), options);
  Spending spending(options.cohort_size, options.delta);
  for (std::uint32_t round = model.needs_survey() ? 0 : 1; round <= options.rounds; ++round) {
    RoundReport report;
    report.round = round;
    report.purpose = round == 0 ? plan::Purpose::survey : plan::Purpose::train;
    report.from = training.version();
    report.contributors = draw.next();
    report.bytes_up = model.layout(report.purpose, model.training_rounds(training.state().shared)).packed_size();
    report.bytes_down = training.state().shared.encode().size();
    const Moment start = options.clock();
    if (const auto question = model.privacy(report.purpose, model.training_rounds(training.state().shared))) {
      CHORUS_TRY(report.spent, spending.add(*question, report.contributors.size()));
    }
    CHORUS_TRY(report.outcome, training.round(report.purpose, report.contributors));
    const Moment trained = options.clock();
    report.seconds = seconds_between(start, trained);
    report.to = training.version();
    report.digest = training.digest();
    const model::TensorSet& shared = training.state().shared;
    const evaluation::UserData& users = population.data();
    if (round > 0 && test.rank != nullptr) {
      CHORUS_TRY(report.ranking, measure<evaluation::RankingQuality>(
                                     users.size(), options.threads, [&](std::uint32_t first, std::uint32_t last) {
                                       return evaluation::test_ranking(model, shared, users, *test.rank, first, last);
                                     }));
    } else if (round > 0 && test.ratings.size() > 0) {
      CHORUS_TRY(report.test, measure<metrics::RatingError>(
                                  users.size(), options.threads, [&](std::uint32_t first, std::uint32_t last) {
                                    return evaluation::test_ratings(model, shared, users, tests, first, last);
                                  }));
    }
    report.evaluation_seconds = seconds_between(trained, options.clock());
    on_round(report);
  }
  return {};
}

}  // namespace chorus::sim
