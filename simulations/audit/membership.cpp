#include "simulations/audit/membership.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "common/privacy/gaussian_accountant.hpp"
#include "simulations/audit/row_evidence.hpp"
#include "simulations/audit/statistics.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::sim::audit {
namespace {

constexpr double kMostBias = 0.03;            // of the records' AUC from 1/2, under noise
constexpr std::size_t kMostRecords = 20'000;  // of one shadow training
// All aggregates of a training by `members`.
Result<std::vector<Look>> watch(const Scene& scene, const model::Model& model, std::span<const std::uint32_t> members,
                                std::uint32_t rounds, std::uint64_t seed) {
  Training training(model, scene.users(), Aggregation::plain, scene.options().threads, seed);
  std::vector<Look> looks;
  for (std::uint32_t round = 0; round <= rounds; ++round) {
    const plan::Purpose purpose = round == 0 ? plan::Purpose::survey : plan::Purpose::train;
    CHORUS_TRY(const Release release, training.release(purpose, members));
    looks.push_back(look_at(scene, model, training, purpose, release));
    CHORUS_TRY_DO(training.apply(purpose, release.sum));
  }
  return looks;
}

// The evidence on one person, and on each of its records.
struct Candidate {
  std::vector<double> person;                // three features a tensor and round
  std::vector<std::uint32_t> items;          // sorted
  std::vector<std::vector<double>> records;  // two features a per-item tensor and round
};
Candidate examine(const Scene& scene, const model::Model& model, std::span<const Look> looks, std::uint32_t user,
                  bool own) {
  const auto ratings = scene.users()[user].training;
  Candidate candidate;
  for (const model::Observation& rating : ratings) candidate.items.push_back(rating.item);
  candidate.records.resize(ratings.size());
  ring::Contribution contribution;
  struct Whole {
    double evidence = 0;
    double impossible = 0;  // rows
    double certain = 0;
  };
  for (const Look& look : looks) {
    model.contribute(look.purpose, look.shared, scene.users()[user], contribution);
    std::vector<Whole> whole(look.layout.tensors().size());
    std::size_t next = 0;
    for_each_row(look.layout, contribution, [&](std::size_t t, std::size_t row, std::span<const double> x) {
      const double evidence = evidence_of(look, t, row, x, own);
      whole[t].evidence += evidence;
      whole[t].impossible += evidence <= -kMostEvidence ? 1 : 0;
      whole[t].certain += evidence >= kMostEvidence ? 1 : 0;
      if (!look.layout.tensors()[t].per_item) return;
      double squares = 0;
      for (const double number : x) squares += number * number;
      std::vector<double>& record = candidate.records[next++ % ratings.size()];
      record.insert(record.end(), {evidence, std::log(squares + 1e-9)});
    });
    for (const Whole& each : whole) {
      candidate.person.insert(candidate.person.end(),
                              {std::copysign(std::log1p(std::abs(each.evidence)), each.evidence),
                               std::log1p(each.impossible), std::log1p(each.certain)});
    }
  }
  return candidate;
}

// People who took part and people who did not, and what an attacker has on them.
struct Trial {
  std::vector<Candidate> members;
  std::vector<Candidate> strangers;
};
Result<Trial> play(const Scene& scene, const model::Model& model, std::span<const std::uint32_t> people,
                   std::uint32_t rounds, std::uint64_t seed, bool own) {
  SeededRandom random(seed);
  std::vector<std::uint32_t> members;
  std::vector<std::uint32_t> strangers;
  for (const std::uint32_t k : permutation(static_cast<std::uint32_t>(people.size()), random)) {
    (members.size() < people.size() / 2 ? members : strangers).push_back(people[k]);
  }
  CHORUS_TRY(const std::vector<Look> looks, watch(scene, model, members, rounds, seed));
  Trial trial;
  for (const std::uint32_t user : members) trial.members.push_back(examine(scene, model, looks, user, own));
  for (const std::uint32_t user : strangers) trial.strangers.push_back(examine(scene, model, looks, user, own));
  return trial;
}

// A record of a member and one of the same item by somebody who was not there, over and over.
void add_records(const Trial& trial, std::uint32_t items, std::size_t most, crypto::RandomSource& random,
                 Examples& examples) {
  struct Place {
    const Candidate* candidate = nullptr;
    std::size_t record = 0;
  };
  std::vector<std::vector<Place>> strangers(items);
  for (const Candidate& candidate : trial.strangers) {
    for (std::size_t k = 0; k < candidate.items.size(); ++k) strangers[candidate.items[k]].push_back({&candidate, k});
  }
  std::vector<Place> members;
  for (const Candidate& candidate : trial.members) {
    for (std::size_t k = 0; k < candidate.items.size(); ++k) members.push_back({&candidate, k});
  }
  const auto order = permutation(static_cast<std::uint32_t>(members.size()), random);
  for (std::size_t k = 0; k < std::min(most, order.size()); ++k) {
    const Place& member = members[order[k]];
    const std::vector<Place>& same = strangers[member.candidate->items[member.record]];
    if (same.empty()) continue;
    const Place& stranger = same[random.below(same.size())];
    examples.add(member.candidate->records[member.record], true);
    examples.add(stranger.candidate->records[stranger.record], false);
  }
}

std::vector<std::uint32_t> subset(std::span<const std::uint32_t> people, std::size_t size,
                                  crypto::RandomSource& random) {
  std::vector<std::uint32_t> chosen;
  for (const std::uint32_t k : permutation(static_cast<std::uint32_t>(people.size()), random)) {
    if (chosen.size() < size) chosen.push_back(people[k]);
  }
  return chosen;
}

void add_people(const Trial& trial, Examples& examples) {
  for (const Candidate& candidate : trial.members) examples.add(candidate.person, true);
  for (const Candidate& candidate : trial.strangers) examples.add(candidate.person, false);
}

}  // namespace

Result<Membership> infer_membership(const Scene& scene, const model::Model& model, std::uint32_t rounds,
                                    const Games& games) {
  SeededRandom random(scene.seed(11));
  std::optional<Examples> known_records;
  std::optional<Examples> known_people;
  for (std::uint32_t shadow = 0; shadow < games.shadows; ++shadow) {
    const auto group = subset(scene.others(), games.people, random);
    CHORUS_TRY(const Trial trial, play(scene, model, group, rounds, scene.seed(1000 + shadow), true));
    if (!known_people) {
      known_records.emplace(trial.members.front().records.front().size());
      known_people.emplace(trial.members.front().person.size());
    }
    add_records(trial, scene.items(), kMostRecords, random, *known_records);
    add_people(trial, *known_people);
  }
  const Classifier by_record(*known_records);
  const Classifier by_person(*known_people);
  Membership found;
  for (std::uint32_t game = 0; game < games.times; ++game) {
    const auto group = subset(scene.cohort(), games.people, random);
    CHORUS_TRY(const Trial target, play(scene, model, group, rounds, scene.seed(2000 + game), false));
    Examples records(known_records->features());
    Examples persons(known_people->features());
    add_records(target, scene.items(), ~std::size_t{0}, random, records);
    add_people(target, persons);
    found.records += records.size() / 2;
    found.people = target.members.size();
    found.record_auc += (by_record.auc(records) - 0.5) / games.times;
    found.person_auc += (by_person.auc(persons) - 0.5) / games.times;
  }
  found.record_error = auc_error(found.record_auc, games.times * found.people, games.times * found.people);
  found.person_error = auc_error(found.person_auc, games.times * found.people, games.times * found.people);
  return found;
}

Result<Finding> attack_membership(const Scene& scene) {
  constexpr std::uint32_t kPlainRounds = 2;
  constexpr std::uint32_t kShadows = 6;
  constexpr std::size_t kPairs = 2400;
  constexpr std::size_t kFew = 8;  // four of them in the sum
  constexpr double kLeastControl = 0.9;
  const AuditOptions& options = scene.options();
  const std::size_t all = scene.cohort().size();
  // Enough for a standard error of .012.
  const auto times = static_cast<std::uint32_t>(std::max<std::size_t>((kPairs + all - 1) / all, 2));
  CHORUS_TRY(const auto plain, scene.plain_model());
  CHORUS_TRY(const Membership open,
             infer_membership(scene, *plain, kPlainRounds, {.people = all, .shadows = kShadows, .times = times}));
  CHORUS_TRY(const Membership few,
             infer_membership(scene, *plain, kPlainRounds, {.people = kFew, .shadows = 48, .times = 16}));
  CHORUS_TRY(const auto noisy, scene.private_model(all / 2));
  CHORUS_TRY(const Membership hidden, infer_membership(scene, *noisy, noisy->preset_rounds(),
                                                       {.people = all, .shadows = kShadows, .times = times}));
  CHORUS_TRY(const double mu, privacy::gaussian_mu({.epsilon = options.epsilon, .delta = options.delta}));
  // The AUC of the best test between N(0, 1) and N(μ, 1).
  const double bound = normal_cdf(mu / std::sqrt(2.0));
  Finding finding;
  finding.id = "A5";
  finding.attack = "shadow trainings: which ratings were there, and who took part";
  finding.controls = {{.what = "without noise: AUC of people",
                       .value = open.person_auc,
                       .needs = fmt::format("at least {}", kLeastControl),
                       .holds = open.person_auc >= kLeastControl},
                      {.what = fmt::format("sums of {} without noise: AUC of ratings, popularity-matched", kFew / 2),
                       .value = few.record_auc,
                       .needs = fmt::format("at least {}", kLeastControl),
                       .holds = few.record_auc >= kLeastControl}};
  finding.result = fmt::format(
      "ε = {}: ratings, popularity-matched, {:.4f} ± {:.3f} (without noise {:.4f}); people, all of whose ratings are "
      "known, {:.4f} ± {:.3f}",
      options.epsilon, hidden.record_auc, hidden.record_error, open.record_auc, hidden.person_auc, hidden.person_error);
  finding.bar = fmt::format("ratings 0.5 ± {}; people at most {:.3f}, what μ = {:.3f} allows, and three errors",
                            kMostBias, bound, mu);
  finding.verdict =
      std::abs(hidden.record_auc - 0.5) <= kMostBias && hidden.person_auc <= bound + 3 * hidden.person_error
          ? Verdict::held
          : Verdict::exceeded;
  finding.figures = {{"record_auc", hidden.record_auc},
                     {"record_auc_error", hidden.record_error},
                     {"record_auc_without_noise", open.record_auc},
                     {"record_auc_of_few_without_noise", few.record_auc},
                     {"person_auc", hidden.person_auc},
                     {"person_auc_error", hidden.person_error},
                     {"person_auc_without_noise", open.person_auc},
                     {"person_bound", bound},
                     {"records", static_cast<double>(hidden.records)},
                     {"people", static_cast<double>(hidden.people)}};
  finding.bars = {
      {.label = "A5 ratings, no noise", .attack = open.record_auc, .popularity = 0.5},
      {.label = fmt::format("A5 ratings, ε = {}", options.epsilon), .attack = hidden.record_auc, .popularity = 0.5},
      {.label = "A5 people, no noise", .attack = open.person_auc, .popularity = std::nullopt},
      {.label = fmt::format("A5 people, ε = {}", options.epsilon),
       .attack = hidden.person_auc,
       .popularity = std::nullopt}};
  return finding;
}

}  // namespace chorus::sim::audit
