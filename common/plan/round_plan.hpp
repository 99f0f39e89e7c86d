// The plan of one round for one cohort: everything a device needs to know before it contributes. The manifest is the
// plan's canonical bytes, signed by the coordinator (common/protocol).
#pragma once

#include <array>
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

// The phases of a secure sum that wait for its members (common/PROTOCOL.md).
enum class SumPhase : std::uint8_t { advertise, share, upload, vote, unmask };
inline constexpr std::size_t kSumPhases = 5;
[[nodiscard]] std::string_view to_string(SumPhase phase) noexcept;
// How long the coordinator waits in each; whole milliseconds.
using PhaseDeadlines = std::array<Duration, kSumPhases>;
inline constexpr PhaseDeadlines kDefaultDeadlines{10s, 10s, 30s, 5s, 5s};

struct RoundPlanFields {
  Digest job{};             // H(job description)
  ByteArray<32> session{};  // fresh random bytes, one a cohort a round
  RoundId round;
  CohortId cohort;
  Purpose purpose = Purpose::train;
  ModelVersion model_version;       // the version that the update starts from
  Digest model_id{};                // covers tensors, hyper-parameters, catalogue, contract
  Digest catalogue{};               // H(catalogue)
  Digest revocations{};             // H(the authority's revocation list) that travels with the plan
  std::uint32_t least_members = 0;  // n_min
  std::uint32_t most_members = 0;   // n_max
  Ratio corrupt{1, 20};             // γ: members that may lie together with the coordinator
  Ratio dropout{3, 20};             // δ: at least n − ⌊δn⌋ updates, or the cohort aborts
  double local_noise = 0;           // σ_loc, in ring units a coordinate; 0: none
  // z that is claimed for it: the noise of this cohort's sum at its fewest members, in sensitivities; 0: no claim. A
  // device computes it again.
  double noise_multiplier = 0;
  PhaseDeadlines deadlines = kDefaultDeadlines;
};

// Validated; immutable; thread-safe.
class RoundPlan {
 public:
  static constexpr std::uint16_t kVersion = 2;

  // Errors: parameter_below_floor, parameter_above_ceiling, cohort_too_small, invalid_argument; where() is the field.
  [[nodiscard]] static Result<RoundPlan> create(const RoundPlanFields& fields, UpdateLayout layout,
                                                const Floors& floors);

  [[nodiscard]] const RoundPlanFields& fields() const noexcept { return fields_; }
  [[nodiscard]] const UpdateLayout& layout() const noexcept { return layout_; }
  // All phases together.
  [[nodiscard]] Duration longest() const noexcept;

  // Canonical bytes ("CHORUS/1/plan", version, suite, fields in the order above, layout). The layout's block is the
  // whole catalogue: version 2 knows nothing else.
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
