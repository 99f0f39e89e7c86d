// Rounds summed as devices sum them: every cohort runs CSA/1 among real members (secure_cohort.hpp), and what comes out
// is the same integers that adding the updates in clear gives. `chorus-sim train --aggregation masked`.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/base/result.hpp"
#include "common/crypto/secret_bytes.hpp"
#include "common/plan/round_plan.hpp"
#include "common/ring/fixed_point.hpp"
#include "simulations/support/seeded_random.hpp"
#include "simulations/world/parallel.hpp"
#include "simulations/world/secure_cohort.hpp"

namespace chorus::sim {

// As few cohorts as hold the contributors, in their order, as equal as can be, none above `most`: views into
// `contributors`. REQUIRES: most > 0.
[[nodiscard]] std::vector<std::span<const std::uint32_t>> cohorts_of(std::span<const std::uint32_t> contributors,
                                                                     std::uint32_t most);

// Everybody is honest and nobody is lost. Plans are held against plan::kProductionFloors, with their default γ and δ.
// Not thread-safe; uses threads of its own. Holds the updates of as many cohorts at once as it uses threads.
class MaskedRounds {
 public:
  // Enrols `devices` devices. Their keys, masks and shares are drawn from `seed`; no sum depends on it.
  MaskedRounds(std::uint32_t devices, std::uint64_t seed);

  // One contributor's packed update, ready to be masked. Called from several threads at once.
  using Update = std::function<Result<crypto::ZeroizingBytes>(std::uint32_t contributor, ring::EncodeCounts& counts)>;

  // The sums of cohorts_of() the contributors, of at most layout.max_contributors(), in their order; `counts` gets what
  // encoding changed.
  // REQUIRES: contributors are below `devices`, each at most once. Errors: cohort_too_small (a cohort is below what a
  // device accepts); those of RoundPlan::create, of `update` and of a sum's abort. where() names the cohort.
  [[nodiscard]] Result<std::vector<ring::CohortSum>> sums(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                                          std::span<const std::uint32_t> contributors,
                                                          const Update& update, ring::EncodeCounts& counts,
                                                          unsigned threads);

 private:
  SeededRandom random_;
  EnrolledDevices devices_;
  std::uint64_t round_ = 0;
  // Statements that were verified before; of one chunk of the cohorts each, so that threads do not share them.
  std::array<secagg::VerifiedStatements, kChunks> known_;
};

}  // namespace chorus::sim
