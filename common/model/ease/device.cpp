// The device's side: contribution, scores, explanation.
#include <algorithm>

#include "common/base/check.hpp"
#include "common/model/ease/digits.hpp"
#include "common/model/ease/ease.hpp"
#include "common/model/event_sums.hpp"
#include "common/model/latest.hpp"

namespace chorus::model::ease {

PrivateState Ease::solve(const TensorSet& /*shared*/, const LocalData& data) const {
  Observations kept;
  PrivateState state;
  for (const Observation& event : latest(data.training, shape_.contract.max_items_per_user, kept)) {
    state.factor.push_back(static_cast<double>(event.item));
  }
  return state;
}

void Ease::contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                      ring::Contribution& out) const {
  CHORUS_ENSURE(purpose != plan::Purpose::survey, "this model needs no survey");
  const std::size_t cap = shape_.contract.max_items_per_user;
  Observations kept_training;
  Observations kept_held_out;
  const LocalData kept{.training = latest(data.training, cap, kept_training),
                       .held_out = latest(data.held_out, cap, kept_held_out)};
  const bool trains = purpose == plan::Purpose::train;
  out.reset(layouts_.of(purpose), trains ? kept.training.size() : 0);
  if (kept.training.empty()) return;
  write_metrics(shared, kept, out.dense);
  if (!trains) return;
  const std::size_t width = pairs_.width();
  for (std::size_t r = 0; r < kept.training.size(); ++r) {
    const std::size_t own = kept.training[r].item;
    out.items[r] = kept.training[r].item;
    double* const row = out.rows.data() + r * width;
    for (const Observation& other : kept.training) {
      const Pairs::Place at = pairs_.place(own, other.item);
      if (at.row == own) row[at.column] = 1;
    }
  }
}

void Ease::write_metrics(const TensorSet& shared, const LocalData& data, std::span<double> out) const {
  crypto::ZeroizingVector<double> metrics(event_metric::kSize, 0.0);
  write_event_metrics(
      data, shape_.items, [&](std::span<float> scores) { score_all(shared, solve(shared, data), scores); }, metrics);
  write_digits(metrics, out);
}

double Ease::weight(const std::vector<float>& precision, std::size_t i, std::size_t j) const noexcept {
  if (i == j) return 0;
  return -double{precision[pairs_.index(i, j)]} / double{precision[pairs_.index(j, j)]};
}

void Ease::score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const {
  CHORUS_ENSURE(out.size() == shape_.items, "scores of every item");
  for (std::uint32_t item = 0; item < shape_.items; ++item) {
    out[item] = static_cast<float>(score(shared, mine, item));
  }
}

double Ease::score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "a score of an item of the catalogue");
  const std::vector<float>& precision = shared.tensors[shared_tensor::kPrecision].values;
  double sum = 0;
  for (const double own : mine.factor) sum += weight(precision, static_cast<std::size_t>(own), item);
  return sum;
}

Explanation Ease::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  const std::vector<float>& precision = shared.tensors[shared_tensor::kPrecision].values;
  Explanation explanation;
  Observations kept;
  for (const Observation& event : latest(data.training, shape_.contract.max_items_per_user, kept)) {
    explanation.parts.push_back(
        {.kind = ScorePart::Kind::history, .item = event.item, .amount = weight(precision, event.item, item)});
  }
  explanation.score = score(shared, solve(shared, data), item);
  return explanation;
}

}  // namespace chorus::model::ease
