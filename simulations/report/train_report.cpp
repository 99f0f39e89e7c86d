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
  return {{"round", round.round},
          {"rmse", round.rmse},
          {"mae", round.mae},
          {"training_rmse", round.training_rmse},
          {"bytes_up_per_client", round.bytes_up},
          {"bytes_down_per_client", round.bytes_down},
          {"clipped", round.clipped},
          {"seconds", round.seconds},
          {"evaluation_seconds", round.evaluation_seconds}};
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
  return {{"round", round.round}, {"rmse", round.rmse}, {"mae", round.mae}};
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

std::vector<RoundSummary> mean_rounds(const std::vector<RunSummary>& runs) {
  CHORUS_ENSURE(!runs.empty(), "a report is about at least one run");
  std::vector<RoundSummary> means(runs.front().rounds.size());
  const auto share = 1 / static_cast<double>(runs.size());
  for (const RunSummary& run : runs) {
    CHORUS_ENSURE(run.rounds.size() == means.size(), "all runs of a report have the same rounds");
    for (std::size_t r = 0; r < means.size(); ++r) {
      const RoundSummary& round = run.rounds[r];
      RoundSummary& mean = means[r];
      mean.round = round.round;
      mean.rmse += share * round.rmse;
      mean.mae += share * round.mae;
      mean.training_rmse += share * round.training_rmse;
      mean.bytes_up += share * round.bytes_up;
      mean.bytes_down += share * round.bytes_down;
      mean.clipped += round.clipped;
      mean.seconds += share * round.seconds;
      mean.evaluation_seconds += share * round.evaluation_seconds;
    }
  }
  return means;
}

std::string to_json(const TrainSummary& summary) {
  Json json = {{"data", to_object(summary.data)}, {"config", Json::object()}, {"rounds", Json::array()}};
  for (const auto& [name, value] : summary.config) {
    std::visit([&config = json["config"], &key = name](const auto& v) { config[key] = v; }, value);
  }
  const std::vector<RoundSummary> rounds = mean_rounds(summary.runs);
  for (const RoundSummary& round : rounds) json["rounds"].push_back(to_object(round));
  json["final"] = final_of(rounds.back());
  const auto folds = grouped(summary.runs, [](const RunSummary& run) { return std::uint64_t{run.fold}; });
  if (folds.size() > 1) {
    json["folds"] = Json::array();
    for (const auto& runs : folds) json["folds"].push_back(final_of(mean_rounds(runs).back()));
  }
  const auto repeats = grouped(summary.runs, [](const RunSummary& run) { return run.seed; });
  if (repeats.size() > 1) {
    Json seeds = Json::array();
    std::vector<double> rmse;
    std::vector<double> mae;
    for (const auto& runs : repeats) {
      const RoundSummary last = mean_rounds(runs).back();
      seeds.push_back(runs.front().seed);
      rmse.push_back(last.rmse);
      mae.push_back(last.mae);
    }
    json["repeat"] = {{"seeds", std::move(seeds)}, {"rmse", spread(rmse)}, {"mae", spread(mae)}};
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

std::string to_table(const TrainSummary& summary) {
  std::string text = fmt::format("{} users, {} items, {} ratings for training and {} for testing\n", summary.data.users,
                                 summary.data.items, summary.data.training, summary.data.test);
  text += fmt::format("{:>5}  {:>7}  {:>7}  {:>10}  {:>10}  {:>7}  {:>8}\n", "round", "rmse", "mae", "bytes up",
                      "bytes down", "clipped", "seconds");
  for (const RoundSummary& round : mean_rounds(summary.runs)) {
    text += fmt::format("{:>5}  {:>7.4f}  {:>7.4f}  {:>10.0f}  {:>10.0f}  {:>7}  {:>8.3f}\n", round.round, round.rmse,
                        round.mae, round.bytes_up, round.bytes_down, round.clipped, round.seconds);
  }
  return text;
}

}  // namespace chorus::sim
