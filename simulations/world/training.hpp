// A federation in one process, without a network: the same model functions that the daemon and the devices call, the
// same sums, the same versions. Version 0 is the model's initial state; every round with a server step makes the next.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/id.hpp"
#include "common/base/result.hpp"
#include "common/evaluation/user_data.hpp"
#include "common/model/model.hpp"
#include "common/plan/round_plan.hpp"
#include "coordinator/publish/robust.hpp"
#include "simulations/adversary/poison.hpp"
#include "simulations/world/masked_rounds.hpp"

namespace chorus::sim {

enum class Aggregation {
  floating,  // "float": sums of 64-bit floats, nothing clipped or rounded; the reference
  plain,     // "plain": the fixed-point integers that devices would upload, without masks
  masked,    // "masked": the same integers through CSA/1 in every cohort; the same sums, and slow
};

// What a coordinator does with the sums of a round's cohorts, and who lies to it.
struct CohortTreatment {
  coordinator::CombinationRule rule = {};
  bool rejects = true;                   // a sum that honest members could not have made, whole
  const Poisoners* poisoners = nullptr;  // outlives the training; none: everybody is honest
};

struct RoundOutcome {
  model::Quality quality;     // of the version that the round started from, on the contributors' data
  std::uint64_t clipped = 0;  // numbers beyond their clip
  std::uint64_t contributors = 0;
  // The sum that the step was made of, where devices add noise: nobody could repeat it. [the layout's dimension]
  std::vector<std::int64_t> released = {};
  std::uint32_t rejected = 0;  // cohorts, for their sums
  std::uint32_t left_out = 0;  // cohorts, whole, by the rule
};

// A round's sum as the coordinator sees it.
struct Release {
  ring::RoundSum sum;
  double sigma = 0;  // standard deviation of the noise in each coordinate; 0: none
};

// One training of one model. Not thread-safe; uses `threads` threads of its own, and its results do not depend on how
// many. `model` and `users` must outlive it. Ratings of items beyond the model's catalogue do not count (yet).
class Training {
 public:
  // `seed`: of the devices' noise, where there is any; and of the keys and masks of masked sums, which change no
  // result. REQUIRES: coordinator::check_rule() passed for the rule and the model; floating sums, and models with
  // differential privacy, have the plain sum and no poisoners.
  Training(const model::Model& model, const evaluation::UserData& users, Aggregation aggregation, unsigned threads,
           std::uint64_t seed = 1, const CohortTreatment& treatment = {});

  [[nodiscard]] const model::ServerState& state() const noexcept { return state_; }
  [[nodiscard]] ModelVersion version() const noexcept { return ModelVersion(version_); }
  // SHA-256 of the shared tensors' canonical encoding.
  [[nodiscard]] Digest digest() const;

  // Goes on under the same model with a longer catalogue, which makes the next version. REQUIRES: `longer` has the
  // settings of the model and at least its items; it must outlive this object.
  void grow(const model::Model& longer);

  // The users' contributions, their sum, and, unless it only measures, the server's step. REQUIRES: users are below
  // users.size(), each at most once. Errors: non_finite; masked, those of MaskedRounds::sums; with a rule, those of
  // coordinator::combine. Version and state are then unchanged. Cohorts are cohorts_of() the contributors, of the
  // model's max_contributors at most.
  [[nodiscard]] Result<RoundOutcome> round(plan::Purpose purpose, std::span<const std::uint32_t> contributors);
  // The same of cohorts that were drawn elsewhere, by the rule that was used there. In clear, whatever the aggregation.
  [[nodiscard]] Result<RoundOutcome> round_of(plan::Purpose purpose,
                                              std::span<const std::span<const std::uint32_t>> cohorts,
                                              const coordinator::CombinationRule& rule);

  // The server's step of a sum that was learned elsewhere. REQUIRES: the sum has the layout of a round for this purpose
  // and from this version. Errors: non_finite.
  [[nodiscard]] Result<RoundOutcome> apply(plan::Purpose purpose, const ring::RoundSum& sum);
  // What a round for this purpose would ask for now.
  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose) const;
  // The sum that round() would step by, with the same noise, and nothing done with it: what an attacker looks at. In
  // clear, whatever the aggregation: masks change no sum. REQUIRES, errors: as round().
  [[nodiscard]] Result<Release> release(plan::Purpose purpose, std::span<const std::uint32_t> contributors) const;

 private:
  template <typename Sum>
  [[nodiscard]] Result<Sum> sum_in_clear(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                         std::span<const std::uint32_t> contributors, ring::EncodeCounts& counts) const;
  [[nodiscard]] Result<std::vector<ring::CohortSum>> sums_masked(plan::Purpose purpose,
                                                                 const plan::UpdateLayout& layout,
                                                                 std::span<const std::uint32_t> contributors,
                                                                 ring::EncodeCounts& counts);
  // As sum_in_clear(), cohort by cohort, in the ring, with the poisoners among them.
  [[nodiscard]] Result<std::vector<ring::CohortSum>> sums_by_cohort(
      plan::Purpose purpose, const plan::UpdateLayout& layout, std::span<const std::span<const std::uint32_t>> cohorts,
      ring::EncodeCounts& counts) const;
  // Of the cohorts whose sums are not rejected.
  [[nodiscard]] Result<RoundOutcome> conclude(plan::Purpose purpose, std::vector<ring::CohortSum> sums,
                                              const coordinator::CombinationRule& rule,
                                              const ring::EncodeCounts& counts);
  // Plain sums under differential privacy: the devices' roundings, and all their noise in one draw of the same
  // variance.
  [[nodiscard]] Result<Release> sum_private(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                            const model::PrivateQuestion& question,
                                            std::span<const std::uint32_t> contributors,
                                            ring::EncodeCounts& counts) const;
  template <typename Sum>
  [[nodiscard]] Result<RoundOutcome> conclude(plan::Purpose purpose, const Result<Sum>& sum,
                                              const ring::EncodeCounts& counts);
  // The server's step, from tensors' sums.
  [[nodiscard]] Result<RoundOutcome> step(plan::Purpose purpose, std::span<const std::vector<double>> sums,
                                          std::uint64_t contributors, const ring::EncodeCounts& counts);

  const model::Model* model_;
  const evaluation::UserData& users_;
  Aggregation aggregation_;
  unsigned threads_;
  model::ServerState state_;
  std::uint64_t version_ = 0;
  std::uint64_t seed_;
  CohortTreatment treatment_;
  std::optional<MaskedRounds> masked_;  // there if the aggregation is
};

}  // namespace chorus::sim
