// `chorus-sim audit`: attacks A1 to A7 on a training (design: privacy, section 6), each with a positive control, so
// that a defence is never praised for an attack that does not work.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "simulations/audit/finding.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

struct AuditReport {
  std::uint64_t people = 0;  // of the cohort
  std::uint64_t others = 0;  // the attacker's own
  std::uint64_t items = 0;
  double epsilon = 0;
  double delta = 0;
  std::vector<Finding> findings;
};

// Runs all attacks; `on_finding` is called after each. Errors: those of Scene::create, of trainings and sums.
[[nodiscard]] Result<AuditReport> run_audit(AuditInput input, const AuditOptions& options,
                                            const std::function<void(const Finding&)>& on_finding = {});

// What went wrong, in a sentence: a positive control failed, for then the audit is broken; or else an attack gained
// more than its bar allows.
[[nodiscard]] std::optional<std::string> failure(const AuditReport& report);

}  // namespace chorus::sim::audit
