#include "simulations/world/validation.hpp"

#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"
#include "common/dataset/split.hpp"

namespace chorus::sim {

double validation_loss(const RoundReport& report) {
  return report.ranking ? -report.ranking->ndcg_at_10() : report.test.rmse();
}

Result<Validation> validate(const model::Model& model, const dataset::RatingTable& training, double share,
                            const TrainingOptions& options) {
  CHORUS_ENSURE(share > 0 && share < 1, "a share of the ratings is held out");
  const dataset::Split split = dataset::hold_out(training, share, options.seed);
  if (split.test.size() == 0 || split.train.size() == 0) {
    return fail(ErrorCode::invalid_argument,
                "nothing can be held out for validation: there are too few ratings, or nobody has two");
  }
  const Population population(split.train);
  std::optional<evaluation::RankingTest> ranking;
  if (model.shape().contract.feedback == dataset::Feedback::events) ranking.emplace(split.train, split.test);
  const TestData held_out(split.test, ranking ? &*ranking : nullptr);
  Validation validation;
  const Moment start = options.clock();
  CHORUS_TRY_DO(run_training(model, population, held_out, options, [&validation](const RoundReport& report) {
    if (report.round > 0) validation.round_losses.push_back(validation_loss(report));
  }));
  validation.seconds = std::chrono::duration<double>(options.clock() - start).count();
  const auto best = std::ranges::min_element(validation.round_losses);
  validation.best_round = static_cast<std::uint32_t>(best - validation.round_losses.begin()) + 1;
  return validation;
}

}  // namespace chorus::sim
