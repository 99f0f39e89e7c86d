// Federation's rounds: opening, collecting, the step, its publication.
#include <algorithm>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "coordinator/federation/federation.hpp"
#include "coordinator/round/sum_bounds.hpp"

namespace chorus::coordinator {

using protocol::CoordinatorPhase;

std::uint32_t Federation::most_invited() const noexcept {
  const plan::Ratio& over = settings_.over_selection;
  return static_cast<std::uint32_t>((std::uint64_t{settings_.devices} * over.numerator + over.denominator - 1) /
                                    over.denominator);
}

std::optional<Moment> Federation::opening_time(const Gathering& gathering, Moment now) const {
  if (!gathering.enough_since) return std::nullopt;
  if (const std::uint32_t wanted = most_invited(); wanted != 0 && roster_.ready() >= wanted) return now;
  if (roster_.returned()) return now;
  return *gathering.enough_since + settings_.gather;
}

void Federation::consider_round(Moment now) {
  auto* gathering = std::get_if<Gathering>(&phase_);
  if (gathering == nullptr || paused_) return;
  if (roster_.ready() < settings_.least_devices()) {
    gathering->enough_since.reset();
    if (!std::exchange(gathering->warned, true)) {
      actions_.emplace_back(Log(WaitingForDevices{.ready = roster_.ready(), .needed = settings_.least_devices()}));
    }
    return;
  }
  if (!gathering->enough_since) gathering->enough_since = now;
  gathering->warned = false;
  if (now < *opening_time(*gathering, now)) return;
  DrawnCohorts cohorts;
  for (const auto& sessions : roster_.draw({.least = settings_.cohort_minimum,
                                            .most = settings_.cohort_size,
                                            .fewest = static_cast<std::uint32_t>(settings_.rule.least_cohorts()),
                                            .target = most_invited()},
                                           *random_)) {
    auto& drawn = cohorts.emplace_back();
    for (const SessionId session : sessions) drawn.push_back({session, roster_.device(session)});
  }
  CHORUS_ENSURE(!cohorts.empty(), "there are as many as the cohorts need");
  const RoundId number(progress_.last_round.value() + 1);
  const plan::Purpose purpose = *next_purpose();
  const privacy::PublishedRound charge = worst_charge(purpose, number, cohorts);
  const auto budget = hidden(purpose) ? std::optional(settings_.budget) : std::nullopt;
  if (auto charged = progress_.ledger.charge(charge, budget); !charged) {
    finish_without_budget(std::move(charged.error()));
    return;
  }
  Reservation reservation{.round = number, .purpose = purpose, .ledger = progress_.ledger};
  for (const auto& cohort : cohorts) {
    for (const Drawn& drawn : cohort) reservation.drawn.push_back(drawn.device);
  }
  phase_ = Reserving{.number = number, .cohorts = std::move(cohorts)};
  actions_.emplace_back(ReserveRound{std::move(reservation)});
}

void Federation::finish_without_budget(Error reason) {
  phase_ = Finished{};
  actions_.emplace_back(Log(BudgetSpent{std::move(reason)}));
  tell_finished();
}

Actions Federation::on_round_reserved(Status reserved, Moment now) {
  if (std::holds_alternative<Stopped>(phase_)) return {};
  CHORUS_ENSURE(std::holds_alternative<Reserving>(phase_), "a reserved round is waited for");
  if (!reserved) {
    stop(fail(reserved.error()));
    return take();
  }
  const Reserving reserving = std::get<Reserving>(std::move(phase_));
  phase_ = Gathering{};
  progress_.last_round = reserving.number;
  if (stop_deadline_) {
    stop({});
  } else {
    open_round(reserving, now);
  }
  announce_waiting(now);
  return take();
}

void Federation::open_round(const Reserving& reserved, Moment now) {
  Collecting collecting{.round = {.number = reserved.number, .purpose = *next_purpose(), .opened = now, .cohorts = {}}};
  std::vector<SessionId> all;
  std::uint32_t all_members = 0;
  std::size_t enough = 0;  // cohorts
  for (const auto& members : reserved.cohorts) {
    const std::size_t before = all.size();
    for (const Drawn& member : members) {
      if (sessions_.contains(member.session)) all.push_back(member.session);
    }
    all_members += static_cast<std::uint32_t>(members.size());
    if (all.size() - before >= settings_.cohort_minimum) ++enough;
  }
  if (enough < settings_.rule.least_cohorts()) {  // some left while the number was reserved
    actions_.emplace_back(RecordRound{record_of(collecting.round, "aborted", "too few devices stayed", now)});
    go_on();
    consider_round(now);
    return;
  }
  for (const auto& members : reserved.cohorts) invite(collecting.round, members, all_members, now);
  roster_.take_part(reserved.number, all, now);
  pace_.round_opened(static_cast<std::uint32_t>(all.size()), now);
  announced_.reset();
  actions_.emplace_back(Log(RoundOpened{.round = reserved.number,
                                        .purpose = collecting.round.purpose,
                                        .cohorts = static_cast<std::uint32_t>(reserved.cohorts.size()),
                                        .members = all_members}));
  phase_ = std::move(collecting);
}

void Federation::invite(RoundInProgress& round, const std::vector<Drawn>& drawn, std::uint32_t all_members,
                        Moment now) {
  const std::size_t index = round.cohorts.size();
  const auto session_id = random_->array<32>();
  auto plan = make_plan(round.purpose, round.number, CohortId(static_cast<std::uint32_t>(index)), session_id,
                        static_cast<std::uint32_t>(drawn.size()), all_members);
  CHORUS_ENSURE(plan.has_value(), "create() has checked what does not change from round to round");
  std::vector<SessionId> sessions;
  std::vector<identity::DeviceId> devices;
  std::vector<Member> members;
  for (std::uint32_t i = 0; i < drawn.size(); ++i) {
    devices.push_back(drawn[i].device);
    Member& member = members.emplace_back(Member{.device = drawn[i].device, .session = {}, .absent_since = {}});
    const auto found = sessions_.find(drawn[i].session);
    if (found == sessions_.end()) {
      member.absent_since = now;
      continue;
    }
    member.session = drawn[i].session;
    sessions.push_back(drawn[i].session);
    Session& session = found->second;
    session.phase = CoordinatorPhase::in_round;
    session.place = Place{.cohort = index, .member = i};
    session.last_round_session = session_id;
  }
  const protocol::Signed document =
      protocol::sign_document(protocol::kManifestLabel, plan->encode(), publisher_->key());
  const plan::RoundPlanFields& fields = plan->fields();
  SecureSumTerms terms{.h0 = crypto::sha256(document.document),
                       .layout = plan->layout(),
                       .bounds = {.least_members = fields.least_members,
                                  .most_members = fields.most_members,
                                  .corrupt = fields.corrupt,
                                  .dropout = fields.dropout},
                       .phases = fields.deadlines,
                       .over_selection = settings_.over_selection,
                       .patience = settings_.patience};
  const secagg::AdmissionRules rules{.authority = admission_.authority,
                                     .now = {},  // told with each leaf
                                     .least_age = settings_.least_identity_age,
                                     .revoked = admission_.revoked.get()};
  SecureSum sum(std::move(terms), std::move(devices), rules, verified_, now);
  actions_.emplace_back(Send{sessions, protocol::Manifest{.plan = document, .revocations = admission_.revoked->der()}});
  round.cohorts.push_back(Cohort{.plan = std::move(*plan),
                                 .revoked = admission_.revoked,
                                 .sum = std::move(sum),
                                 .members = std::move(members),
                                 .survivors = {},
                                 .declined = {},
                                 .refused = {},
                                 .closed = false,
                                 .answered = false});
}

void Federation::close_cohort(std::size_t index) {
  auto& collecting = std::get<Collecting>(phase_);
  Cohort& cohort = collecting.round.cohorts[index];
  cohort.closed = true;
  const CohortId number(static_cast<std::uint32_t>(index));
  for (const auto& [reason, members] : cohort.declined) {
    actions_.emplace_back(
        Log(MembersDeclined{.round = collecting.round.number, .cohort = number, .reason = reason, .members = members}));
  }
  std::optional<Error> refused;
  if (const Error* aborted = cohort.sum.reason()) {
    refused = *aborted;
  } else {
    const auto asked = hidden(collecting.round.purpose);
    const std::span<const plan::ClipGroup> groups =
        asked ? std::span<const plan::ClipGroup>(asked->question.groups) : std::span<const plan::ClipGroup>();
    if (auto within = check_bounds(cohort.plan.layout(), cohort.plan.fields().local_noise, groups, *cohort.sum.sum());
        !within)
      refused = within.error();
  }
  if (refused) {
    actions_.emplace_back(Log(CohortAborted{.round = collecting.round.number, .cohort = number, .reason = *refused}));
    send_cohort_result(collecting.round, cohort, protocol::Outcome::aborted, refused->sentence());
    cohort.refused = std::move(refused);
    return;
  }
  for (const std::uint32_t survivor : cohort.sum.survivors()) {
    cohort.survivors.push_back(cohort.members[survivor].device);
  }
}

void Federation::close_round_if_over(Moment now) {
  auto& collecting = std::get<Collecting>(phase_);
  const auto& cohorts = collecting.round.cohorts;
  if (!std::all_of(cohorts.begin(), cohorts.end(), [](const Cohort& cohort) { return cohort.closed; })) return;
  // In the order of the cohorts, whichever came first: a replay adds them in this order.
  auto sums = std::make_shared<CollectedSums>(cohorts.front().plan.layout(), settings_.rule);
  std::size_t there = 0;
  for (const Cohort& cohort : cohorts) {
    if (cohort.refused) continue;
    sums->add(*cohort.sum.sum());
    ++there;
  }
  if (there == 0) {
    const Error reason = cohorts.size() == 1
                             ? *cohorts.front().refused
                             : Error(ErrorCode::below_threshold, fmt::format("all {} cohorts aborted", cohorts.size()));
    abort_round(std::move(collecting.round), reason, now);
    return;
  }
  settle_charge(collecting.round);
  auto report = report_of(collecting.round, sums->contributors());
  CHORUS_ENSURE(report.has_value(), "create() has checked the budget's delta, and devices the noise");
  actions_.emplace_back(BuildStep{.publisher = publisher_,
                                  .from = version_,
                                  .work = BuildStep::FromSum{.purpose = collecting.round.purpose,
                                                             .round = collecting.round.number,
                                                             .sums = sums,
                                                             .report = std::move(*report)}});
  phase_ = Building{.round = std::move(collecting.round), .sums = std::move(sums)};
}

Actions Federation::on_step_built(Result<BuildStep::Outcome> built, Moment now) {
  if (std::holds_alternative<Stopped>(phase_)) return {};
  if (auto* growing = std::get_if<Growing>(&phase_)) {
    auto* growth = built ? std::get_if<Growth>(&*built) : nullptr;
    if (growth != nullptr) {
      actions_.emplace_back(
          StoreVersion{std::make_shared<const Commit>(Commit{.version = growth->version,
                                                             .catalogue = growth->publisher->catalogue(),
                                                             .surveyed = progress_.surveyed,
                                                             .measured = progress_.measured,
                                                             .ledger = progress_.ledger,
                                                             .trace_line = growth->trace_line})});
      growing->growth = std::move(*growth);
      return take();
    }
    if (!built) actions_.emplace_back(Log(CatalogueRefused{built.error()}));
    go_on();
    consider_round(now);
    return take();
  }
  CHORUS_ENSURE(std::holds_alternative<Building>(phase_), "a step that was built is waited for");
  Building building = std::get<Building>(std::move(phase_));
  RoundInProgress& round = building.round;
  if (!built) {
    // The sum is unusable (non_finite): nothing of it is published, the next round starts from the same version.
    abort_round(std::move(round), built.error(), now);
    consider_round(now);
    return take();
  }
  StepOutcome outcome = std::get<StepOutcome>(std::move(*built));
  const protocol::ModelHeader& to = (outcome.version ? *outcome.version : version_).header;
  TraceRound record{.round = round.number,
                    .purpose = round.purpose,
                    .from = version_.header.version,
                    .to = to.version,
                    .model = to.tensors,
                    .cohorts = {},
                    .quality = outcome.quality,
                    .rule = settings_.rule};
  for (const auto& cohort : round.cohorts) {
    auto& written = record.cohorts.emplace_back();
    for (const Member& member : cohort.members) written.members.push_back(member.device);
    written.survivors = cohort.survivors;
  }
  if (round.cohorts.front().plan.fields().local_noise > 0) {
    const auto coordinates = building.sums->total()->coordinates();  // check_rule() lets no other rule meet noise
    record.released = TraceSum{.contributors = building.sums->contributors(),
                               .coordinates = {coordinates.begin(), coordinates.end()}};
  }
  RoundRecord outline = record_of(round, outcome.version ? "published" : "measured", {}, now);
  outline.quality = outcome.quality;
  auto commit =
      std::make_shared<const Commit>(Commit{.version = outcome.version,
                                            .catalogue = std::nullopt,
                                            .surveyed = progress_.surveyed || round.purpose == plan::Purpose::survey,
                                            .measured = progress_.measured || round.purpose == plan::Purpose::measure,
                                            .ledger = progress_.ledger,
                                            .trace_line = to_json_line(record),
                                            .round = std::move(outline)});
  actions_.emplace_back(StoreVersion{commit});
  phase_ = Storing{.round = std::move(round), .outcome = std::move(outcome), .commit = std::move(commit)};
  return take();
}

Actions Federation::on_stored(Status stored, Moment now) {
  if (std::holds_alternative<Stopped>(phase_)) return {};
  auto* storing = std::get_if<Storing>(&phase_);
  CHORUS_ENSURE(storing != nullptr || std::holds_alternative<Growing>(phase_),
                "a version that was stored is waited for");
  if (!stored) {
    if (storing != nullptr) {
      send_results(storing->round, protocol::Outcome::aborted, "the coordinator cannot store the outcome");
    }
    stop(fail(stored.error()));
    return take();
  }
  if (storing != nullptr) {
    step_stored(std::move(*storing), now);
  } else {
    growth_stored(std::move(*std::get<Growing>(phase_).growth));
  }
  go_on();
  consider_round(now);
  announce_waiting(now);
  return take();
}

void Federation::step_stored(Storing storing, Moment now) {
  RoundInProgress& round = storing.round;
  progress_.surveyed = storing.commit->surveyed;
  progress_.measured = storing.commit->measured;
  const bool published = storing.outcome.version.has_value();
  if (published) version_before_ = std::exchange(version_, std::move(*storing.outcome.version));
  RoundClosed closed{.round = round.number,
                     .purpose = round.purpose,
                     .cohorts = static_cast<std::uint32_t>(round.cohorts.size()),
                     .cohorts_left_out = static_cast<std::uint32_t>(storing.outcome.left_out),
                     .took = now - round.opened,
                     .quality = storing.outcome.quality};
  for (const auto& cohort : round.cohorts) {
    closed.members += static_cast<std::uint32_t>(cohort.members.size());
    closed.funnel += cohort.sum.funnel();
    closed.survivors += static_cast<std::uint32_t>(cohort.survivors.size());
    if (cohort.survivors.empty()) ++closed.cohorts_aborted;
  }
  actions_.emplace_back(Log(closed));
  send_results(round, published ? protocol::Outcome::published : protocol::Outcome::measured, {});
  if (published) announce_version();
}

void Federation::growth_stored(Growth growth) {
  publisher_before_ = std::exchange(publisher_, std::move(growth.publisher));
  version_before_ = std::exchange(version_, std::move(growth.version));
  announce_version();
}

void Federation::announce_version() {
  actions_.emplace_back(Log(VersionPublished{.version = version_.header.version,
                                             .training_rounds = version_.header.training_rounds,
                                             .items = publisher_->catalogue().header.items,
                                             .bytes = version_.header.size,
                                             .privacy = version_.header.privacy}));
  if (auto everybody = greeted(); !everybody.empty()) {
    actions_.emplace_back(Send{std::move(everybody), protocol::Published{version_.document}});
  }
}

void Federation::abort_round(RoundInProgress round, const Error& reason, Moment now) {
  RoundAborted aborted{.round = round.number, .purpose = round.purpose, .took = now - round.opened, .reason = reason};
  for (const auto& cohort : round.cohorts) {
    aborted.members += static_cast<std::uint32_t>(cohort.members.size());
    aborted.funnel += cohort.sum.funnel();
  }
  actions_.emplace_back(Log(std::move(aborted)));
  actions_.emplace_back(RecordRound{record_of(round, "aborted", reason.to_string(), now)});
  send_results(round, protocol::Outcome::aborted, reason.sentence());
  // The same devices may fail in the same way: the next round waits its full time.
  roster_.forget_last_round();
  go_on();
}

RoundRecord Federation::record_of(const RoundInProgress& round, std::string outcome, std::string reason,
                                  Moment now) const {
  RoundRecord record{.round = round.number,
                     .purpose = std::string(plan::to_string(round.purpose)),
                     .outcome = std::move(outcome),
                     .reason = std::move(reason),
                     .took = now - round.opened,
                     .from = version_.header.version,
                     .cohorts = {}};
  for (const Cohort& cohort : round.cohorts) {
    record.keys += cohort.sum.funnel().keys;
    record.masked += cohort.sum.funnel().masked;
    record.unmasked += cohort.sum.funnel().unmasked;
    record.cohorts.push_back({.members = static_cast<std::uint32_t>(cohort.members.size()),
                              .survivors = static_cast<std::uint32_t>(cohort.survivors.size()),
                              .reason = cohort.refused ? cohort.refused->to_string() : std::string()});
  }
  return record;
}

void Federation::send_results(RoundInProgress& round, protocol::Outcome outcome, const std::string& reason) {
  for (auto& cohort : round.cohorts) {
    if (!cohort.answered) send_cohort_result(round, cohort, outcome, reason);
  }
}

void Federation::send_cohort_result(const RoundInProgress& round, Cohort& cohort, protocol::Outcome outcome,
                                    const std::string& reason) {
  cohort.answered = true;
  const std::vector<SessionId> to = cohort.present();
  for (const SessionId id : to) {
    Session& session = sessions_.at(id);
    session.place.reset();
    session.phase = CoordinatorPhase::enrolled;
  }
  if (to.empty()) return;
  const protocol::RoundResult result{.session = cohort.plan.fields().session,
                                     .round = round.number,
                                     .cohort = cohort.plan.fields().cohort,
                                     .outcome = outcome,
                                     .members = cohort.size(),
                                     .survivors = static_cast<std::uint32_t>(cohort.survivors.size()),
                                     .version = version_.header.version,
                                     .reason = reason.substr(0, protocol::kMaxSentence)};
  actions_.emplace_back(
      Send{to, protocol::Result{protocol::sign_document(protocol::kResultLabel, result.encode(), publisher_->key())}});
}

void Federation::go_on() {
  if (stop_deadline_) {
    stop({});
  } else if (new_catalogue_ != nullptr) {
    actions_.emplace_back(BuildStep{
        .publisher = publisher_, .from = version_, .work = BuildStep::Grow{std::exchange(new_catalogue_, {})}});
    phase_ = Growing{};
  } else if (next_purpose()) {
    phase_ = Gathering{};
  } else {
    phase_ = Finished{};
    actions_.emplace_back(Log(JobFinished{.training_rounds = version_.header.training_rounds}));
    tell_finished();
  }
}

void Federation::tell_finished() {
  if (auto everybody = greeted(); !everybody.empty()) {
    for (const SessionId id : everybody) {
      Session& session = sessions_.at(id);
      if (session.phase != CoordinatorPhase::ready) continue;
      session.phase = CoordinatorPhase::enrolled;
      roster_.set_ready(id, false);
    }
    actions_.emplace_back(Send{std::move(everybody), protocol::Finished{}});
  }
  if (settings_.exit_when_finished) stop({});
}

void Federation::stop(Status outcome) {
  std::vector<SessionId> everybody;
  for (const auto& [id, session] : sessions_) everybody.push_back(id);
  if (!everybody.empty() && !finished()) {
    actions_.emplace_back(Send{std::move(everybody), protocol::Refusal{.code = ErrorCode::aborted,
                                                                       .sentence = "the coordinator is stopping",
                                                                       .retry_after = settings_.retry_after}});
  }
  sessions_.clear();
  phase_ = Stopped{};
  actions_.emplace_back(Stop{std::move(outcome)});
}

}  // namespace chorus::coordinator
