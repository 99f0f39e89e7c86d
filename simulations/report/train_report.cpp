#include "simulations/report/train_report.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/check.hpp"

namespace chorus::sim {
namespace {

using Json = nlohmann::ordered_json;

Json to_object(const DataSummary& data) {
  return {{"path", data.path},   {"format", data.format},   {"users", data.users},
          {"items", data.items}, {"ratings", data.ratings}, {"training", data.training},
          {"test", data.test},   {"dropped", data.dropped}, {"duplicates", data.duplicates}};
}

Json to_object(const RoundSummary& round) {
  Json json = {{"round", round.round}};
  for (const auto& [name, value] : metrics_of(round)) json[name] = value;
  if (!round.ranking) json["training_rmse"] = round.training_rmse;
  json["bytes_up_per_client"] = round.bytes_up;
  json["bytes_down_per_client"] = round.bytes_down;
  json["clipped"] = round.clipped;
  json["cohorts_rejected"] = round.cohorts_rejected;
  json["cohorts_left_out"] = round.cohorts_left_out;
  if (round.spent) {
    json["epsilon_coordinator"] = round.spent->epsilon_coordinator;
    json["epsilon_readers"] = round.spent->epsilon_readers;
  }
  json["seconds"] = round.seconds;
  json["evaluation_seconds"] = round.evaluation_seconds;
  return json;
}

// Mean, and the sample's standard deviation (0 for one value).
Json spread(const std::vector<double>& values) {
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double deviation = values.size() < 2 ? 0 : std::sqrt(squares / static_cast<double>(values.size() - 1));
  return {{"mean", mean}, {"standard_deviation", deviation}};
}

Json final_of(const RoundSummary& round) {
  Json json = {{"round", round.round}};
  for (const auto& [name, value] : metrics_of(round)) json[name] = value;
  return json;
}

// The runs of one seed (its folds), and of one fold (its seeds).
template <typename Key>
std::vector<std::vector<RunSummary>> grouped(const std::vector<RunSummary>& runs, Key key) {
  std::map<std::uint64_t, std::vector<RunSummary>> groups;
  for (const RunSummary& run : runs) groups[key(run)].push_back(run);
  std::vector<std::vector<RunSummary>> out;
  for (auto& [name, group] : groups) out.push_back(std::move(group));
  return out;
}

}  // namespace

std::vector<Metric> metrics_of(const RoundSummary& round) {
  if (!round.ranking) return {{"rmse", round.rmse}, {"mae", round.mae}, {"auc", round.auc}};
  const RankingSummary& ranking = *round.ranking;
  return {{"hr@10", ranking.hit_at_10}, {"ndcg@10", ranking.ndcg_at_10}, {"recall@20", ranking.recall_at_20},
          {"auc", ranking.auc},         {"coverage", ranking.coverage},  {"popularity_bias", ranking.popularity_bias}};
}

std::vector<RoundSummary> mean_rounds(const std::vector<RunSummary>& runs) {
  CHORUS_ENSURE(!runs.empty(), "a report is about at least one run");
  std::size_t shortest = runs.front().rounds.size();
  for (const RunSummary& run : runs) shortest = std::min(shortest, run.rounds.size());
  CHORUS_ENSURE(shortest > 0, "a run has at least one round");
  std::vector<RoundSummary> means(shortest);
  const auto share = 1 / static_cast<double>(runs.size());
  for (const RunSummary& run : runs) {
    for (std::size_t r = 0; r < means.size(); ++r) {
      const RoundSummary& round = run.rounds[r];
      RoundSummary& mean = means[r];
      mean.round = round.round;
      mean.rmse += share * round.rmse;
      mean.mae += share * round.mae;
      mean.auc += share * round.auc;
      mean.training_rmse += share * round.training_rmse;
      mean.bytes_up += share * round.bytes_up;
      mean.bytes_down += share * round.bytes_down;
      mean.clipped += round.clipped;
      mean.cohorts_rejected += round.cohorts_rejected;
      mean.cohorts_left_out += round.cohorts_left_out;
      if (round.spent) mean.spent = round.spent;  // the plan's: the same in every run
      mean.seconds += share * round.seconds;
      mean.evaluation_seconds += share * round.evaluation_seconds;
      if (!round.ranking) continue;
      if (!mean.ranking) mean.ranking.emplace();
      mean.ranking->hit_at_10 += share * round.ranking->hit_at_10;
      mean.ranking->ndcg_at_10 += share * round.ranking->ndcg_at_10;
      mean.ranking->recall_at_20 += share * round.ranking->recall_at_20;
      mean.ranking->auc += share * round.ranking->auc;
      mean.ranking->coverage += share * round.ranking->coverage;
      mean.ranking->popularity_bias += share * round.ranking->popularity_bias;
    }
  }
  return means;
}

RoundSummary mean_final(std::vector<RunSummary> runs) {
  for (RunSummary& run : runs) run.rounds = {run.rounds.back()};
  return mean_rounds(runs).front();
}

std::string to_json(const TrainSummary& summary) {
  Json json = {{"data", to_object(summary.data)}, {"config", Json::object()}, {"rounds", Json::array()}};
  for (const auto& [name, value] : summary.config) {
    std::visit([&config = json["config"], &key = name](const auto& v) { config[key] = v; }, value);
  }
  const std::vector<RoundSummary> rounds = mean_rounds(summary.runs);
  for (const RoundSummary& round : rounds) json["rounds"].push_back(to_object(round));
  json["final"] = final_of(mean_final(summary.runs));
  if (summary.runs.front().chosen_round) {
    // Each run chose on its own training ratings.
    json["chosen_round"] = *summary.runs.front().chosen_round;
    if (summary.runs.size() > 1) {
      json["chosen_rounds"] = Json::array();
      for (const RunSummary& run : summary.runs) json["chosen_rounds"].push_back(run.chosen_round.value_or(0));
    }
  }
  const auto folds = grouped(summary.runs, [](const RunSummary& run) { return std::uint64_t{run.fold}; });
  if (folds.size() > 1) {
    json["folds"] = Json::array();
    for (const auto& runs : folds) json["folds"].push_back(final_of(mean_final(runs)));
  }
  const auto repeats = grouped(summary.runs, [](const RunSummary& run) { return run.seed; });
  if (repeats.size() > 1) {
    Json seeds = Json::array();
    std::vector<std::pair<std::string, std::vector<double>>> values;
    for (const Metric& metric : metrics_of(rounds.back())) values.emplace_back(metric.first, std::vector<double>());
    for (const auto& runs : repeats) {
      seeds.push_back(runs.front().seed);
      const std::vector<Metric> last = metrics_of(mean_final(runs));
      for (std::size_t k = 0; k < last.size(); ++k) values[k].second.push_back(last[k].second);
    }
    json["repeat"] = {{"seeds", std::move(seeds)}};
    for (const auto& [name, of_seeds] : values) json["repeat"][name] = spread(of_seeds);
  }
  json["seconds"] = summary.seconds;
  // Paths and ids may hold bytes that are not UTF-8: they are replaced, never thrown at.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_json(const ReplaySummary& summary) {
  Json json = {{"data", to_object(summary.data)},
               {"replay",
                {{"trace", summary.trace},
                 {"rounds", summary.rounds},
                 {"versions", summary.versions},
                 {"identical", !summary.difference.has_value()}}}};
  if (summary.difference) json["replay"]["difference"] = *summary.difference;
  json["seconds"] = summary.seconds;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

std::string chosen_line(const TrainSummary& summary) {
  const RoundSummary last = mean_final(summary.runs);
  const std::vector<Metric> metrics = metrics_of(last);
  return fmt::format("chosen on validation, round {}{}: {} {:.4f}\n", *summary.runs.front().chosen_round,
                     summary.runs.size() > 1 ? " (each run its own)" : "", metrics[0].first, metrics[0].second);
}

}  // namespace

std::string to_table(const TrainSummary& summary) {
  std::string text = fmt::format("{} users, {} items, {} ratings for training and {} for testing\n", summary.data.users,
                                 summary.data.items, summary.data.training, summary.data.test);
  const std::vector<RoundSummary> rounds = mean_rounds(summary.runs);
  // The first two of the task's metrics.
  text += fmt::format("{:>5}", "round");
  for (std::size_t k = 0; k < 2 && !rounds.empty(); ++k) {
    text += fmt::format("  {:>7}", metrics_of(rounds.front())[k].first);
  }
  text += fmt::format("  {:>10}  {:>10}  {:>7}  {:>8}\n", "bytes up", "bytes down", "clipped", "seconds");
  for (const RoundSummary& round : rounds) {
    const std::vector<Metric> metrics = metrics_of(round);
    text += fmt::format("{:>5}  {:>7.4f}  {:>7.4f}  {:>10.0f}  {:>10.0f}  {:>7}  {:>8.3f}\n", round.round,
                        metrics[0].second, metrics[1].second, round.bytes_up, round.bytes_down, round.clipped,
                        round.seconds);
  }
  if (summary.runs.front().chosen_round) text += chosen_line(summary);
  if (!rounds.empty() && rounds.back().spent) {
    text += fmt::format(
        "privacy of a person's whole data: epsilon {:.2f} against readers of the model, {:.2f} against "
        "the coordinator, who sees every cohort's sum\n",
        rounds.back().spent->epsilon_readers, rounds.back().spent->epsilon_coordinator);
  }
  return text;
}

}  // namespace chorus::sim
