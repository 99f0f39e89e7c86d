// What `chorus-sim train` trains and tests on: a split of the ratings and, for families of events, what is ranked.
// Values; stateless functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/base/result.hpp"
#include "common/dataset/reader.hpp"
#include "common/dataset/split.hpp"
#include "common/evaluation/ranking_test.hpp"

namespace chorus::sim {

struct TaskOptions {
  dataset::SplitSpec split;
  // Each test item's rivals: so many drawn ones ("99"), a file of stored ones, or, empty, all items.
  std::string negatives;
  std::filesystem::path item_map;  // of the file: its items' numbers and ids; empty: numbers count the items
  dataset::ReadOptions reading;    // of a file of test ratings
};

struct TrainingTask {
  dataset::Split split;
  std::optional<evaluation::RankingTest> ranking;  // of events
};

// Errors: invalid_argument; where() is the option's name.
[[nodiscard]] Status check_task(const TaskOptions& options, dataset::Feedback feedback);

// Of events every rating is one, of value 1. A file of negatives says itself what the test items are.
// REQUIRES: check_task() passed; fold < options.split.folds. Errors: as make_split and read_ncf_candidates.
[[nodiscard]] Result<TrainingTask> make_task(const dataset::DataSet& data, const TaskOptions& options,
                                             dataset::Feedback feedback, std::uint64_t seed, std::uint32_t fold);

// The data's own contract or, for events, one whose values are 1.
[[nodiscard]] dataset::DataContract task_contract(const dataset::DataSet& data, dataset::Feedback feedback);

}  // namespace chorus::sim
