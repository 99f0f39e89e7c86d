// `chorus-sim train`: a survey, then rounds of training, each measured on test ratings. Pure: time comes from the
// caller's clock.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "common/base/time.hpp"
#include "common/dataset/rating.hpp"
#include "common/evaluation/ranking_test.hpp"
#include "common/metrics/rating_error.hpp"
#include "simulations/world/population.hpp"
#include "simulations/world/training.hpp"

namespace chorus::sim {

// Who takes part in a round with a participation below 1.
enum class CohortOrder {
  random,       // drawn anew every round
  round_robin,  // everybody once before anybody twice, in one random order
};

struct TrainingOptions {
  std::uint32_t rounds = 1;
  Aggregation aggregation = Aggregation::plain;
  double participation = 1;  // share of the people in a round, within (0, 1]
  CohortOrder order = CohortOrder::random;
  std::uint64_t seed = 1;           // of the draws, and of the keys and masks of masked sums
  unsigned threads = 1;             // never changes a result
  std::uint32_t cohort_size = 512;  // members of one secure sum, which the coordinator sees
  CohortTreatment treatment = {};   // what becomes of the cohorts' sums, and who lies
  double delta = 1e-6;              // at which a private model's ε is reported
  std::function<Moment()> clock = [] { return Moment(); };
};

struct SpentBudget {
  double epsilon_coordinator = 0;
  double epsilon_readers = 0;
};

struct RoundReport {
  std::uint32_t round = 0;  // 0: the survey; k: the version after k training steps
  plan::Purpose purpose = plan::Purpose::train;
  ModelVersion from;
  ModelVersion to;
  Digest digest{};                          // of version `to`
  std::vector<std::uint32_t> contributors;  // users
  RoundOutcome outcome;
  // What everybody has spent up to here, taking part in every round: against the coordinator, who sees every cohort's
  // sum, and against readers of the model, who see what the round's whole sum makes. Absent from models without
  // differential privacy.
  std::optional<SpentBudget> spent;
  metrics::RatingError test;                          // of version `to`; nothing measured for the survey, nor of events
  std::optional<evaluation::RankingQuality> ranking;  // the same of events
  std::size_t bytes_up = 0;                           // of one client
  std::size_t bytes_down = 0;
  double seconds = 0;  // contributions, sum and step
  double evaluation_seconds = 0;
};

// What every round's model is measured on: a view. Ratings, over the population's id maps, have errors; `rank` is of
// events, whose test items are ranked.
struct TestData {
  // NOLINTNEXTLINE(google-explicit-constructor): ratings alone are test data.
  TestData(const dataset::RatingTable& tested, const evaluation::RankingTest* ranked = nullptr)
      : ratings(tested), rank(ranked) {}
  const dataset::RatingTable& ratings;
  const evaluation::RankingTest* rank;
};

// Runs the whole training; calls `on_round` after each round, the survey too.
// Errors: those of Training::round.
[[nodiscard]] Status run_training(const model::Model& model, const Population& population, const TestData& test,
                                  const TrainingOptions& options,
                                  const std::function<void(const RoundReport&)>& on_round);

}  // namespace chorus::sim
