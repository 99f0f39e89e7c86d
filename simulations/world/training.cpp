#include "simulations/world/training.hpp"

#include <algorithm>
#include <optional>
#include <utility>

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
                   unsigned threads, std::uint64_t seed)
    : model_(&model), users_(users), aggregation_(aggregation), threads_(threads), state_(model.initial()) {
  if (aggregation == Aggregation::masked) masked_.emplace(static_cast<std::uint32_t>(users.size()), seed);
}

Digest Training::digest() const {
  return crypto::sha256(state_.shared.encode());
}

void Training::grow(const model::Model& longer) {
  model_ = &longer;
  longer.grow(state_);
  ++version_;
}

Result<RoundOutcome> Training::round(plan::Purpose purpose, std::span<const std::uint32_t> contributors) {
  const plan::UpdateLayout layout = model_->layout(purpose, model_->training_rounds(state_.shared));
  ring::EncodeCounts counts;
  switch (aggregation_) {
    case Aggregation::floating:
      return conclude(purpose, sum_in_clear<FloatSum>(purpose, layout, contributors, counts), counts);
    case Aggregation::plain:
      return conclude(purpose, sum_in_clear<ring::RoundSum>(purpose, layout, contributors, counts), counts);
    case Aggregation::masked:
      return conclude(purpose, sum_masked(purpose, layout, contributors, counts), counts);
  }
  std::unreachable();
}

template <typename Sum>
Result<Sum> Training::sum_in_clear(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                   std::span<const std::uint32_t> contributors, ring::EncodeCounts& counts) const {
  struct Part {
    std::optional<Sum> sum;
    ring::EncodeCounts counts;
    std::optional<Error> error;
  };
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
  Sum& total = *parts.front().sum;
  for (std::size_t c = 0; c < parts.size(); ++c) {
    if (parts[c].error) return fail(*parts[c].error);
    if (c > 0) total.add(*parts[c].sum);
    counts.clipped += parts[c].counts.clipped;
  }
  return std::move(total);
}

Result<ring::RoundSum> Training::sum_masked(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                            std::span<const std::uint32_t> contributors, ring::EncodeCounts& counts) {
  const auto update = [&](std::uint32_t user, ring::EncodeCounts& changed) -> Result<crypto::ZeroizingBytes> {
    ring::Contribution contribution;
    model_->contribute(purpose, state_.shared, known_items(users_[user], model_->shape().items), contribution);
    auto packed = ring::encode(layout, contribution, changed);
    if (!packed) return fail(packed.error().at("user " + std::to_string(user)));
    return packed;
  };
  return masked_->sum(purpose, layout, contributors, update, counts, threads_);
}

template <typename Sum>
Result<RoundOutcome> Training::conclude(plan::Purpose purpose, const Result<Sum>& sum,
                                        const ring::EncodeCounts& counts) {
  if (!sum) return fail(sum.error());
  const std::size_t tensors = model_->layout(purpose, model_->training_rounds(state_.shared)).tensors().size();
  std::vector<std::vector<double>> sums;
  for (std::size_t t = 0; t < tensors; ++t) sums.push_back(sum->numbers(t));
  RoundOutcome outcome;
  outcome.clipped = counts.clipped;
  outcome.contributors = sum->contributors();
  outcome.quality = model_->quality(purpose, sums);
  if (purpose != plan::Purpose::measure) {
    CHORUS_TRY_DO(model_->step(purpose, state_, sums, sum->contributors()));
    ++version_;
  }
  return outcome;
}

}  // namespace chorus::sim
