#include "simulations/world/training.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <map>
#include <optional>
#include <utility>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/privacy/private_encoding.hpp"
#include "common/ring/fixed_point.hpp"
#include "coordinator/round/sum_bounds.hpp"
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
                   unsigned threads, std::uint64_t seed, const CohortTreatment& treatment)
    : model_(&model),
      users_(users),
      aggregation_(aggregation),
      threads_(threads),
      state_(model.initial()),
      seed_(seed),
      treatment_(treatment) {
  const bool plain = treatment.rule.combination == coordinator::Combination::mean && treatment.poisoners == nullptr;
  CHORUS_ENSURE(plain || (aggregation != Aggregation::floating && !model.privacy(plan::Purpose::train, 0)),
                "cohorts are told apart in a ring, and without noise");
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
      if (treatment_.rule.combination != coordinator::Combination::mean || treatment_.poisoners != nullptr) {
        return round_of(purpose, cohorts_of(contributors, layout.max_contributors()), treatment_.rule);
      }
      return conclude(purpose, sum_in_clear<ring::RoundSum>(purpose, layout, contributors, counts), counts);
    case Aggregation::masked: {
      CHORUS_TRY(auto sums, sums_masked(purpose, layout, contributors, counts));
      return conclude(purpose, std::move(sums), treatment_.rule, counts);
    }
  }
  std::unreachable();
}

Result<RoundOutcome> Training::round_of(plan::Purpose purpose, std::span<const std::span<const std::uint32_t>> cohorts,
                                        const coordinator::CombinationRule& rule) {
  ring::EncodeCounts counts;
  CHORUS_TRY(auto sums, sums_by_cohort(purpose, layout(purpose), cohorts, counts));
  return conclude(purpose, std::move(sums), rule, counts);
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

namespace {

// The poisoners of each cohort, and how they encode.
struct Poisoned {
  Poisoned(const Poisoners* poisoners, const plan::UpdateLayout& honest, std::span<const std::uint32_t> cohort,
           std::size_t index, std::size_t cohorts) {
    if (poisoners == nullptr) return;
    for (const std::uint32_t user : cohort) {
      if (poisoners->is_poisoned(user, index, cohorts)) users.push_back(user);
    }
    if (!users.empty()) {
      layout = poisoners->layout(honest, static_cast<std::uint32_t>(users.size()),
                                 static_cast<std::uint32_t>(cohort.size()));
    }
  }
  [[nodiscard]] bool contain(std::uint32_t user) const { return std::ranges::find(users, user) != users.end(); }

  std::vector<std::uint32_t> users;
  std::optional<plan::UpdateLayout> layout;  // there if somebody is
};

}  // namespace

Result<std::vector<ring::CohortSum>> Training::sums_by_cohort(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                                              std::span<const std::span<const std::uint32_t>> cohorts,
                                                              ring::EncodeCounts& counts) const {
  struct Part {
    std::vector<ring::CohortSum> sums;  // of its cohorts, which are those before the next part's
    ring::EncodeCounts counts;
    std::optional<Error> error;
  };
  const auto add_up = [&](std::size_t c, Part& part) -> Status {
    const Poisoned poisoned(treatment_.poisoners, layout, cohorts[c], c, cohorts.size());
    ring::RoundSum honest(layout);
    std::optional<ring::RoundSum> lies;
    if (poisoned.layout) lies.emplace(*poisoned.layout);
    ring::Contribution contribution;
    for (const std::uint32_t user : cohorts[c]) {
      const model::LocalData data = known_items(users_[user], model_->shape().items);
      const bool lies_too = poisoned.contain(user);
      ring::EncodeCounts uncounted;
      if (lies_too) {
        treatment_.poisoners->contribute(*model_, purpose, state_.shared, data, contribution);
      } else {
        model_->contribute(purpose, state_.shared, data, contribution);
      }
      const Status added = lies_too ? lies->add(contribution, uncounted) : honest.add(contribution, part.counts);
      if (!added) return fail(added.error().at("user " + std::to_string(user)));
    }
    std::vector<std::uint32_t> coordinates(layout.dimension());
    for (std::size_t k = 0; k < coordinates.size(); ++k) {
      const std::int64_t sum = honest.coordinates()[k] + (lies ? lies->coordinates()[k] : 0);
      coordinates[k] = static_cast<std::uint32_t>(sum);  // the ring keeps its low bits
    }
    part.sums.push_back(
        ring::CohortSum::of(layout, std::move(coordinates), static_cast<std::uint32_t>(cohorts[c].size())));
    return {};
  };
  std::vector<Part> parts(kChunks);
  for_each_chunk(cohorts.size(), threads_, [&](const Chunk& chunk) {
    Part& part = parts[chunk.index];
    for (std::size_t c = chunk.first; c < chunk.last && !part.error; ++c) {
      const Status added = add_up(c, part);
      if (!added) part.error = added.error();
    }
  });
  std::vector<ring::CohortSum> sums;
  for (Part& part : parts) {
    if (part.error) return fail(*part.error);
    for (ring::CohortSum& sum : part.sums) sums.push_back(std::move(sum));
    counts.clipped += part.counts.clipped;
  }
  return sums;
}

Result<std::vector<ring::CohortSum>> Training::sums_masked(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                                           std::span<const std::uint32_t> contributors,
                                                           ring::EncodeCounts& counts) {
  std::optional<privacy::PrivateEncoding> noisy;
  if (const auto question = model_->privacy(purpose, model_->training_rounds(state_.shared))) {
    CHORUS_TRY(const auto plain, privacy::PrivateEncoding::create(layout, question->groups, question->most_items,
                                                                  privacy::kLeastLocalSigma));
    CHORUS_TRY(noisy, privacy::PrivateEncoding::create(layout, question->groups, question->most_items,
                                                       device_sigma(*question, plain, contributors.size())));
  }
  std::vector<Poisoned> poisoned;
  std::map<std::uint32_t, std::size_t> cohort_of;
  const auto cohorts = cohorts_of(contributors, layout.max_contributors());
  for (std::size_t c = 0; c < cohorts.size(); ++c) {
    poisoned.emplace_back(treatment_.poisoners, layout, cohorts[c], c, cohorts.size());
    for (const std::uint32_t user : poisoned[c].users) cohort_of.emplace(user, c);
  }
  const auto update = [&](std::uint32_t user, ring::EncodeCounts& changed) -> Result<crypto::ZeroizingBytes> {
    ring::Contribution contribution;
    if (const auto cohort = cohort_of.find(user); cohort != cohort_of.end()) {
      treatment_.poisoners->contribute(*model_, purpose, state_.shared,
                                       known_items(users_[user], model_->shape().items), contribution);
      ring::EncodeCounts uncounted;
      return ring::encode(*poisoned[cohort->second].layout, contribution, uncounted);
    }
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
  return masked_->sums(purpose, layout, contributors, update, counts, threads_);
}

template <typename Sum>
Result<RoundOutcome> Training::conclude(plan::Purpose purpose, const Result<Sum>& sum,
                                        const ring::EncodeCounts& counts) {
  if (!sum) return fail(sum.error());
  const std::size_t tensors = layout(purpose).tensors().size();
  std::vector<std::vector<double>> sums;
  for (std::size_t t = 0; t < tensors; ++t) sums.push_back(sum->numbers(t));
  std::vector<std::int64_t> released;
  if constexpr (std::same_as<Sum, ring::RoundSum>) {
    if (model_->privacy(purpose, model_->training_rounds(state_.shared))) {
      released.assign(sum->coordinates().begin(), sum->coordinates().end());
    }
  }
  CHORUS_TRY(RoundOutcome outcome, step(purpose, sums, sum->contributors(), counts));
  outcome.released = std::move(released);
  return outcome;
}

Result<RoundOutcome> Training::conclude(plan::Purpose purpose, std::vector<ring::CohortSum> sums,
                                        const coordinator::CombinationRule& rule, const ring::EncodeCounts& counts) {
  const plan::UpdateLayout layout = this->layout(purpose);
  if (model_->privacy(purpose, model_->training_rounds(state_.shared))) {
    ring::RoundSum total(layout);
    for (const ring::CohortSum& sum : sums) total.add(sum);
    return conclude(purpose, Result<ring::RoundSum>(std::move(total)), counts);
  }
  coordinator::CollectedSums collected(layout, rule);
  std::uint32_t rejected = 0;
  for (ring::CohortSum& sum : sums) {
    if (treatment_.rejects && !coordinator::check_bounds(layout, 0, {}, sum)) {
      ++rejected;
    } else {
      collected.add(std::move(sum));
    }
  }
  if (rejected == sums.size() && rejected > 0) {
    return fail(ErrorCode::sum_out_of_bounds, "the sums of all cohorts are beyond what honest members can make");
  }
  CHORUS_TRY(const coordinator::CombinedSum combined, collected.combine());
  CHORUS_TRY(RoundOutcome outcome, step(purpose, combined.sums, combined.contributors, counts));
  outcome.rejected = rejected;
  outcome.left_out = static_cast<std::uint32_t>(combined.left_out.size());
  return outcome;
}

Result<RoundOutcome> Training::step(plan::Purpose purpose, std::span<const std::vector<double>> sums,
                                    std::uint64_t contributors, const ring::EncodeCounts& counts) {
  RoundOutcome outcome;
  outcome.clipped = counts.clipped;
  outcome.contributors = contributors;
  outcome.quality = model_->quality(purpose, sums);
  if (purpose != plan::Purpose::measure) {
    CHORUS_TRY_DO(model_->step(purpose, state_, sums, contributors));
    ++version_;
  }
  return outcome;
}

}  // namespace chorus::sim
