// Repeats a run from its trace (coordinator/publish/trace.hpp) and the ratings of those who took part, and compares
// every model version with the one that was published: the same bytes. Where devices added noise, the sum of a round is
// taken from the trace.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/id.hpp"
#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "simulations/world/population.hpp"
#include "simulations/world/training_run.hpp"

namespace chorus::sim {

struct Replay {
  std::uint64_t versions = 0;  // that were made and compared, version 0 too
  std::uint64_t rounds = 0;    // records of rounds, those that only measured too
};

// `population`: the devices of the trace, with the ratings that they held, over the job's catalogue in its order.
// `items`: that catalogue, for models that learn from descriptions; empty: they have none.
// Errors: corrupt (the first version whose bytes differ; the sentence names it and both digests); malformed,
// unsupported_version (a line of the trace that cannot be, or stands in the wrong place); not_found (a survivor that
// the population does not have); invalid_argument (a model that this build cannot make); non_finite. where() is the
// trace's line ("line 3").
[[nodiscard]] Result<Replay> replay(std::string_view trace, const Population& population,
                                    std::span<const dataset::CatalogueItem> items, unsigned threads);

// The trace of a run in one process, in the coordinator's format, line by line. Cohorts are cohorts_of() the
// contributors, of the model's `max_contributors` at most.
class TraceOfTraining {
 public:
  // `rule`: of the cohorts' sums. REQUIRES: nobody lies: what a poisoner sends cannot be repeated from its ratings.
  TraceOfTraining(const model::Model& model, const Population& population,
                  const coordinator::CombinationRule& rule = {});
  // Each line with its line break.
  [[nodiscard]] std::string header(std::string_view name) const;
  [[nodiscard]] std::string line(const RoundReport& report) const;

 private:
  const model::Model& model_;
  const Population& population_;
  coordinator::CombinationRule rule_;
};

}  // namespace chorus::sim
