#include "simulations/report/round_summary.hpp"

namespace chorus::sim {

RoundSummary summarise(const RoundReport& report) {
  RoundSummary summary{.round = report.round,
                       .rmse = 0,
                       .mae = 0,
                       .auc = 0,
                       .training_rmse = report.outcome.quality.training_rmse,
                       .bytes_up = static_cast<double>(report.bytes_up),
                       .bytes_down = static_cast<double>(report.bytes_down),
                       .clipped = report.outcome.clipped,
                       .cohorts_rejected = report.outcome.rejected,
                       .cohorts_left_out = report.outcome.left_out,
                       .seconds = report.seconds,
                       .evaluation_seconds = report.evaluation_seconds,
                       .ranking = std::nullopt,
                       .spent = report.spent};
  if (report.test.count() > 0) {
    summary.rmse = report.test.rmse();
    summary.mae = report.test.mae();
    summary.auc = report.test.auc();
  }
  if (report.ranking) {
    summary.ranking = {.hit_at_10 = report.ranking->hit_at_10(),
                       .ndcg_at_10 = report.ranking->ndcg_at_10(),
                       .recall_at_20 = report.ranking->recall_at_20(),
                       .auc = report.ranking->auc(),
                       .coverage = report.ranking->coverage(),
                       .popularity_bias = report.ranking->popularity_bias()};
  }
  return summary;
}

}  // namespace chorus::sim
