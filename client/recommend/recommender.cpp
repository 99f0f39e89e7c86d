#include "client/recommend/recommender.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/crypto/hash.hpp"
#include "common/protocol/job_description.hpp"

namespace chorus::client {

std::string_view to_string(Basis basis) noexcept {
  constexpr std::string_view kNames[] = {"personal", "popularity", "catalogue"};
  return kNames[static_cast<std::size_t>(basis)];
}

Result<Recommender> Recommender::of(Store& store) {
  CHORUS_TRY(const auto signed_job, store.job());
  CHORUS_TRY(const auto catalogue_bytes, store.catalogue());
  CHORUS_TRY(const auto stored, store.model());
  if (!signed_job || !catalogue_bytes || !stored) {
    return fail(ErrorCode::not_found, "this device has no catalogue and no model yet; sync it once");
  }
  CHORUS_TRY(const auto job, protocol::JobDescription::decode(signed_job->document));
  // They were verified when they came; what a disk did to them since is found here.
  CHORUS_TRY(const auto header, protocol::ModelHeader::decode(stored->header.document));
  if (crypto::sha256(stored->tensors) != header.tensors) {
    return fail(ErrorCode::corrupt, "the stored model is not the one that was accepted; leave the job and sync again");
  }
  Recommender made;
  CHORUS_TRY(made.catalogue_, dataset::Catalogue::decode(catalogue_bytes->bytes));
  CHORUS_TRY(made.model_, job.make_model(stored->items));
  CHORUS_TRY(made.shared_, model::TensorSet::decode(stored->tensors));
  CHORUS_TRY_DO(made.model_->check_shared(made.shared_));
  if (made.items() > made.catalogue_.size()) {
    return fail(ErrorCode::corrupt, "the stored model has more items than the catalogue; leave the job and sync again");
  }
  CHORUS_TRY(const auto ratings, store.ratings());
  made.data_ = make_device_data(ratings, made.catalogue_, stored->items, job.contract);
  // Also what the model cannot use: a value off its scale still means that the user knows the item.
  for (const StoredRating& rating : ratings) {
    if (const auto index = made.catalogue_.find(rating.item)) made.seen_.push_back(index->value());
  }
  std::ranges::sort(made.seen_);
  if (!made.model_->popularity(made.shared_).empty()) {
    made.basis_ = made.data_.training.empty() ? Basis::popularity : Basis::personal;
  }
  return made;
}

// Higher is better. [items]
std::vector<float> Recommender::ranking_scores() const {
  std::vector<float> scores(items(), 0.0F);
  if (basis_ == Basis::personal) {
    model_->score_all(shared_, model_->solve(shared_, data_.view()), scores);
  } else if (basis_ == Basis::popularity) {
    std::ranges::copy(model_->popularity(shared_), scores.begin());
  }
  return scores;
}

model::Explanation Recommender::explain(std::uint32_t item) const {
  return model_->explain(shared_, data_.view(), item);
}

std::vector<Recommendation> Recommender::best(std::size_t count) const {
  const std::vector<float> scores = ranking_scores();
  std::vector<std::uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::erase_if(order, [&](std::uint32_t item) { return std::ranges::binary_search(seen_, item); });
  const auto last = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
  std::ranges::partial_sort(order, last, [&](std::uint32_t a, std::uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  const auto popularity = model_->popularity(shared_);
  std::vector<Recommendation> best;
  for (auto item = order.begin(); item != last; ++item) {
    Recommendation next{.item = *item, .explanation = {}};
    if (basis_ != Basis::catalogue) {
      next.explanation = explain(*item);
      next.rated_by = static_cast<std::uint64_t>(popularity[*item]);
    }
    best.push_back(std::move(next));
  }
  return best;
}

std::optional<float> Recommender::rating_of(std::uint32_t item) const noexcept {
  const auto found = std::ranges::lower_bound(data_.training, item, {}, &model::Observation::item);
  if (found == data_.training.end() || found->item != item) return std::nullopt;
  return found->value;
}

bool adds_up(const std::vector<Recommendation>& recommendations) {
  return std::ranges::all_of(recommendations, [](const Recommendation& recommendation) {
    const auto& [score, parts] = recommendation.explanation;
    const double sum = std::accumulate(parts.begin(), parts.end(), 0.0,
                                       [](double so_far, const auto& part) { return so_far + part.amount; });
    return !parts.empty() && std::abs(sum - score) <= 1e-6;
  });
}

}  // namespace chorus::client
