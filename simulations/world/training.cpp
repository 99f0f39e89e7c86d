#include "simulations/world/training.hpp"

#include <algorithm>
#include <optional>

#include "common/crypto/hash.hpp"
#include "common/ring/fixed_point.hpp"
#include "simulations/world/float_sum.hpp"
#include "simulations/world/parallel.hpp"

namespace chorus::sim {

namespace {

// What a device can contribute of: the ratings of items that the catalogue has.
model::LocalData known_items(const model::LocalData& data, std::uint32_t items) {
  const auto known = [items](std::span<const model::Observation> ratings) {
    const auto end = std::ranges::lower_bound(ratings, items, {}, &model::Observation::item);
    return ratings.first(static_cast<std::size_t>(end - ratings.begin()));
  };
  return {.training = known(data.training), .held_out = known(data.held_out)};
}

}  // namespace

Training::Training(const model::Model& model, const evaluation::UserData& users, Aggregation aggregation,
                   unsigned threads)
    : model_(&model), users_(users), aggregation_(aggregation), threads_(threads), state_(model.initial()) {}

Digest Training::digest() const {
  return crypto::sha256(state_.shared.encode());
}

void Training::grow(const model::Model& longer) {
  model_ = &longer;
  longer.grow(state_);
  ++version_;
}

Result<RoundOutcome> Training::round(plan::Purpose purpose, std::span<const std::uint32_t> contributors) {
  return aggregation_ == Aggregation::plain ? round_with<ring::RoundSum>(purpose, contributors)
                                            : round_with<FloatSum>(purpose, contributors);
}

template <typename Sum>
Result<RoundOutcome> Training::round_with(plan::Purpose purpose, std::span<const std::uint32_t> contributors) {
  struct Part {
    std::optional<Sum> sum;
    ring::EncodeCounts counts;
    std::optional<Error> error;
  };
  const plan::UpdateLayout layout = model_->layout(purpose, model_->training_rounds(state_.shared));
  std::vector<Part> parts(kChunks);
  for_each_chunk(contributors.size(), threads_, [&](const Chunk& chunk) {
    Part& part = parts[chunk.index];
    part.sum.emplace(layout);
    ring::Contribution contribution;
    for (const std::uint32_t user : contributors.subspan(chunk.first, chunk.last - chunk.first)) {
      model_->contribute(purpose, state_.shared, known_items(users_[user], model_->shape().items), contribution);
      Status added = part.sum->add(contribution, part.counts);
      if (added) continue;
      part.error = added.error().at("user " + std::to_string(user));
      return;
    }
  });
  RoundOutcome outcome;
  Sum& total = *parts.front().sum;
  for (std::size_t c = 0; c < parts.size(); ++c) {
    if (parts[c].error) return fail(*parts[c].error);
    if (c > 0) total.add(*parts[c].sum);
    outcome.clipped += parts[c].counts.clipped;
  }
  std::vector<std::vector<double>> sums;
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) sums.push_back(total.numbers(t));
  outcome.contributors = total.contributors();
  outcome.quality = model_->quality(purpose, sums);
  if (purpose != plan::Purpose::measure) {
    CHORUS_TRY_DO(model_->step(purpose, state_, sums, total.contributors()));
    ++version_;
  }
  return outcome;
}

}  // namespace chorus::sim
