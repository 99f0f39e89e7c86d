#include "simulations/audit/differencing.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/plan/round_plan.hpp"
#include "common/privacy/gaussian_accountant.hpp"
#include "common/privacy/private_encoding.hpp"
#include "simulations/audit/statistics.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::sim::audit {
namespace {

// One question of the training, ready to be asked again and again.
struct Question {
  plan::Purpose purpose = plan::Purpose::train;
  model::TensorSet shared;
  privacy::PrivateEncoding encoding;
  privacy::DiscreteGaussian noise;  // of the honest
};

// The questions of a private training by the scene's cohort, in their order.
Result<std::vector<Question>> ask(const Scene& scene, const model::Model& model, double noise) {
  const plan::RoundPlanFields fields;
  const auto size = static_cast<std::uint32_t>(scene.cohort().size());
  const std::uint32_t honest = privacy::honest_contributors(size, fields.corrupt, fields.dropout);
  Training training(model, scene.users(), Aggregation::plain, scene.options().threads, scene.seed(4));
  std::vector<Question> questions;
  for (std::uint32_t round = 0; round <= model.preset_rounds(); ++round) {
    const plan::Purpose purpose = round == 0 ? plan::Purpose::survey : plan::Purpose::train;
    const std::uint64_t behind = model.training_rounds(training.state().shared);
    const auto asked = model.privacy(purpose, behind);
    CHORUS_ENSURE(asked.has_value(), "a private model hides every round");
    CHORUS_TRY(const Release release, training.release(purpose, scene.cohort()));
    CHORUS_TRY(auto encoding, privacy::PrivateEncoding::create(model.layout(purpose, behind), asked->groups,
                                                               asked->most_items, privacy::kLeastLocalSigma));
    CHORUS_TRY(auto gaussian,
               privacy::DiscreteGaussian::create(noise * release.sigma * std::sqrt(double(honest) / double(size))));
    questions.push_back({purpose, training.state().shared, std::move(encoding), std::move(gaussian)});
    CHORUS_TRY_DO(training.apply(purpose, release.sum));
  }
  return questions;
}

// The coordinates of an update that are not zero: the others say nothing of it.
Result<std::vector<std::int64_t>> touched(const Question& question, const model::Model& model,
                                          const model::LocalData& data, crypto::RandomSource& random) {
  ring::Contribution contribution;
  model.contribute(question.purpose, question.shared, data, contribution);
  privacy::PrivateCounts counts;
  CHORUS_TRY(const ring::Contribution rounded, question.encoding.clip_and_round(contribution, random, counts));
  ring::RoundSum one(question.encoding.layout());
  ring::EncodeCounts none;
  CHORUS_TRY_DO(one.add(rounded, none));
  std::vector<std::int64_t> x;
  std::ranges::copy_if(one.coordinates(), std::back_inserter(x), [](std::int64_t c) { return c != 0; });
  return x;
}

}  // namespace

Result<Advantage> difference_private_cohorts(const Scene& scene, const model::Model& model, std::uint32_t trials,
                                             double noise) {
  CHORUS_TRY(const std::vector<Question> questions, ask(scene, model, noise));
  SeededRandom random(scene.seed(5));
  std::uint32_t found = 0;
  std::uint32_t imagined = 0;
  std::vector<std::int32_t> samples;
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    const model::LocalData victim = scene.users()[scene.cohort()[trial % scene.cohort().size()]];
    double there = 0;  // the likelihood ratio, where the client is in the first cohort
    double away = 0;   // and where it is in neither
    for (const Question& question : questions) {
      CHORUS_TRY(const std::vector<std::int64_t> x, touched(question, model, victim, random));
      samples.resize(2 * x.size());
      question.noise.fill(samples, random);
      const double variance = question.noise.sigma() * question.noise.sigma();
      for (std::size_t k = 0; k < x.size(); ++k) {
        const auto c = static_cast<double>(x[k]);
        there += c * (c + samples[2 * k] - c / 2) / variance;
        away += c * (samples[2 * k + 1] - c / 2) / variance;
      }
    }
    if (there > 0) ++found;
    if (away > 0) ++imagined;
  }
  const double tpr = double(found) / trials;
  const double fpr = double(imagined) / trials;
  return Advantage{.value = tpr - fpr, .error = std::sqrt((tpr * (1 - tpr) + fpr * (1 - fpr)) / trials)};
}

Result<double> difference_plain_cohorts(const Scene& scene, const model::Model& model, const Training& published) {
  constexpr std::size_t kVictims = 20;
  const auto victims = scene.cohort().first(std::min(kVictims, scene.cohort().size()));
  CHORUS_TRY(const Release with, published.release(plan::Purpose::train, scene.cohort()));
  std::size_t recovered = 0;
  for (const std::uint32_t victim : victims) {
    std::vector<std::uint32_t> rest(scene.cohort().begin(), scene.cohort().end());
    std::erase(rest, victim);
    CHORUS_TRY(const Release without, published.release(plan::Purpose::train, rest));
    ring::Contribution contribution;
    model.contribute(plan::Purpose::train, published.state().shared, scene.users()[victim], contribution);
    ring::RoundSum own(with.sum.layout());
    ring::EncodeCounts counts;
    CHORUS_TRY_DO(own.add(contribution, counts));
    bool same = true;
    for (std::size_t k = 0; k < own.coordinates().size() && same; ++k) {
      same = with.sum.coordinates()[k] - without.sum.coordinates()[k] == own.coordinates()[k];
    }
    if (same) ++recovered;
  }
  return static_cast<double>(recovered) / static_cast<double>(victims.size());
}

Result<Finding> attack_differences(const Scene& scene, const model::Model& plain, const Training& published) {
  const AuditOptions& options = scene.options();
  CHORUS_TRY(const double recovered, difference_plain_cohorts(scene, plain, published));
  CHORUS_TRY(const auto model, scene.private_model(scene.cohort().size()));
  CHORUS_TRY(const double mu, privacy::gaussian_mu({.epsilon = options.epsilon, .delta = options.delta}));
  const double bound = 2 * normal_cdf(mu / 2) - 1;
  CHORUS_TRY(const Advantage found, difference_private_cohorts(scene, *model, options.trials, 1));
  constexpr double kLittle = 0.25;
  CHORUS_TRY(const Advantage weak,
             difference_private_cohorts(scene, *model, std::max(options.trials / 4, 1U), kLittle));
  Finding finding;
  finding.id = "A3";
  finding.attack = "differencing: two cohorts that differ in one client";
  finding.controls = {
      {.what = "without noise: updates recovered exactly", .value = recovered, .needs = "1", .holds = recovered == 1},
      {.what = "with a quarter of the noise: TPR − FPR",
       .value = weak.value,
       .needs = fmt::format("above {:.3f}: the attack sees too little noise", bound),
       .holds = weak.value > bound + 3 * weak.error}};
  finding.result = fmt::format("ε = {}: TPR − FPR {:.3f} ± {:.3f}", options.epsilon, found.value, found.error);
  finding.bar = fmt::format("at most {:.3f}, what μ = {:.3f} allows, and three errors", bound, mu);
  finding.verdict = found.value <= bound + 3 * found.error ? Verdict::held : Verdict::exceeded;
  finding.figures = {{"advantage", found.value},
                     {"advantage_error", found.error},
                     {"bound", bound},
                     {"mu", mu},
                     {"little_noise_advantage", weak.value},
                     {"trials", double(options.trials)}};
  return finding;
}

}  // namespace chorus::sim::audit
