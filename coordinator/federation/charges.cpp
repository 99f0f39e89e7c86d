// What rounds cost the devices, as the coordinator accounts for it (design: privacy, sections 1 and 3).
#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"
#include "common/privacy/private_encoding.hpp"
#include "coordinator/federation/federation.hpp"

namespace chorus::coordinator {

std::optional<Federation::Hidden> Federation::hidden(plan::Purpose purpose) const {
  const std::uint64_t training_rounds = version_.header.training_rounds;
  auto question = publisher_->model().privacy(purpose, training_rounds);
  if (!question) return std::nullopt;
  const plan::UpdateLayout layout = publisher_->model().layout(purpose, training_rounds);
  const std::uint64_t squared = plan::squared_sensitivity(layout, question->groups, question->most_items);
  return Hidden{.question = std::move(*question), .squared_sensitivity = squared};
}

double Federation::local_noise(const Hidden& hidden, std::uint32_t members, std::uint32_t all_members) const {
  const std::uint32_t honest = privacy::honest_contributors(hidden.question.cohort == 0 ? all_members : members,
                                                            settings_.corrupt, settings_.dropout);
  return privacy::local_sigma(hidden.question.noise_multiplier,
                              std::sqrt(static_cast<double>(hidden.squared_sensitivity)), std::max(honest, 1U));
}

std::uint32_t Federation::least_members(const std::optional<Hidden>& hidden, std::uint32_t members) const {
  if (!hidden) return settings_.cohort_minimum;
  const std::uint64_t lost = std::uint64_t{members} * settings_.dropout.numerator / settings_.dropout.denominator;
  return std::max(settings_.cohort_minimum, members - static_cast<std::uint32_t>(lost));
}

privacy::PublishedRound Federation::worst_charge(plan::Purpose purpose, RoundId round,
                                                 const DrawnCohorts& cohorts) const {
  privacy::PublishedRound charge{.round = round};
  const auto asked = hidden(purpose);
  if (!asked) return charge;
  charge.squared_sensitivity = asked->squared_sensitivity;
  std::uint32_t all_members = 0;
  for (const auto& members : cohorts) all_members += static_cast<std::uint32_t>(members.size());
  bool first = true;
  for (const auto& members : cohorts) {
    const auto size = static_cast<std::uint32_t>(members.size());
    const std::uint32_t honest =
        privacy::honest_contributors(least_members(asked, size), settings_.corrupt, settings_.dropout);
    const double noise = local_noise(*asked, size, all_members);
    charge.total_honest += honest;
    // Cohorts differ by one member at most: the least of each is the worst of all.
    charge.cohort_honest = first ? honest : std::min(charge.cohort_honest, honest);
    charge.local_noise = first ? noise : std::min(charge.local_noise, noise);
    first = false;
  }
  return charge;
}

void Federation::settle_charge(const RoundInProgress& round) {
  privacy::PublishedRound settled{.round = round.number};
  if (const auto asked = hidden(round.purpose)) {
    settled.squared_sensitivity = asked->squared_sensitivity;
    bool first = true;
    for (const Cohort& cohort : round.cohorts) {
      // A cohort without a roster was asked for nothing.
      if (!cohort.sum.parameters()) continue;
      const std::uint32_t members = cohort.size();
      const std::uint32_t honest = privacy::honest_contributors(members, settings_.corrupt, settings_.dropout);
      const double noise = cohort.plan.fields().local_noise;
      settled.cohort_honest = first ? honest : std::min(settled.cohort_honest, honest);
      settled.local_noise = first ? noise : std::min(settled.local_noise, noise);
      // Readers see the total of those that came to an end.
      if (!cohort.survivors.empty()) settled.total_honest += honest;
      first = false;
    }
    settled.total_honest = std::max<std::uint64_t>(settled.total_honest, settled.cohort_honest);
  }
  const Status done = progress_.ledger.settle(settled);
  CHORUS_ENSURE(done.has_value(), "a round was charged at its worst");
}

Result<privacy::PrivacyReport> Federation::report_of(const RoundInProgress& round, std::uint64_t survivors) const {
  double noise_delta = 0;
  std::optional<privacy::Budget> budget;
  if (const auto asked = hidden(round.purpose)) {
    budget = settings_.budget;
    CHORUS_TRY(const auto encoding, privacy::PrivateEncoding::create(round.cohorts.front().plan.layout(),
                                                                     asked->question.groups, asked->question.most_items,
                                                                     round.cohorts.front().plan.fields().local_noise));
    noise_delta = encoding.noise_delta();
  }
  return progress_.ledger.report(settings_.budget.delta, budget, survivors, noise_delta);
}

}  // namespace chorus::coordinator
