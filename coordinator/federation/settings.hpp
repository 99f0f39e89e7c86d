// How a job's rounds are run: what the job file says beside the job description.
#pragma once

#include <cstdint>

#include "common/base/time.hpp"
#include "common/plan/round_plan.hpp"
#include "common/privacy/mechanism.hpp"
#include "coordinator/federation/pace.hpp"
#include "coordinator/publish/robust.hpp"

namespace chorus::coordinator {

struct FederationSettings {
  std::uint32_t cohort_size = 128;    // the most members of one cohort; also sizes the headroom of its sum
  std::uint32_t cohort_minimum = 76;  // the fewest; below, the coordinator waits
  plan::Ratio dropout{3, 20};         // δ: raise it where devices often vanish in mid-round
  plan::Ratio corrupt{1, 20};         // γ: members that may lie together with whoever runs the coordinator
  plan::PhaseDeadlines deadlines = plan::kDefaultDeadlines;  // raise them for slow networks and large catalogues
  // For models with differential privacy: what all rounds together may cost a device, against this coordinator, and the
  // δ of every report. Devices agree to 8 at 1e-5 by default, and refuse what is beyond their own.
  privacy::Budget budget{.epsilon = 8, .delta = 1e-5};
  CombinationRule rule = {};      // what becomes of the cohorts' sums, if some of them may be poisoned
  Duration reconnect_grace = 5s;  // how long a member whose connection broke is waited for within a phase
  // Since a member's enrolment, as most devices ask for; lower it for demonstrations alone.
  std::chrono::seconds least_identity_age = std::chrono::days(30);
  Duration gather = 5s;       // how long to wait for more devices once there are enough
  std::uint32_t devices = 0;  // a round wants as many, opens at once when those it invites are there; 0: no target
  // So many times more devices are invited than are wanted; a phase goes on when as many as wanted have answered and
  // its patience is over. At most 1 / (1 − dropout): noise is sized for those invited, and that many of them must come.
  plan::Ratio over_selection{1, 1};
  plan::PhaseDeadlines patience{};
  PaceSettings pace = {};
  Duration separation{};                       // a device that was drawn is not drawn again for so long
  bool measure = true;                         // a round after the last one measures the final model
  bool exit_when_finished = false;             // else the model is served on
  Duration shutdown_grace = 5s;                // for a round in progress when the coordinator stops
  Duration waiting_interval = 1s;              // between two Waiting messages
  std::chrono::milliseconds retry_after = 5s;  // what devices are told when the coordinator stops

  // Of a round: the fewest that make as many cohorts as the rule needs.
  [[nodiscard]] std::uint32_t least_devices() const noexcept {
    return cohort_minimum * static_cast<std::uint32_t>(rule.least_cohorts());
  }
};

}  // namespace chorus::coordinator
