#include "simulations/world/training_task.hpp"

#include <utility>

#include "common/dataset/candidates.hpp"
#include "common/dataset/number.hpp"

namespace chorus::sim {
namespace {

using dataset::Feedback;

std::optional<std::uint32_t> drawn_negatives(const TaskOptions& options) {
  return dataset::parse_number<std::uint32_t>(options.negatives);
}

void make_events(dataset::RatingTable& table) {
  for (dataset::Entry& entry : table.entries) entry.value = 1;
}

}  // namespace

Status check_task(const TaskOptions& options, Feedback feedback) {
  const auto refuse = [](std::string sentence, std::string where) {
    return fail(ErrorCode::invalid_argument, std::move(sentence), std::move(where));
  };
  const auto drawn = drawn_negatives(options);
  if (!options.item_map.empty() && (options.negatives.empty() || drawn)) {
    return refuse("it says what the numbers of a file of negatives mean", "--item-map");
  }
  if (options.negatives.empty()) return {};
  if (feedback == Feedback::ratings) return refuse("the model learns from ratings: nothing is ranked", "--negatives");
  if (drawn && *drawn == 0) return refuse("expected a number of items from 1, or a file", "--negatives");
  if (!drawn && options.split.kind != dataset::SplitSpec::Kind::leave_one_out) {
    return refuse("a file of negatives says what the test items are: only with --split loo", "--negatives");
  }
  return {};
}

Result<TrainingTask> make_task(const dataset::DataSet& data, const TaskOptions& options, Feedback feedback,
                               std::uint64_t seed, std::uint32_t fold) {
  TrainingTask task;
  const auto drawn = drawn_negatives(options);
  std::optional<std::vector<dataset::Candidates>> candidates;
  if (options.negatives.empty() || drawn) {
    CHORUS_TRY(task.split, dataset::make_split(data.ratings, options.split, seed, fold, options.reading));
    if (drawn) candidates = dataset::draw_candidates(task.split, *drawn, seed);
  } else {
    std::optional<std::filesystem::path> map;
    if (!options.item_map.empty()) map = options.item_map;
    CHORUS_TRY(dataset::RankingTask stored, dataset::read_ncf_candidates(data.ratings, options.negatives, map));
    task.split = std::move(stored.split);
    candidates = std::move(stored.candidates);
  }
  if (feedback == Feedback::ratings) return task;
  make_events(task.split.train);
  make_events(task.split.test);
  if (candidates) {
    task.ranking.emplace(task.split.train, task.split.test, *candidates);
  } else {
    task.ranking.emplace(task.split.train, task.split.test);
  }
  return task;
}

dataset::DataContract task_contract(const dataset::DataSet& data, Feedback feedback) {
  dataset::DataContract contract = data.contract();
  if (feedback == Feedback::ratings) return contract;
  contract.feedback = Feedback::events;
  contract.minimum = 0;
  contract.maximum = 1;
  contract.step = 0;
  return contract;
}

}  // namespace chorus::sim
