// The plan of one round for one cohort: everything a device needs to know before it contributes. The manifest is the
// plan's canonical bytes, signed by the coordinator (common/protocol).
#pragma once

#include <cstdint>

#include "common/base/bytes.hpp"
#include "common/base/id.hpp"
#include "common/base/time.hpp"
#include "common/plan/floors.hpp"
#include "common/plan/update_layout.hpp"

namespace chorus::plan {

// What the round's sum is for.
enum class Purpose : std::uint8_t {
  survey = 1,   // the scale of the data: how many, mean, spread; once, before training
  train = 2,    // one server step of the model
  measure = 3,  // metrics of a published version alone; no server step
};

[[nodiscard]] std::string_view to_string(Purpose purpose) noexcept;

struct RoundPlanFields {
  Digest job{};             // H(job description)
  ByteArray<32> session{};  // fresh random bytes, one a cohort a round
  RoundId round;
  CohortId cohort;
  Purpose purpose = Purpose::train;
  ModelVersion model_version;       // the version that the update starts from
  Digest model_id{};                // covers tensors, hyper-parameters, catalogue, contract
  std::uint32_t least_members = 0;  // n_min
  std::uint32_t most_members = 0;   // n_max
  Ratio dropout{3, 20};             // δ: at least n − ⌊δn⌋ updates, or the cohort aborts
  Duration upload_deadline = 30s;   // from the plan's arrival to the last byte of the update; whole milliseconds
};

// Validated; immutable; thread-safe.
class RoundPlan {
 public:
  static constexpr std::uint16_t kVersion = 1;

  // Errors: parameter_below_floor, parameter_above_ceiling, cohort_too_small, invalid_argument.
  [[nodiscard]] static Result<RoundPlan> create(const RoundPlanFields& fields, UpdateLayout layout,
                                                const Floors& floors);

  [[nodiscard]] const RoundPlanFields& fields() const noexcept { return fields_; }
  [[nodiscard]] const UpdateLayout& layout() const noexcept { return layout_; }
  // The fewest updates of a cohort of n that may be summed: n − ⌊δn⌋.
  [[nodiscard]] std::uint32_t least_survivors(std::uint32_t n) const noexcept { return n - fields_.dropout.of(n); }

  // Canonical bytes ("CHORUS/1/plan", version, fields in the order above, layout).
  [[nodiscard]] Bytes encode() const;
  // Errors: malformed, unsupported_version (a later plan version), and those of create().
  [[nodiscard]] static Result<RoundPlan> decode(ByteView bytes, const Floors& floors);

  friend bool operator==(const RoundPlan& a, const RoundPlan& b) { return a.encode() == b.encode(); }

 private:
  RoundPlan(const RoundPlanFields& fields, UpdateLayout layout) : fields_(fields), layout_(std::move(layout)) {}
  RoundPlanFields fields_;
  UpdateLayout layout_;
};

}  // namespace chorus::plan
