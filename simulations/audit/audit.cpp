#include "simulations/audit/audit.hpp"

#include <fmt/format.h>

#include "simulations/audit/attributes.hpp"
#include "simulations/audit/differencing.hpp"
#include "simulations/audit/lone_raters.hpp"
#include "simulations/audit/masked_session.hpp"
#include "simulations/audit/membership.hpp"
#include "simulations/audit/plain_uploads.hpp"
#include "simulations/audit/secure_sums.hpp"
#include "simulations/audit/side_channels.hpp"

namespace chorus::sim::audit {

Result<AuditReport> run_audit(AuditInput input, const AuditOptions& options,
                              const std::function<void(const Finding&)>& on_finding) {
  CHORUS_TRY(const Scene scene, Scene::create(std::move(input), options));
  AuditReport report{.people = scene.cohort().size(),
                     .others = scene.others().size(),
                     .items = scene.items(),
                     .epsilon = options.epsilon,
                     .delta = options.delta,
                     .findings = {}};
  const auto add = [&](Finding finding) {
    if (on_finding) on_finding(finding);
    report.findings.push_back(std::move(finding));
  };

  // What A1, A2, A3 and A6 attack: the cohort's next round under a model that it has trained for a while.
  constexpr std::uint32_t kRoundsBehind = 2;
  CHORUS_TRY(const auto model, scene.plain_model());
  Training published(*model, scene.users(), Aggregation::plain, options.threads, scene.seed(1));
  CHORUS_TRY_DO(train(published, *model, scene.cohort(), kRoundsBehind));

  CHORUS_TRY(Finding plain, attack_plain_uploads(scene, *model, published));
  add(std::move(plain));
  CHORUS_TRY(const MaskedSession session, run_masked(scene, *model, published));
  CHORUS_TRY(Finding sums, attack_secure_sums(scene, published, session.sum));
  add(std::move(sums));
  CHORUS_TRY(Finding differences, attack_differences(scene, *model, published));
  add(std::move(differences));
  CHORUS_TRY(Finding lone, attack_lone_raters(scene));
  add(std::move(lone));
  CHORUS_TRY(Finding membership, attack_membership(scene));
  add(std::move(membership));
  std::vector<double> rated;
  for (const std::uint32_t user : scene.cohort()) {
    rated.push_back(static_cast<double>(scene.users()[user].training.size()));
  }
  add(attack_side_channels(session, rated));
  CHORUS_TRY(Finding attributes, attack_attributes(scene));
  add(std::move(attributes));
  return report;
}

std::optional<std::string> failure(const AuditReport& report) {
  for (const Finding& finding : report.findings) {
    for (const Control& control : finding.controls) {
      if (control.holds) continue;
      return fmt::format(
          "the audit is broken: the positive control of {} failed ({}: {:.4f}, needed {}), so what it says of the "
          "defence means nothing",
          finding.id, control.what, control.value, control.needs);
    }
  }
  for (const Finding& finding : report.findings) {
    if (finding.verdict == Verdict::exceeded) {
      return fmt::format("{} exceeded its bar: {}", finding.id, finding.result);
    }
  }
  return std::nullopt;
}

}  // namespace chorus::sim::audit
