#include "simulations/audit/scene.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "common/plan/floors.hpp"
#include "common/plan/round_plan.hpp"
#include "simulations/audit/statistics.hpp"
#include "simulations/support/seeded_random.hpp"
#include "simulations/world/train_settings.hpp"

namespace chorus::sim::audit {

Result<Scene> Scene::create(AuditInput input, const AuditOptions& options) {
  if (input.contract.feedback != dataset::Feedback::ratings) {
    return fail(ErrorCode::invalid_argument, "the attacks are on ratings, and these are events", "--ratings");
  }
  const std::uint32_t least = 2 * plan::least_cohort(plan::kProductionFloors, plan::RoundPlanFields{}.dropout);
  if (input.ratings.user_count() < least) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the audit needs a cohort and as many of the attacker's own people, {} in all, and there "
                            "are {}",
                            least, input.ratings.user_count()),
                "--ratings");
  }
  return Scene(std::move(input), options);
}

Scene::Scene(AuditInput input, const AuditOptions& options)
    : input_(std::move(input)),
      options_(options),
      users_(input_.ratings),
      items_(static_cast<std::uint32_t>(input_.ratings.item_count())) {
  SeededRandom random(seed(0));
  std::vector<std::uint32_t> people = permutation(static_cast<std::uint32_t>(users_.size()), random);
  // Who never rated anything gives nothing away.
  std::erase_if(people, [this](std::uint32_t user) { return users_[user].training.empty(); });
  people.resize(std::min<std::size_t>(people.size(), kMostPeople));
  const auto half = people.begin() + static_cast<std::ptrdiff_t>(people.size() / 2);
  cohort_.assign(people.begin(), half);
  others_.assign(half, people.end());
}

std::uint64_t Scene::seed(std::uint64_t purpose) const noexcept {
  return options_.seed * 1'000'003 + purpose;
}

Result<std::unique_ptr<model::Model>> Scene::plain_model(std::uint32_t least_raters) const {
  const std::string sets[] = {"model.update=newton", "model.trial=off",
                              fmt::format("model.least_raters={}", least_raters)};
  CHORUS_TRY(const TrainSettings settings, TrainSettings::create("mf", sets, "plain", 1));
  return settings.make_model(items_, input_.contract, options_.seed);
}

Result<std::unique_ptr<model::Model>> Scene::private_model(std::size_t people) const {
  const std::string sets[] = {fmt::format("privacy.epsilon={}", options_.epsilon),
                              fmt::format("privacy.delta={}", options_.delta)};
  CHORUS_TRY(TrainSettings settings, TrainSettings::create("mf", sets, "plain", 1));
  settings.people = people;
  return settings.make_model(items_, input_.contract, options_.seed, input_.catalogue);
}

Status train(Training& training, const model::Model& model, std::span<const std::uint32_t> contributors,
             std::uint32_t rounds) {
  for (std::uint32_t round = model.needs_survey() ? 0 : 1; round <= rounds; ++round) {
    CHORUS_TRY_DO(training.round(round == 0 ? plan::Purpose::survey : plan::Purpose::train, contributors));
  }
  return {};
}

std::vector<std::vector<double>> numbers_of(const ring::RoundSum& sum) {
  std::vector<std::vector<double>> numbers;
  for (std::size_t t = 0; t < sum.layout().tensors().size(); ++t) numbers.push_back(sum.numbers(t));
  return numbers;
}

}  // namespace chorus::sim::audit
