#include "simulations/world/training.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <optional>
#include <utility>

#include "common/crypto/hash.hpp"
#include "common/privacy/private_encoding.hpp"
#include "common/ring/fixed_point.hpp"
#include "simulations/support/seeded_random.hpp"
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

// Of one draw among those of a version. splitmix64's finaliser (Steele, Lea and Flood 2014), once for each number.
std::uint64_t mixed_seed(std::uint64_t seed, std::uint64_t version, std::uint64_t draw) {
  std::uint64_t x = seed;
  for (const std::uint64_t part : {version, draw}) {
    x += part + 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    x ^= x >> 31;
  }
  return x;
}

}  // namespace

Training::Training(const model::Model& model, const evaluation::UserData& users, Aggregation aggregation,
                   unsigned threads, std::uint64_t seed)
    : model_(&model),
      users_(users),
      aggregation_(aggregation),
      threads_(threads),
      state_(model.initial()),
      seed_(seed) {
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
  const auto question = model_->privacy(purpose, model_->training_rounds(state_.shared));
  if (question && aggregation_ != Aggregation::masked) {
    Result<Release> release = sum_private(purpose, layout, *question, contributors, counts);
    if (!release) return fail(std::move(release).error());
    return conclude(purpose, Result<ring::RoundSum>(std::move(release->sum)), counts);
  }
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

plan::UpdateLayout Training::layout(plan::Purpose purpose) const {
  return model_->layout(purpose, model_->training_rounds(state_.shared));
}

Result<RoundOutcome> Training::apply(plan::Purpose purpose, const ring::RoundSum& sum) {
  return conclude(purpose, Result<ring::RoundSum>(sum), {});
}

Result<Release> Training::release(plan::Purpose purpose, std::span<const std::uint32_t> contributors) const {
  const std::uint64_t rounds = model_->training_rounds(state_.shared);
  const plan::UpdateLayout layout = model_->layout(purpose, rounds);
  ring::EncodeCounts counts;
  if (const auto question = model_->privacy(purpose, rounds)) {
    return sum_private(purpose, layout, *question, contributors, counts);
  }
  CHORUS_TRY(auto sum, sum_in_clear<ring::RoundSum>(purpose, layout, contributors, counts));
  return Release{.sum = std::move(sum)};
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

// σ of each device, sized as a daemon sizes it for a roster of so many (design: privacy, section 1).
double device_sigma(const model::PrivateQuestion& question, const privacy::PrivateEncoding& encoding,
                    std::size_t contributors) {
  constexpr plan::Ratio kCorrupt{1, 20};
  constexpr plan::Ratio kDropout{3, 20};
  auto counted = static_cast<std::uint32_t>(contributors);
  if (question.cohort != 0) counted = std::min(counted, question.cohort);
  const double sensitivity = std::sqrt(static_cast<double>(encoding.squared_sensitivity()));
  const std::uint32_t honest = privacy::honest_contributors(counted, kCorrupt, kDropout);
  return privacy::local_sigma(question.noise_multiplier, sensitivity, std::max(honest, 1U));
}

Result<Release> Training::sum_private(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                      const model::PrivateQuestion& question,
                                      std::span<const std::uint32_t> contributors, ring::EncodeCounts& counts) const {
  CHORUS_TRY(const auto encoding,
             privacy::PrivateEncoding::create(layout, question.groups, question.most_items, privacy::kLeastLocalSigma));
  struct Part {
    std::optional<ring::RoundSum> sum;
    privacy::PrivateCounts counts;
    std::optional<Error> error;
  };
  std::vector<Part> parts(kChunks);
  for_each_chunk(contributors.size(), threads_, [&](const Chunk& chunk) {
    Part& part = parts[chunk.index];
    part.sum.emplace(layout);
    SeededRandom random(mixed_seed(seed_, version_, chunk.index + 1));
    ring::Contribution contribution;
    for (const std::uint32_t user : contributors.subspan(chunk.first, chunk.last - chunk.first)) {
      model_->contribute(purpose, state_.shared, known_items(users_[user], model_->shape().items), contribution);
      auto rounded = encoding.clip_and_round(contribution, random, part.counts);
      ring::EncodeCounts none;
      const Status added = rounded ? part.sum->add(*rounded, none) : Status(fail(rounded.error()));
      if (added) continue;
      part.error = added.error().at("user " + std::to_string(user));
      return;
    }
  });
  ring::RoundSum total(layout);
  for (const Part& part : parts) {
    if (part.error) return fail(*part.error);
    total.add(*part.sum);
    counts.clipped += part.counts.clipped + part.counts.norm_clipped;
  }
  const double sigma =
      device_sigma(question, encoding, contributors.size()) * std::sqrt(static_cast<double>(contributors.size()));
  CHORUS_TRY(const auto noise, privacy::DiscreteGaussian::create(sigma));
  std::vector<std::int32_t> samples(layout.dimension());
  SeededRandom random(mixed_seed(seed_, version_, 0));
  noise.fill(samples, random);
  total.add_noise(samples);
  return Release{.sum = std::move(total), .sigma = sigma};
}

Result<ring::RoundSum> Training::sum_masked(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                            std::span<const std::uint32_t> contributors, ring::EncodeCounts& counts) {
  std::optional<privacy::PrivateEncoding> noisy;
  if (const auto question = model_->privacy(purpose, model_->training_rounds(state_.shared))) {
    CHORUS_TRY(const auto plain, privacy::PrivateEncoding::create(layout, question->groups, question->most_items,
                                                                  privacy::kLeastLocalSigma));
    CHORUS_TRY(noisy, privacy::PrivateEncoding::create(layout, question->groups, question->most_items,
                                                       device_sigma(*question, plain, contributors.size())));
  }
  const auto update = [&](std::uint32_t user, ring::EncodeCounts& changed) -> Result<crypto::ZeroizingBytes> {
    ring::Contribution contribution;
    model_->contribute(purpose, state_.shared, known_items(users_[user], model_->shape().items), contribution);
    if (noisy) {
      SeededRandom random(mixed_seed(seed_, version_, kChunks + 1 + user));
      privacy::PrivateCounts found;
      auto packed = noisy->encode(contribution, random, found);
      changed.clipped += found.clipped + found.norm_clipped;
      if (!packed) return fail(packed.error().at("user " + std::to_string(user)));
      return packed;
    }
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
  if constexpr (std::same_as<Sum, ring::RoundSum>) {
    if (model_->privacy(purpose, model_->training_rounds(state_.shared))) {
      outcome.released.assign(sum->coordinates().begin(), sum->coordinates().end());
    }
  }
  if (purpose != plan::Purpose::measure) {
    CHORUS_TRY_DO(model_->step(purpose, state_, sums, sum->contributors()));
    ++version_;
  }
  return outcome;
}

}  // namespace chorus::sim
