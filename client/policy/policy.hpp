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

// Immutable, thread-safe.
class Policy {
 public:
  // Daemons and the library pass plan::kProductionFloors; tests and simulations their own.
  explicit Policy(const plan::Floors& floors) : floors_(floors) {}

  [[nodiscard]] const plan::Floors& floors() const noexcept { return floors_; }

  // Errors, in this order: wrong_job; stale_round (not above the highest round, or more than the allowed jump above
  // it); parameter_below_floor, parameter_above_ceiling, cohort_too_small (floors); parameter_above_ceiling (upload
  // size); wrong_model (version, id, or a layout that is not the model's own for this purpose); model_reused.
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
};

// Whether trying again cannot help: the answer to this error is a person's, not a retry.
[[nodiscard]] bool is_permanent(ErrorCode code) noexcept;

}  // namespace chorus::client
