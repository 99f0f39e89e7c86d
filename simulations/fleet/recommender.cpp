#include "simulations/fleet/recommender.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/protocol/job_description.hpp"

namespace chorus::sim {

Result<Recommender> Recommender::of(client::Store& store) {
  CHORUS_TRY(const auto signed_job, store.job());
  CHORUS_TRY(const auto catalogue_bytes, store.catalogue());
  CHORUS_TRY(const auto stored_model, store.model());
  if (!signed_job || !catalogue_bytes || !stored_model)
    return fail(ErrorCode::not_found, "the device has no model yet");
  CHORUS_TRY(const auto job, protocol::JobDescription::decode(signed_job->document));
  CHORUS_TRY(const auto catalogue, dataset::Catalogue::decode(catalogue_bytes->bytes));
  CHORUS_TRY(const auto ratings, store.ratings());
  Recommender made;
  CHORUS_TRY(made.model_, job.make_model(stored_model->items));
  CHORUS_TRY(made.shared_, model::TensorSet::decode(stored_model->tensors));
  CHORUS_TRY_DO(made.model_->check_shared(made.shared_));
  made.data_ = client::make_device_data(ratings, catalogue, stored_model->items, job.contract);
  return made;
}

std::vector<BestItem> Recommender::best(std::size_t count) const {
  const model::LocalData mine = data_.view();
  const model::PrivateState state = model_->solve(shared_, mine);
  std::vector<float> scores(model_->shape().items);
  model_->score_all(shared_, state, scores);
  std::vector<std::uint32_t> items(scores.size());
  std::iota(items.begin(), items.end(), 0U);
  std::erase_if(items, [&](std::uint32_t item) {
    return std::ranges::binary_search(mine.training, item, {}, &model::Observation::item);
  });
  const auto last = items.begin() + static_cast<std::ptrdiff_t>(std::min(count, items.size()));
  std::ranges::partial_sort(items, last, [&](std::uint32_t a, std::uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  std::vector<BestItem> best;
  for (auto item = items.begin(); item != last; ++item) {
    best.push_back({model_->explain(shared_, mine, *item), *item});
  }
  return best;
}

bool adds_up(const std::vector<BestItem>& items) {
  return std::ranges::all_of(items, [](const BestItem& item) {
    double sum = 0;
    for (const auto& part : item.parts) sum += part.amount;
    return !item.parts.empty() && std::abs(sum - item.score) <= 1e-6;
  });
}

}  // namespace chorus::sim
