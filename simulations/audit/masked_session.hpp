// One real masked cohort (simulations/world/secure_cohort.hpp), and all that its coordinator sees of it: the sum, how
// much each member sent, and how long each took.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/result.hpp"
#include "simulations/audit/scene.hpp"
#include "simulations/world/secure_cohort.hpp"

namespace chorus::sim::audit {

struct MaskedSession {
  ring::RoundSum sum;
  std::vector<SentBytes> sent;                 // a member, in the cohort's order
  std::vector<double> seconds_after_delivery;  // of a member: masking, voting, opening
  // What the coordinator does not see: how long a device works before it advertises, and how much of its upload is not
  // zero before it is masked.
  std::vector<double> seconds_solving;
  std::vector<std::uint64_t> bytes_not_zero;
};

// The scene's cohort uploads its next training round under CSA/1. Errors: those of encoding, and of the session's
// abort.
[[nodiscard]] Result<MaskedSession> run_masked(const Scene& scene, const model::Model& model,
                                               const Training& published);

}  // namespace chorus::sim::audit
