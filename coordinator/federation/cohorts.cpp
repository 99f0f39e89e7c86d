// What the members of a round say, and what their secure sums ask for.
#include <fmt/format.h>

#include "common/base/check.hpp"
#include "coordinator/federation/federation.hpp"

namespace chorus::coordinator {

using protocol::CoordinatorPhase;

namespace {

protocol::Message step_message(SecureSum::Phase phase, const ByteArray<32>& session, Bytes body) {
  switch (phase) {
    case SecureSum::Phase::sharing:
      return protocol::Roster{.session = session, .body = std::move(body)};
    case SecureSum::Phase::masking:
      return protocol::Delivery{.session = session, .body = std::move(body)};
    case SecureSum::Phase::voting:
      return protocol::Survivors{.session = session, .body = std::move(body)};
    default:
      return protocol::Certificate{.session = session, .body = std::move(body)};
  }
}

// Gives a member's message to its cohort's sum.
struct TakeStep {
  SecureSum& sum;
  std::uint32_t member;
  Moment now;
  WallTime today;

  using Taken = Result<SecureSum::Actions>;
  Taken operator()(const protocol::Advertise& leaf) const { return sum.on_leaf(member, leaf.body, today, now); }
  Taken operator()(const protocol::Shares& shares) const { return sum.on_shares(member, shares.body, now); }
  Taken operator()(const protocol::Update& piece) const {
    CHORUS_TRY_DO(sum.on_piece(member, piece.offset, piece.total, piece.data, now));
    return SecureSum::Actions{};
  }
  Taken operator()(const protocol::Masked& end) const { return sum.on_masked(member, end.body, now); }
  Taken operator()(const protocol::Vote& vote) const { return sum.on_vote(member, vote.body, now); }
  Taken operator()(const protocol::Openings& openings) const { return sum.on_openings(member, openings.body, now); }
  Taken operator()(const protocol::Decline&) const { return sum.on_gone(member, now); }
  template <typename Other>
  Taken operator()(const Other&) const {
    return fail(ErrorCode::out_of_phase, "not a message of a round");
  }
};

}  // namespace

std::vector<SessionId> Federation::Cohort::present() const {
  std::vector<SessionId> sessions;
  for (const Member& member : members) {
    // Not those who declined: for them the round is over.
    if (member.session && !member.left) sessions.push_back(*member.session);
  }
  return sessions;
}

std::uint32_t Federation::Cohort::size() const {
  return sum.parameters() ? sum.parameters()->members : static_cast<std::uint32_t>(members.size());
}

Federation::RoundInProgress* Federation::round_in_progress() {
  if (auto* collecting = std::get_if<Collecting>(&phase_)) return &collecting->round;
  if (auto* building = std::get_if<Building>(&phase_)) return &building->round;
  if (auto* storing = std::get_if<Storing>(&phase_)) return &storing->round;
  return nullptr;
}

void Federation::on_round_message(SessionId id, const protocol::Message& message, Moment now, WallTime today) {
  Session& session = sessions_.at(id);
  auto* collecting = std::get_if<Collecting>(&phase_);
  // In a round while its other cohorts go on, or its step is computed: the sum takes nothing more.
  if (collecting == nullptr || !session.place) return;
  const Place place = *session.place;
  Cohort& cohort = collecting->round.cohorts[place.cohort];
  if (cohort.closed) return;
  const auto* decline = std::get_if<protocol::Decline>(&message);
  // Every message of a round names its session, but for the word of a device that could not read it in the plan.
  const bool nameless = decline != nullptr && decline->session == ByteArray<32>{};
  if (!nameless && !is_late(session, message)) {
    refuse(id, Error(ErrorCode::stale_round, "the message belongs to another round"), now);
    return;
  }
  if (decline != nullptr) {
    ++cohort.declined[decline->code];
    cohort.members[place.member].left = true;
    session.place.reset();
    session.phase = CoordinatorPhase::enrolled;
  }
  auto taken = std::visit(TakeStep{cohort.sum, place.member, now, today}, message);
  if (taken) {
    on_sum_actions(place.cohort, std::move(*taken), now);
  } else if (taken.error().code() != ErrorCode::late) {
    // Whoever breaks the protocol has no place to come back to.
    cohort.members[place.member].left = true;
    refuse(id, taken.error(), now);
  }
}

void Federation::on_resume(SessionId id, Session& session, const protocol::Resume& resume) {
  const identity::DeviceId& device = roster_.device(id);
  RoundInProgress* const round = round_in_progress();
  for (std::size_t c = 0; round != nullptr && c < round->cohorts.size(); ++c) {
    Cohort& cohort = round->cohorts[c];
    if (cohort.answered || cohort.plan.fields().session != resume.session) continue;
    for (std::uint32_t m = 0; m < cohort.members.size(); ++m) {
      Member& member = cohort.members[m];
      if (member.device != device || member.left || member.session) continue;
      member.session = id;
      member.absent_since.reset();
      session.phase = CoordinatorPhase::in_round;
      session.place = Place{.cohort = c, .member = m};
      session.last_round_session = resume.session;
      cohort.sum.on_returned(m);
      actions_.emplace_back(Send{
          {id}, protocol::Resumed{.session = resume.session, .in_round = true, .received = cohort.sum.received(m)}});
      send_step(cohort, m);
      return;
    }
  }
  actions_.emplace_back(Send{{id}, protocol::Resumed{.session = resume.session, .in_round = false, .received = 0}});
}

void Federation::send_step(const Cohort& cohort, std::uint32_t member) {
  const std::optional<SessionId> session = cohort.members[member].session;
  if (!session) return;
  auto body = cohort.sum.message_for(member);
  if (!body) return;
  actions_.emplace_back(
      Send{{*session}, step_message(cohort.sum.phase(), cohort.plan.fields().session, std::move(*body))});
}

void Federation::on_sum_actions(std::size_t index, SecureSum::Actions actions, Moment now) {
  auto& collecting = std::get<Collecting>(phase_);
  for (SecureSum::Action& action : actions) {
    Cohort& cohort = collecting.round.cohorts[index];
    if (const auto* entered = std::get_if<SecureSum::Entered>(&action)) {
      for (const std::uint32_t member : entered->members) send_step(cohort, member);
    } else if (auto* recover = std::get_if<SecureSum::Recover>(&action)) {
      actions_.emplace_back(
          RecoverSum{.round = collecting.round.number, .cohort = index, .work = std::move(recover->work)});
    } else if (const auto* named = std::get_if<SecureSum::Named>(&action)) {
      convict(cohort, *named);
    } else {
      close_cohort(index);
    }
  }
  close_round_if_over(now);
}

void Federation::convict(Cohort& cohort, const SecureSum::Named& named) {
  const identity::DeviceId& device = cohort.members[named.member].device;
  actions_.emplace_back(
      Log(MemberConvicted{.round = cohort.plan.fields().round, .device = device, .reason = named.error}));
  // A holder's wrong opening is skipped and costs nothing; a dealer's lie, or a false hash, has cost the cohort its
  // round.
  const ErrorCode code = named.error.code();
  if (code == ErrorCode::bad_dealer || code == ErrorCode::bad_signature) evicted_.insert(device);
}

void Federation::on_absences(std::size_t index, Moment now) {
  auto& collecting = std::get<Collecting>(phase_);
  for (std::uint32_t m = 0; m < collecting.round.cohorts[index].members.size(); ++m) {
    Cohort& cohort = collecting.round.cohorts[index];
    if (cohort.closed) return;
    Member& member = cohort.members[m];
    if (!member.absent_since || now < *member.absent_since + settings_.reconnect_grace) continue;
    member.absent_since.reset();
    on_sum_actions(index, cohort.sum.on_gone(m, now), now);
    if (!std::holds_alternative<Collecting>(phase_)) return;
  }
}

Actions Federation::on_sum_recovered(const RecoverSum& asked, Result<ring::CohortSum> sum, Moment now) {
  auto* collecting = std::get_if<Collecting>(&phase_);
  // Aborted meanwhile, or another round: the sum dies here.
  if (collecting == nullptr || collecting->round.number != asked.round) return take();
  on_sum_actions(asked.cohort, collecting->round.cohorts[asked.cohort].sum.on_recovered(std::move(sum), *asked.work),
                 now);
  consider_round(now);
  announce_waiting(now);
  return take();
}

}  // namespace chorus::coordinator
