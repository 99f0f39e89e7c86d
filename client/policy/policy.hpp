// What this device agrees to, whatever the coordinator asks: floors and ceilings of a plan, sizes of what it downloads,
// how often one model may ask (design: privacy, section 4; secure aggregation, section 2, step 0). Pure values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/id.hpp"
#include "common/base/result.hpp"
#include "common/model/model.hpp"
#include "common/plan/floors.hpp"
#include "common/plan/round_plan.hpp"
#include "common/privacy/device_ledger.hpp"
#include "common/protocol/documents.hpp"

namespace chorus::client {

// What a plan is held against: the device's own standing at the moment the plan came.
struct Standing {
  const Digest& job;
  const model::Model& model;
  const protocol::ModelHeader& held;  // the model version that the device holds
  RoundId highest_round;              // ever reserved
  std::uint32_t attempts = 0;         // earlier updates of this purpose for this model id
};

// What the user of this device has agreed to by name.
struct Consent {
  // Rounds without noise: nothing but the secure sum protects an update, and the difference of two sums is an update
  // (NO DIFFERENCING PROTECTION). Needed where a job trains without differential privacy.
  bool without_noise = false;
  // How long ago the other members were enrolled, at least: whoever can mint identities in a hurry could surround this
  // device with its own. Lower it for demonstrations alone.
  std::chrono::seconds least_identity_age = std::chrono::days(30);
  // All that this device gives away, ever, by the exact accountant and with participation for certain; a round that
  // does not fit is refused (budget_exhausted).
  privacy::Budget budget{.epsilon = 8, .delta = 1e-5};
  // ε of a single round at the budget's δ, at most. Lower it to spread the budget over more rounds.
  double most_round_epsilon = 8;
  // Between two updates, at least. Raise it where a coordinator asks too often.
  std::chrono::seconds least_interval{0};
  // Devices in a cohort, at least; the floors' own least number holds besides. Raise it to be one of more.
  std::uint32_t least_cohort = 0;
};

// Immutable, thread-safe.
class Policy {
 public:
  // Daemons and the library pass plan::kProductionFloors; tests and simulations their own.
  explicit Policy(const plan::Floors& floors, const Consent& consent = {}) : floors_(floors), consent_(consent) {}

  [[nodiscard]] const plan::Floors& floors() const noexcept { return floors_; }
  [[nodiscard]] const Consent& consent() const noexcept { return consent_; }

  // What the privacy ledger holds a round against.
  [[nodiscard]] privacy::LedgerLimits ledger_limits() const noexcept {
    return {.budget = consent_.budget,
            .most_round_epsilon = consent_.most_round_epsilon,
            .least_interval = consent_.least_interval,
            .without_noise = consent_.without_noise};
  }

  // Errors, in this order: wrong_job; stale_round (not above the highest round, or more than the allowed jump above
  // it); parameter_below_floor, parameter_above_ceiling, cohort_too_small (floors); cohort_too_small (below what the
  // user asked for); parameter_above_ceiling (upload size); parameter_below_floor (no noise, without consent);
  // wrong_model (version, id, catalogue); parameter_above_ceiling (a clip or scale above the model's own); wrong_model
  // (a layout that is not the model's own for this purpose); parameter_below_floor (less noise than the plan claims);
  // model_reused.
  [[nodiscard]] Status check(const plan::RoundPlan& plan, const Standing& standing) const;

  // May a catalogue or a model of this announced size be fetched? Errors: too_large.
  [[nodiscard]] Status check_size(const protocol::CatalogueHeader& header) const;
  [[nodiscard]] Status check_size(const protocol::ModelHeader& header) const;

  static constexpr std::size_t kMostCatalogueBytes = std::size_t{256} * 1024 * 1024;
  static constexpr std::size_t kMostModelBytes = std::size_t{512} * 1024 * 1024;
  static constexpr std::size_t kMostUploadBytes = std::size_t{128} * 1024 * 1024;
  // The same question may be asked again after an abort, twice: it bounds exact replay.
  static constexpr std::uint32_t kMostAttempts = 3;

 private:
  plan::Floors floors_;
  Consent consent_;
};

// Whether trying again cannot help: the answer to this error is a person's, not a retry.
[[nodiscard]] bool is_permanent(ErrorCode code) noexcept;

}  // namespace chorus::client
