#include "coordinator/federation/actions.hpp"

#include <fmt/format.h>

#include "common/log/log.hpp"

namespace chorus::coordinator {

namespace {

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Fields: counts, round, duration and error measures of sums; nothing about a device.
void write(const WaitingForDevices& event, std::string_view job) {
  log::info("waiting for devices", {{"job", job}, {"ready", event.ready}, {"needed", event.needed}});
}
void write(const RoundOpened& event, std::string_view job) {
  log::info("round opened", {{"job", job},
                             {"round", event.round.value()},
                             {"purpose", plan::to_string(event.purpose)},
                             {"cohorts", event.cohorts},
                             {"members", event.members}});
}
void write(const CohortAborted& event, std::string_view job) {
  log::warning("cohort aborted", {{"job", job},
                                  {"round", event.round.value()},
                                  {"cohort", event.cohort.value()},
                                  {"reason", event.reason.to_string()}});
}
void write(const MembersDeclined& event, std::string_view job) {
  log::info("members declined", {{"job", job},
                                 {"round", event.round.value()},
                                 {"cohort", event.cohort.value()},
                                 {"reason", to_string(event.reason)},
                                 {"members", event.members}});
}
void write(const MemberConvicted& event, std::string_view job) {
  log::warning("member convicted", {{"job", job},
                                    {"round", event.round.value()},
                                    {"device", identity::to_string(event.device)},
                                    {"reason", event.reason.to_string()}});
}
void write(const RoundClosed& event, std::string_view job) {
  if (!event.quality) {
    log::info("round closed", {{"job", job},
                               {"round", event.round.value()},
                               {"purpose", plan::to_string(event.purpose)},
                               {"cohorts", event.cohorts},
                               {"aborted", event.cohorts_aborted},
                               {"left_out", event.cohorts_left_out},
                               {"members", event.members},
                               {"survivors", event.survivors},
                               {"seconds", seconds(event.took)}});
    return;
  }
  log::info("round closed", {{"job", job},
                             {"round", event.round.value()},
                             {"purpose", plan::to_string(event.purpose)},
                             {"cohorts", event.cohorts},
                             {"aborted", event.cohorts_aborted},
                             {"left_out", event.cohorts_left_out},
                             {"members", event.members},
                             {"survivors", event.survivors},
                             {"seconds", seconds(event.took)},
                             {"rmse", event.quality->held_out_rmse},
                             {"training_rmse", event.quality->training_rmse}});
}
void write(const RoundAborted& event, std::string_view job) {
  log::warning("round aborted", {{"job", job},
                                 {"round", event.round.value()},
                                 {"purpose", plan::to_string(event.purpose)},
                                 {"members", event.members},
                                 {"seconds", seconds(event.took)},
                                 {"reason", event.reason.to_string()}});
}
// For people: a report that is missing or infinite says so.
std::string epsilon_text(const std::optional<privacy::PrivacyReport>& report,
                         privacy::Epsilon privacy::PrivacyReport::* of) {
  if (!report) return "none: nothing was asked of anybody";
  if (report->unprotected > 0) return "infinite: NO DIFFERENCING PROTECTION";
  return fmt::format("{:.4g} at delta {:.3g}", ((*report).*of).exact, report->delta);
}
void write(const VersionPublished& event, std::string_view job) {
  log::info("version published",
            {{"job", job},
             {"version", event.version.value()},
             {"training_rounds", event.training_rounds},
             {"items", event.items},
             {"bytes", event.bytes},
             {"epsilon_coordinator", epsilon_text(event.privacy, &privacy::PrivacyReport::coordinator)},
             {"epsilon_readers", epsilon_text(event.privacy, &privacy::PrivacyReport::readers)}});
}
void write(const JobFinished& event, std::string_view job) {
  log::info("job finished", {{"job", job}, {"training_rounds", event.training_rounds}});
}
void write(const BudgetSpent& event, std::string_view job) {
  log::warning("no more rounds: the privacy budget is spent", {{"job", job}, {"reason", event.reason.to_string()}});
}
void write(const CatalogueRefused& event, std::string_view job) {
  log::error("the new catalogue was refused, the old one stays", {{"job", job}, {"reason", event.reason.to_string()}});
}

}  // namespace

Result<BuildStep::Outcome> BuildStep::run() const {
  if (const auto* step = std::get_if<FromSum>(&work)) {
    CHORUS_TRY(auto outcome, publisher->step(from, step->purpose, step->round, *step->sums, step->report));
    return outcome;
  }
  CHORUS_TRY(auto growth, grow_job(*publisher, from, *std::get<Grow>(work).items));
  if (!growth) return std::monostate{};
  return std::move(*growth);
}

void write_log(const Log& event, std::string_view job) {
  std::visit([job](const auto& value) { write(value, job); }, event);
}

}  // namespace chorus::coordinator
