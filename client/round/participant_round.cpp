// A round, as its device sees it: the plan is agreed to, the update solved, and the steps of the secure sum are passed
// to its member and back.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/round/participant.hpp"
#include "client/train/device_data.hpp"
#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"

namespace chorus::client {
namespace {

// Limits under which a plan is only read, so that a refusal can name its session; what this device agrees to is
// asked by Policy::check.
constexpr plan::Floors kReadable{.least_survivors = 1,
                                 .most_members = 0xffffffff,
                                 .most_dropout = {.numerator = 999'999, .denominator = 1'000'000},
                                 .least_corrupt = {.numerator = 0, .denominator = 1},
                                 .least_noise = 0,
                                 .most_coordinates = plan::UpdateLayout::kMaxCoordinates,
                                 .longest_phase = std::chrono::hours(24)};

// What a message may be on its way, and the other members' clocks differ, beyond a phase's own time.
constexpr Duration kSlack = 30s;

}  // namespace

Status Participant::consider(const plan::RoundPlan& plan) const {
  const protocol::ModelHeader* header = held_ ? &*held_ : nullptr;
  if (wanted_ && wanted_->header.version == plan.fields().model_version) header = &wanted_->header;
  if (header == nullptr || model_ == nullptr || wanted_catalogue_) {
    return fail(ErrorCode::wrong_model, "this device has no model yet");
  }
  CHORUS_TRY(const RoundId highest, setup_.store.highest_round());
  CHORUS_TRY(const std::uint32_t attempts, setup_.store.attempts(header->model_id, plan.fields().purpose));
  return setup_.policy.check(
      plan, {.job = job_id_, .model = *model_, .held = *header, .highest_round = highest, .attempts = attempts});
}

void Participant::decline(const ByteArray<32>& session, RoundId round, const Error& error) {
  send(protocol::Decline{.session = session, .code = error.code(), .sentence = error.sentence()});
  report(event::Declined{.round = round, .error = error});
  end(error);
}

Status Participant::on(const protocol::Manifest& manifest, Now now) {
  CHORUS_TRY_DO(check_signed(protocol::kManifestLabel, manifest.plan, setup_.coordinator));
  auto read = plan::RoundPlan::decode(manifest.plan.document, kReadable);
  if (!read) {
    decline({}, RoundId(0), read.error());
    return {};
  }
  plan::RoundPlan plan = std::move(*read);
  const auto revoked = setup_.membership.accept_revocations(manifest.revocations, now.wall);
  Status agreed = consider(plan);
  if (agreed && crypto::sha256(manifest.revocations) != plan.fields().revocations) {
    agreed = fail(ErrorCode::bad_certificate, "the revocation list is not the one that the plan names",
                  "field 'revocations'");
  }
  if (agreed && !revoked) agreed = fail(revoked.error());
  if (!agreed) {
    decline(plan.fields().session, plan.fields().round, agreed.error());
    return {};
  }
  const plan::RoundPlanFields fields = plan.fields();
  report(event::RoundStarted{.round = fields.round,
                             .cohort = fields.cohort,
                             .purpose = fields.purpose,
                             .model_version = fields.model_version,
                             .upload_size = plan.layout().packed_size()});
  Preparing preparing{.plan = std::move(plan),
                      .h0 = crypto::sha256(manifest.plan.document),
                      .revoked = *revoked,
                      .arrived = now.moment,
                      .deadline = now.moment + fields.deadlines[0]};
  phase_ = std::move(preparing);
  if (held_ && held_->version == fields.model_version) return prepare(now);
  if (!download_) fetch(*wanted_, now);  // consider() found the version there; prepare() follows its last piece
  return {};
}

Result<Update> Participant::compute(const plan::RoundPlan& plan) const {
  CHORUS_TRY(const auto stored, setup_.store.model());
  CHORUS_TRY(const auto catalogue_bytes, setup_.store.catalogue());
  if (!stored || !catalogue_bytes || crypto::sha256(stored->tensors) != held_->tensors) {
    return fail(ErrorCode::corrupt, "the stored model is not the one that was accepted");
  }
  CHORUS_TRY(const auto shared, model::TensorSet::decode(stored->tensors));
  CHORUS_TRY(const auto catalogue, dataset::Catalogue::decode(catalogue_bytes->bytes));
  CHORUS_TRY(const StoredRatings ratings, setup_.store.ratings());
  const DeviceData data = make_device_data(ratings, catalogue, model_->shape().items, job_->contract);
  return make_update(*model_, plan.fields().purpose, shared, data, plan.fields().local_noise, setup_.random);
}

Status Participant::prepare(Now now) {
  auto& preparing = std::get<Preparing>(phase_);
  const plan::RoundPlanFields& fields = preparing.plan.fields();
  // Errors of this device are none of the coordinator's business: it hears that the device is out, and no more.
  const auto give_up = [&](Error error) {
    const ErrorCode said = error.code() == ErrorCode::non_finite ? ErrorCode::non_finite : ErrorCode::aborted;
    send(protocol::Decline{.session = fields.session, .code = said, .sentence = "this device cannot contribute"});
    report(event::Declined{.round = fields.round, .error = error});
    end(std::move(error));
    return Status{};
  };
  auto update = compute(preparing.plan);
  if (!update) return give_up(std::move(update).error());
  Participation reserved{.round = fields.round,
                         .cohort = fields.cohort,
                         .purpose = fields.purpose,
                         .model_version = fields.model_version,
                         .model_id = fields.model_id,
                         .when = now.wall,
                         .bytes_up = update->packed.size(),
                         .bytes_down = std::exchange(bytes_down_, 0),
                         .ending = Ending::withheld};
  // Durable before anything leaves: after a crash this round is never entered again.
  if (Status status = setup_.store.reserve(reserved); !status) return give_up(std::move(status).error());
  const plan::UpdateLayout layout = preparing.plan.layout();
  const secagg::Roster::Bounds bounds{.least_members = fields.least_members,
                                      .most_members = fields.most_members,
                                      .corrupt = fields.corrupt,
                                      .dropout = fields.dropout};
  auto round =
      std::make_unique<OpenRound>(preparing.plan, preparing.deadline, std::move(reserved), std::move(preparing.revoked),
                                  setup_.store, setup_.policy.ledger_limits(), update->squared_sensitivity);
  const identity::Certificate& authority = setup_.membership.authority();
  round->member.emplace(SumTerms{.h0 = preparing.h0, .layout = layout, .bounds = bounds},
                        SumIdentity{&setup_.membership.statement(), &setup_.membership.key()},
                        secagg::AdmissionRules{.authority = authority.info().key,
                                               .now = now.wall,
                                               .least_age = setup_.policy.consent().least_identity_age,
                                               .revoked = &round->revoked},
                        setup_.verified, std::move(update->packed), setup_.random, round->promises);
  preparing.round = std::move(round);
  return {};
}

Status Participant::advertise(Now now) {
  auto& preparing = std::get<Preparing>(phase_);
  if (!preparing.slot) {
    const auto slots = (now.moment - preparing.arrived + kSlot - Duration(1)) / kSlot;
    preparing.slot = preparing.arrived + std::max<Duration::rep>(slots, 1) * kSlot;
    if (now.moment < *preparing.slot) return {};
  }
  const ByteArray<32> session = preparing.plan.fields().session;
  const Duration wait = preparing.plan.fields().deadlines[0];
  setup_.round = std::move(preparing.round);
  phase_ = InRound{};
  setup_.round->deadline = now.moment + wait + kSlack;
  say(protocol::Advertise{.session = session, .body = setup_.round->member->advertise()});
  return {};
}

void Participant::say(protocol::Message message) {
  setup_.round->answer = message;
  send(std::move(message));
}

Status Participant::leave(const Error& error) {
  const auto* preparing = std::get_if<Preparing>(&phase_);
  const plan::RoundPlanFields& fields = preparing ? preparing->plan.fields() : setup_.round->plan.fields();
  const RoundId round = fields.round;
  send(protocol::Decline{.session = fields.session, .code = error.code(), .sentence = error.sentence()});
  report(event::Declined{.round = round, .error = error});
  forget_round(Ending::withheld, error.to_string());
  // What another member or the coordinator did wrong in this round is no reason to stay away for good.
  end(Error(ErrorCode::aborted,
            fmt::format("left round {}: {} ({})", round.value(), error.sentence(), to_string(error.code()))));
  return {};
}

void Participant::forget_round(Ending ending, const std::string& reason) {
  if (!setup_.round) return;
  Participation line = setup_.round->line;
  line.ending = setup_.round->promises.charged() ? Ending::lost : ending;
  line.reason = reason.substr(0, protocol::kMaxSentence);
  // The promises stand whether or not the history tells why.
  [[maybe_unused]] const Status told = setup_.store.finish(line);
  setup_.round.reset();
}

template <typename Take, typename Answer>
Status Participant::take_step(const ByteArray<32>& session, ByteView body, Now now, Take take, Answer answer) {
  OpenRound& round = *setup_.round;
  if (session != round.plan.fields().session) {
    return fail(ErrorCode::stale_round, "the coordinator sent a step of another round");
  }
  auto said = take(*round.member, body);
  if (!said) return leave(said.error());
  if (!*said) {
    // A repeat. Ignored, unless the answer to it was on its way when a connection broke.
    if (!std::exchange(round.answer_again, false)) return {};
    if (round.member->state() == SumMember::State::uploaded) {
      hand_out();
    } else {
      send(*round.answer);
    }
    return {};
  }
  round.answer_again = false;
  const auto phase = static_cast<std::size_t>(round.member->state()) - 1;  // shared: 1 … unmasked: 4
  round.deadline = now.moment + round.plan.fields().deadlines[phase] + kSlack;
  return answer(round, std::move(**said));
}

Status Participant::on(const protocol::Roster& roster, Now now) {
  return take_step(
      roster.session, roster.body, now, [](SumMember& member, ByteView body) { return member.on_roster(body); },
      [&](OpenRound&, Bytes shares) -> Status {
        say(protocol::Shares{.session = roster.session, .body = std::move(shares)});
        return {};
      });
}

Status Participant::on(const protocol::Delivery& delivery, Now now) {
  return take_step(
      delivery.session, delivery.body, now, [](SumMember& member, ByteView body) { return member.on_delivery(body); },
      [&](OpenRound& round, MaskedUpdate masked) -> Status {
        round.vector = std::move(masked.vector);
        round.answer = protocol::Masked{.session = delivery.session, .body = std::move(masked.end)};
        hand_out();
        return {};
      });
}

Status Participant::on(const protocol::Survivors& survivors, Now now) {
  return take_step(
      survivors.session, survivors.body, now,
      [](SumMember& member, ByteView body) { return member.on_survivors(body); },
      [&](OpenRound& round, Bytes vote) -> Status {
        round.vector = {};
        say(protocol::Vote{.session = survivors.session, .body = std::move(vote)});
        return {};
      });
}

Status Participant::on(const protocol::Certificate& certificate, Now now) {
  return take_step(
      certificate.session, certificate.body, now,
      [](SumMember& member, ByteView body) { return member.on_certificate(body); },
      [&](OpenRound& round, Bytes openings) -> Status {
        // The coordinator has masks to remove and a model to make.
        round.deadline += setup_.policy.floors().longest_phase;
        say(protocol::Openings{.session = certificate.session, .body = std::move(openings)});
        return {};
      });
}

void Participant::hand_out() {
  OpenRound& round = *setup_.round;
  if (round.handed_out == round.vector.size()) {
    round.delivered = true;
    send(*round.answer);
    return;
  }
  const std::size_t length = std::min(protocol::kChunkSize, round.vector.size() - round.handed_out);
  const auto from = round.vector.begin() + static_cast<std::ptrdiff_t>(round.handed_out);
  send(protocol::Update{.session = round.plan.fields().session,
                        .offset = round.handed_out,
                        .total = round.vector.size(),
                        .data = Bytes(from, from + static_cast<std::ptrdiff_t>(length))});
  round.handed_out += length;
}

Status Participant::on(const protocol::Resumed& resumed, Now now) {
  OpenRound& round = *setup_.round;
  if (resumed.session != round.plan.fields().session) {
    return fail(ErrorCode::stale_round, "the coordinator resumed another round");
  }
  if (!resumed.in_round) {
    const Error over(ErrorCode::closed, "the round went on without this device");
    report(event::Declined{.round = round.line.round, .error = over});
    forget_round(Ending::withheld, over.sentence());
    return settle(now);
  }
  if (resumed.received > round.vector.size()) {
    return fail(ErrorCode::malformed, "the coordinator has more of the update than there is");
  }
  phase_ = InRound{};
  round.answer_again = true;
  round.handed_out = static_cast<std::size_t>(resumed.received);
  round.delivered = round.member->state() > SumMember::State::uploaded;
  // Everybody else's present step comes again; a leaf is asked for by nothing but the plan.
  if (round.member->state() == SumMember::State::advertised) send(*round.answer);
  return {};
}

Status Participant::on(const protocol::Result& message, Now now) {
  CHORUS_TRY_DO(check_signed(protocol::kResultLabel, message.result, setup_.coordinator));
  CHORUS_TRY(const auto result, protocol::RoundResult::decode(message.result.document));
  const auto* preparing = std::get_if<Preparing>(&phase_);
  const plan::RoundPlanFields& fields = preparing ? preparing->plan.fields() : setup_.round->plan.fields();
  if (result.session != fields.session || result.round != fields.round || result.cohort != fields.cohort) {
    return fail(ErrorCode::stale_round, "the coordinator sent the result of another round or cohort");
  }
  bool delivered = false;
  std::optional<Participation> line;
  if (preparing != nullptr) {
    if (preparing->round) line = preparing->round->line;
  } else {
    delivered = setup_.round->delivered;
    line = setup_.round->line;
    if (setup_.round->member->state() == SumMember::State::unmasked) {
      CHORUS_TRY_DO(setup_.round->member->finish());
    }
  }
  if (line) {
    line->members = result.members;
    line->survivors = result.survivors;
    line->reason = result.reason;
    const bool charged = setup_.round && setup_.round->promises.charged();
    line->ending = result.outcome == protocol::Outcome::aborted     ? (charged ? Ending::aborted : Ending::withheld)
                   : !charged                                       ? Ending::withheld
                   : result.outcome == protocol::Outcome::published ? Ending::published
                                                                    : Ending::measured;
    CHORUS_TRY_DO(setup_.store.finish(*line));
  }
  setup_.round.reset();
  const bool completed = delivered && result.outcome != protocol::Outcome::aborted;
  if (completed && setup_.rounds && *setup_.rounds > 0) --*setup_.rounds;
  expected_version_ = result.version;
  phase_ = Synchronizing{};
  report(event::RoundEnded{.result = result, .delivered = delivered});
  return settle(now);
}

}  // namespace chorus::client
