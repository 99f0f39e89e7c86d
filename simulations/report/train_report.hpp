// The report of `chorus-sim train` as one JSON object, and as a table for people. Values; stateless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "simulations/world/training_run.hpp"

namespace chorus::sim {

struct DataSummary {
  std::string path;
  std::string format;
  std::uint64_t users = 0;
  std::uint64_t items = 0;
  std::uint64_t ratings = 0;   // training and test together
  std::uint64_t training = 0;  // of the first split
  std::uint64_t test = 0;
  std::uint64_t dropped = 0;     // bad lines left out
  std::uint64_t duplicates = 0;  // lines that a later one replaced
};

// Of a family of events.
struct RankingSummary {
  double hit_at_10 = 0;
  double ndcg_at_10 = 0;
  double recall_at_20 = 0;
  double auc = 0;
  double coverage = 0;
  double popularity_bias = 0;
};

struct RoundSummary {
  std::uint32_t round = 0;  // the model after that many training steps
  double rmse = 0;
  double mae = 0;
  double auc = 0;            // of ratings: liked ones among a user's test ratings
  double training_rmse = 0;  // of the model that the round started from, as its metrics said
  double bytes_up = 0;       // of one client
  double bytes_down = 0;
  std::uint64_t clipped = 0;
  std::uint32_t cohorts_rejected = 0;  // for their sums
  std::uint32_t cohorts_left_out = 0;  // whole, by the rule that combines their sums
  double seconds = 0;
  double evaluation_seconds = 0;
  std::optional<RankingSummary> ranking;  // instead of errors; of all rounds of a report or none
  std::optional<SpentBudget> spent;       // of models with differential privacy
};

// One training: a fold, with a seed.
struct RunSummary {
  std::uint64_t seed = 0;
  std::uint32_t fold = 0;
  std::optional<std::uint32_t> chosen_round;  // the last one, if validation chose it
  std::vector<RoundSummary> rounds;
};

using ConfigValue = std::variant<std::string, double, std::uint64_t, bool>;

struct TrainSummary {
  DataSummary data;
  std::vector<std::pair<std::string, ConfigValue>> config;  // every value used, defaults too
  // At least one, each of at least one round; of equal numbers of rounds, unless validation chose them.
  std::vector<RunSummary> runs;
  double seconds = 0;
};

struct ReplaySummary {
  DataSummary data;
  std::string trace;
  std::uint64_t rounds = 0;
  std::uint64_t versions = 0;
  std::optional<std::string> difference;  // the first one, or what was wrong with the trace
  double seconds = 0;
};

// The task's metrics by their names in the report, the most important first.
using Metric = std::pair<const char*, double>;
[[nodiscard]] std::vector<Metric> metrics_of(const RoundSummary& round);

// Means over the runs, of the rounds that all of them have; `clipped` and the counts of cohorts are their totals.
[[nodiscard]] std::vector<RoundSummary> mean_rounds(const std::vector<RunSummary>& runs);
// The mean of their last rounds.
[[nodiscard]] RoundSummary mean_final(std::vector<RunSummary> runs);

[[nodiscard]] std::string to_json(const TrainSummary& summary);
[[nodiscard]] std::string to_json(const ReplaySummary& summary);
[[nodiscard]] std::string to_table(const TrainSummary& summary);

}  // namespace chorus::sim
