// Federation's events and what devices say outside of rounds; rounds.cpp has the rounds.
#include "coordinator/federation/federation.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/privacy/private_encoding.hpp"

namespace chorus::coordinator {

using protocol::CoordinatorPhase;

Error another_authority() {
  return {ErrorCode::closed, "another enrolment authority has taken over: connect again with its certificate"};
}

Result<Federation> Federation::create(const FederationSettings& settings, JobStart start, Admission admission,
                                      crypto::RandomSource& random, const plan::Floors& floors) {
  CHORUS_ENSURE(admission.revoked != nullptr, "a coordinator has a revocation list");
  if (admission.revoked->der().size() > protocol::kMaxRevocations) {
    return fail(ErrorCode::too_large, fmt::format("a revocation list of {} bytes does not fit into a plan's {}",
                                                  admission.revoked->der().size(), protocol::kMaxRevocations));
  }
  const auto& job = start.publisher->job();
  if (settings.cohort_minimum == 0 || settings.cohort_minimum > settings.cohort_size) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a cohort of {} to {} members cannot be", settings.cohort_minimum, settings.cohort_size));
  }
  if (settings.cohort_size > job.max_contributors) {
    return fail(ErrorCode::invalid_argument, fmt::format("cohorts of {} members do not fit the job's headroom for {}",
                                                         settings.cohort_size, job.max_contributors));
  }
  CHORUS_TRY_DO(check_rule(settings.rule));
  CHORUS_TRY_DO(check_rule(settings.rule, start.publisher->model()));
  if (settings.devices != 0 && settings.devices < settings.least_devices()) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("rounds of {} devices never have the {} cohorts of {} that the rule {} needs", settings.devices,
                    settings.rule.least_cohorts(), settings.cohort_minimum, to_string(settings.rule.combination)));
  }
  Federation federation(settings, std::move(start), std::move(admission), random, floors);
  for (const auto purpose : {plan::Purpose::survey, plan::Purpose::train, plan::Purpose::measure}) {
    if (purpose == plan::Purpose::survey && !federation.publisher_->model().needs_survey()) continue;
    CHORUS_TRY_DO(
        federation.make_plan(purpose, RoundId(1), CohortId(0), {}, settings.cohort_minimum, settings.cohort_minimum));
  }
  return federation;
}

Federation::Federation(const FederationSettings& settings, JobStart start, Admission admission,
                       crypto::RandomSource& random, const plan::Floors& floors)
    : settings_(settings),
      admission_(std::move(admission)),
      floors_(floors),
      random_(&random),
      publisher_(std::move(start.publisher)),
      version_(std::move(start.version)),
      progress_(start.progress),
      pace_(settings.pace),
      phase_(Gathering{}) {
  if (!next_purpose()) phase_ = Finished{};
}

std::optional<plan::Purpose> Federation::next_purpose() const {
  if (publisher_->model().needs_survey() && !progress_.surveyed) return plan::Purpose::survey;
  const model::Model& model = publisher_->model();
  std::uint64_t goal = publisher_->job().round_goal;
  if (const std::uint64_t most = model.most_rounds(); most != 0) goal = goal == 0 ? most : std::min(goal, most);
  if (goal == 0 || version_.header.training_rounds < goal) return plan::Purpose::train;
  // Errors are personal: a sum of them without noise would undo what the noise of training protects.
  const bool private_model = model.privacy(plan::Purpose::train, 0).has_value();
  if (settings_.measure && !private_model && !progress_.measured) return plan::Purpose::measure;
  return std::nullopt;
}

Result<plan::RoundPlan> Federation::make_plan(plan::Purpose purpose, RoundId round, CohortId cohort,
                                              const ByteArray<32>& session, std::uint32_t members,
                                              std::uint32_t all_members) const {
  plan::RoundPlanFields fields{.job = publisher_->job_id(),
                               .session = session,
                               .round = round,
                               .cohort = cohort,
                               .purpose = purpose,
                               .model_version = version_.header.version,
                               .model_id = version_.header.model_id,
                               .catalogue = version_.header.catalogue,
                               .revocations = crypto::sha256(admission_.revoked->der()),
                               .least_members = settings_.cohort_minimum,
                               .most_members = settings_.cohort_size,
                               .corrupt = settings_.corrupt,
                               .dropout = settings_.dropout,
                               .deadlines = settings_.deadlines};
  if (const auto asked = hidden(purpose)) {
    fields.least_members = least_members(asked, members);
    fields.local_noise = local_noise(*asked, members, all_members);
    const double honest = privacy::honest_contributors(fields.least_members, settings_.corrupt, settings_.dropout);
    fields.noise_multiplier = std::sqrt(honest / static_cast<double>(asked->squared_sensitivity)) * fields.local_noise;
  }
  return plan::RoundPlan::create(fields, publisher_->model().layout(purpose, version_.header.training_rounds), floors_);
}

Actions Federation::on_connected(SessionId id, const identity::DeviceId& device, Moment now) {
  if (std::holds_alternative<Stopped>(phase_)) return {};
  if (const auto older = roster_.connect(id, device)) {
    refuse(*older, Error(ErrorCode::duplicate, "this device has connected again"), now);
  }
  sessions_[id].authority = admission_.authority;
  if (evicted_.contains(device)) {
    refuse(id, Error(ErrorCode::bad_dealer, "this device was proven to lie: its identity is evicted"), now);
  }
  return take();
}

Actions Federation::on_admission(Admission admission, Moment now) {
  CHORUS_ENSURE(admission.revoked != nullptr, "a coordinator has a revocation list");
  const bool another = admission.authority != admission_.authority;
  admission_ = std::move(admission);
  if (!another) return take();
  std::vector<SessionId> idle;
  for (const auto& [id, session] : sessions_) {
    if (!session.place) idle.push_back(id);
  }
  for (const SessionId id : idle) refuse(id, another_authority(), now);
  return take();
}

Actions Federation::on_message(SessionId id, protocol::Message message, Moment now, WallTime today) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return take();
  Session& session = found->second;
  const auto type = protocol::type_of(message);
  if (!protocol::accepts(session.phase, type)) {
    if (!is_late(session, message)) {
      refuse(id, Error(ErrorCode::out_of_phase, fmt::format("'{}' was not expected now", protocol::to_string(type))),
             now);
    }
  } else if (const auto* hello = std::get_if<protocol::Hello>(&message)) {
    on_hello(id, session, *hello, now);
  } else if (const auto* fetch = std::get_if<protocol::Fetch>(&message)) {
    on_fetch(id, *fetch, now);
  } else if (const auto* resume = std::get_if<protocol::Resume>(&message)) {
    on_resume(id, session, *resume);
  } else if (type == protocol::MessageType::ready) {
    on_ready(id, session, now);
  } else {
    on_round_message(id, message, now, today);
  }
  consider_round(now);
  announce_waiting(now);
  return take();
}

// What was on its way when the round ended is late, not a fault: it is dropped.
bool Federation::is_late(const Session& session, const protocol::Message& message) const {
  if (!session.last_round_session || session.phase == CoordinatorPhase::greeting) return false;
  return std::visit(
      [&](const auto& fields) {
        if constexpr (requires { fields.session; }) return fields.session == *session.last_round_session;
        return false;
      },
      message);
}

Actions Federation::on_disconnected(SessionId id, Moment now) {
  forget(id, now);
  consider_round(now);
  announce_waiting(now);
  return take();
}

Actions Federation::on_time(Moment now) {
  if (finished() && settings_.exit_when_finished) stop({});  // started with nothing left to do
  if (auto* collecting = std::get_if<Collecting>(&phase_)) {
    if (stop_deadline_ && now >= *stop_deadline_) {
      abort_round(std::move(collecting->round), Error(ErrorCode::aborted, "the coordinator is stopping"), now);
    } else {
      for (std::size_t i = 0; i < collecting->round.cohorts.size(); ++i) {
        on_absences(i, now);
        if (!std::holds_alternative<Collecting>(phase_)) break;
        on_sum_actions(i, collecting->round.cohorts[i].sum.on_time(now), now);
        if (!std::holds_alternative<Collecting>(phase_)) break;
      }
    }
  }
  consider_round(now);
  announce_waiting(now);
  return take();
}

Actions Federation::on_catalogue(std::vector<dataset::CatalogueItem> items, Moment now) {
  if (std::holds_alternative<Stopped>(phase_)) return {};
  new_catalogue_ = std::make_shared<const std::vector<dataset::CatalogueItem>>(std::move(items));
  if (std::holds_alternative<Gathering>(phase_) || std::holds_alternative<Finished>(phase_)) go_on();
  consider_round(now);
  return take();
}

Actions Federation::on_pause(bool paused, Moment now) {
  paused_ = paused;
  consider_round(now);
  announce_waiting(now);
  return take();
}

std::string_view Federation::phase_name() const noexcept {
  static constexpr std::array<std::string_view, std::variant_size_v<Phase>> kNames{
      "gathering", "reserving", "collecting", "building", "storing", "growing", "finished", "stopped"};
  return kNames[phase_.index()];
}

Actions Federation::on_stop(Moment now) {
  if (stop_deadline_ || std::holds_alternative<Stopped>(phase_)) return {};
  stop_deadline_ = now + settings_.shutdown_grace;
  // A number that is being reserved, a step that is computed or stored, and a round that collects go on; their events
  // end here.
  if (std::holds_alternative<Gathering>(phase_) || std::holds_alternative<Finished>(phase_)) stop({});
  return take();
}

std::optional<Moment> Federation::next_deadline() const {
  std::optional<Moment> deadline;
  if (const auto* collecting = std::get_if<Collecting>(&phase_)) {
    deadline = stop_deadline_;
    for (const auto& cohort : collecting->round.cohorts) {
      deadline = sooner(deadline, cohort.sum.next_deadline());
      if (cohort.closed) continue;
      for (const Member& member : cohort.members) {
        if (member.absent_since) deadline = sooner(deadline, *member.absent_since + settings_.reconnect_grace);
      }
    }
  }
  if (const auto* gathering = std::get_if<Gathering>(&phase_)) {
    if (gathering->enough_since && !paused_) deadline = *gathering->enough_since + settings_.gather;
    if (announced_ && announced_->ready != roster_.ready() && roster_.ready() > 0 &&
        std::min(announced_->ready, roster_.ready()) < settings_.least_devices()) {
      deadline = sooner(deadline, announced_->at + settings_.waiting_interval);
    }
  }
  return deadline;
}

std::optional<CoordinatorPhase> Federation::phase_of(SessionId id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? std::nullopt : std::optional(found->second.phase);
}

void Federation::on_hello(SessionId id, Session& session, const protocol::Hello& hello, Moment now) {
  if (hello.protocol_version != protocol::kProtocolVersion) {
    refuse(
        id,
        Error(ErrorCode::unsupported_version, fmt::format("the device speaks protocol version {}, this coordinator {}",
                                                          hello.protocol_version, protocol::kProtocolVersion)),
        now);
    return;
  }
  if (!hello.job.empty() && hello.job != publisher_->job().name) {
    refuse(id, Error(ErrorCode::wrong_job, fmt::format("this coordinator's job is '{}'", publisher_->job().name)), now);
    return;
  }
  session.phase = CoordinatorPhase::enrolled;
  actions_.emplace_back(Send{{id},
                             protocol::Welcome{.job = publisher_->job_document(),
                                               .catalogue = publisher_->catalogue().document,
                                               .model = version_.document,
                                               .finished = finished()}});
}

void Federation::on_fetch(SessionId id, const protocol::Fetch& fetch, Moment now) {
  if (fetch.kind == protocol::BlobKind::catalogue) {
    for (const auto* publisher : {&publisher_, &publisher_before_}) {
      if (*publisher == nullptr || (*publisher)->catalogue().header.version != fetch.version) continue;
      actions_.emplace_back(SendBlob{id, fetch.kind, fetch.version, (*publisher)->catalogue().bytes});
      return;
    }
  } else {
    if (version_.header.version.value() == fetch.version) {
      actions_.emplace_back(SendBlob{id, fetch.kind, fetch.version, version_.tensors});
      return;
    }
    if (version_before_ && version_before_->header.version.value() == fetch.version) {
      actions_.emplace_back(SendBlob{id, fetch.kind, fetch.version, version_before_->tensors});
      return;
    }
  }
  // Older than the one before, or of the future: connecting again tells the device which one is the latest.
  refuse(id,
         Error(ErrorCode::not_found,
               fmt::format("there is no {} version {}",
                           fetch.kind == protocol::BlobKind::catalogue ? "catalogue" : "model", fetch.version)),
         now);
}

void Federation::on_ready(SessionId id, Session& session, Moment now) {
  if (session.authority != admission_.authority) {
    refuse(id, another_authority(), now);
    return;
  }
  if (finished()) {
    actions_.emplace_back(Send{{id}, protocol::Finished{}});
    return;
  }
  if (const auto drawn = roster_.drawn_at(roster_.device(id)); drawn && now < *drawn + settings_.separation) {
    send_away(id, "this device took part a short while ago", *drawn + settings_.separation - now, now);
    return;
  }
  if (settings_.pace.most_waiting != 0 && roster_.ready() >= settings_.pace.most_waiting) {
    send_away(id, "enough devices wait for a round", Duration::zero(), now);
    return;
  }
  session.phase = CoordinatorPhase::ready;
  roster_.set_ready(id, true);
}

void Federation::remember(std::span<const Participation> participation, Moment now, WallTime today) {
  for (const Participation& device : participation) {
    const Duration ago = std::max<Duration>(today - device.when, Duration::zero());
    roster_.remember(device.device, device.last_round, now - ago);
  }
}

void Federation::send_away(SessionId id, std::string sentence, Duration least, Moment now) {
  const auto later = pace_.come_back(roster_.ready(), least, now, *random_);
  actions_.emplace_back(
      Send{{id}, protocol::Refusal{.code = ErrorCode::overloaded, .sentence = sentence, .retry_after = later}});
  actions_.emplace_back(Close{id, Error(ErrorCode::overloaded, std::move(sentence))});
  forget(id, now);
}

void Federation::refuse(SessionId id, Error reason, Moment now) {
  std::string sentence = reason.sentence().substr(0, protocol::kMaxSentence);
  actions_.emplace_back(Send{{id}, protocol::Refusal{.code = reason.code(), .sentence = std::move(sentence)}});
  actions_.emplace_back(Close{id, std::move(reason)});
  forget(id, now);
}

void Federation::forget(SessionId id, Moment now) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const std::optional<Place> place = found->second.place;
  sessions_.erase(found);
  roster_.disconnect(id);
  RoundInProgress* const round = round_in_progress();
  if (round == nullptr || !place) return;
  Cohort& cohort = round->cohorts[place->cohort];
  Member& member = cohort.members[place->member];
  member.session.reset();
  if (cohort.closed || !std::holds_alternative<Collecting>(phase_)) return;
  if (member.left) {
    on_sum_actions(place->cohort, cohort.sum.on_gone(place->member, now), now);
  } else {
    member.absent_since = now;
    on_absences(place->cohort, now);
  }
}

void Federation::announce_waiting(Moment now) {
  if (!std::holds_alternative<Gathering>(phase_) || roster_.ready() == 0) return;
  if (announced_) {
    if (announced_->ready == roster_.ready() || now < announced_->at + settings_.waiting_interval) return;
    // Once there are enough, more of them are no news.
    if (std::min(announced_->ready, roster_.ready()) >= settings_.least_devices()) return;
  }
  announced_ = Announcement{.at = now, .ready = roster_.ready()};
  actions_.emplace_back(Send{roster_.ready_sessions(), protocol::Waiting{.devices_ready = roster_.ready(),
                                                                         .devices_needed = settings_.least_devices()}});
}

std::vector<SessionId> Federation::greeted() const {
  std::vector<SessionId> ids;
  ids.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) {
    if (session.phase != CoordinatorPhase::greeting) ids.push_back(id);
  }
  return ids;
}

}  // namespace chorus::coordinator
