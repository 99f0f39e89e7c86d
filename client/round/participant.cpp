// The conversation: which message moves which phase where. What the documents must satisfy is in
// participant_documents.cpp.
#include "client/round/participant.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

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
                                 .most_coordinates = plan::UpdateLayout::kMaxCoordinates,
                                 .longest_phase = std::chrono::hours(24)};

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

template <typename Step>
Actions Participant::act(Step&& step) {
  actions_.clear();
  if (ended()) return {};
  if (Status status = step(); !status) end(std::move(status).error());
  return std::exchange(actions_, {});
}

void Participant::end(Error error, std::chrono::milliseconds retry_after) {
  phase_ = Ended{};
  download_.reset();
  actions_.emplace_back(End{std::move(error), retry_after});
}

Actions Participant::start(Now now) {
  phase_ = Greeting{now.moment + kWelcomeTimeout};
  return act([&]() -> Status {
    CHORUS_TRY(const auto pinned, setup_.store.coordinator_key());
    if (pinned && *pinned != setup_.coordinator) {
      return fail(ErrorCode::bad_key,
                  "the coordinator's key is not the one that this device trusts since its first contact; if the "
                  "coordinator was replaced on purpose, leave the job and join it again");
    }
    send(protocol::Hello{.job = setup_.job});
    return {};
  });
}

Actions Participant::receive(const protocol::Message& message, Now now) {
  return act([&]() -> Status {
    if (!protocol::accepts(phase(), protocol::type_of(message))) {
      return fail(ErrorCode::out_of_phase, fmt::format("the coordinator sent a '{}' out of its turn",
                                                       protocol::to_string(protocol::type_of(message))));
    }
    return std::visit(Overloaded{
                          [](const protocol::Hello&) -> Status { return {}; },  // these five are never accepted here
                          [](const protocol::Fetch&) -> Status { return {}; },
                          [](const protocol::Ready&) -> Status { return {}; },
                          [](const protocol::Decline&) -> Status { return {}; },
                          [](const protocol::Update&) -> Status { return {}; },
                          [&](const auto& from_coordinator) -> Status { return on(from_coordinator, now); },
                      },
                      message);
  });
}

protocol::DevicePhase Participant::phase() const {
  return std::visit(Overloaded{
                        [](const Greeting&) { return protocol::DevicePhase::greeting; },
                        [](const Synchronizing&) { return protocol::DevicePhase::synchronizing; },
                        [](const Inviting&) { return protocol::DevicePhase::ready; },
                        [](const Contributing&) { return protocol::DevicePhase::contributing; },
                        [](const Awaiting&) { return protocol::DevicePhase::awaiting; },
                        [](const Ended&) -> protocol::DevicePhase {
                          CHORUS_ENSURE(false, "an ended conversation has no phase");
                          std::unreachable();
                        },
                    },
                    phase_);
}

std::uint32_t Participant::accepted() const {
  const protocol::DevicePhase now = phase();
  std::uint32_t types = protocol::kDeviceAccepts[static_cast<std::size_t>(now)];
  // A deadline may end the wait for a version and ask for an invitation; written() only narrows what may come.
  if (now == protocol::DevicePhase::synchronizing) {
    types |= protocol::kDeviceAccepts[static_cast<std::size_t>(protocol::DevicePhase::ready)];
  }
  return types;
}

std::optional<Moment> Participant::next_deadline() const {
  const std::optional<Moment> own =
      std::visit(Overloaded{
                     [](const Greeting& greeting) -> std::optional<Moment> { return greeting.deadline; },
                     [](const Synchronizing& synchronizing) { return synchronizing.publish_deadline; },
                     [](const Contributing& contributing) -> std::optional<Moment> { return contributing.deadline; },
                     [](const Awaiting& awaiting) -> std::optional<Moment> { return awaiting.deadline; },
                     [](const auto&) -> std::optional<Moment> { return std::nullopt; },
                 },
                 phase_);
  return download_ ? sooner(own, download_->deadline) : own;
}

Actions Participant::expire(Now now) {
  return act([&]() -> Status {
    if (const auto deadline = next_deadline(); !deadline || now.moment < *deadline) return {};
    if (download_ && now.moment >= download_->deadline) {
      return fail(ErrorCode::timeout, "the coordinator stopped sending what this device fetches");
    }
    return std::visit(
        Overloaded{
            [](const Greeting&) -> Status { return fail(ErrorCode::timeout, "the coordinator did not answer"); },
            [&](const Synchronizing&) -> Status {
              // The version that the result named never came: go on with the one that is here.
              expected_version_.reset();
              return settle(now);
            },
            [](const Contributing& contributing) -> Status {
              return fail(ErrorCode::late,
                          fmt::format("the update of round {} was not through before the round's deadline",
                                      contributing.plan.fields().round.value()));
            },
            [](const Awaiting& awaiting) -> Status {
              return fail(ErrorCode::timeout,
                          fmt::format("no result of round {} came", awaiting.plan.fields().round.value()));
            },
            [](const auto&) -> Status { return {}; },
        },
        phase_);
  });
}

Status Participant::on(const protocol::Welcome& welcome, Now now) {
  CHORUS_TRY_DO(adopt(welcome.job));
  CHORUS_TRY_DO(offer_catalogue(welcome.catalogue));
  if (welcome.model) CHORUS_TRY_DO(offer_model(*welcome.model));
  // Everything that this welcome says holds together: now, and only at the first contact, it is believed for good.
  if (first_contact_) CHORUS_TRY_DO(setup_.store.join(setup_.coordinator, welcome.job));
  report(event::Joined{.job = job_->name, .first_contact = first_contact_});
  finished_ = welcome.finished;
  return settle(now);
}

Status Participant::settle(Now now) {
  if (!std::holds_alternative<Inviting>(phase_)) phase_ = Synchronizing{};
  if (download_) return {};
  if (wanted_catalogue_) {
    fetch(*wanted_catalogue_, now);
    return {};
  }
  if (wanted_) {
    fetch(*wanted_, now);
    return {};
  }
  if (expected_version_ && (!held_ || held_->version < *expected_version_)) {
    phase_ = Synchronizing{.publish_deadline = now.moment + kPublishTimeout};
    return {};
  }
  expected_version_.reset();
  report(event::Synced{.version = held_ ? std::optional(held_->version) : std::nullopt});
  if (finished_ && !told_finished_) report(event::JobFinished{});
  told_finished_ = finished_;
  if (std::holds_alternative<Inviting>(phase_) || finished_ || setup_.rounds == 0U) return {};
  phase_ = Inviting{};
  send(protocol::Ready{.model_version = held_ ? held_->version : ModelVersion(), .has_model = held_.has_value()});
  return {};
}

Status Participant::on(const protocol::Waiting& waiting, Now) {
  report(event::Waiting{.devices_ready = waiting.devices_ready, .devices_needed = waiting.devices_needed});
  return {};
}

Status Participant::on(const protocol::Published& published, Now now) {
  CHORUS_TRY_DO(offer_model(published.model));
  // In a round the update comes first; the new version is fetched after the result.
  if (std::holds_alternative<Contributing>(phase_) || std::holds_alternative<Awaiting>(phase_)) return {};
  return settle(now);
}

Status Participant::on(const protocol::Finished&, Now now) {
  finished_ = true;
  if (std::holds_alternative<Contributing>(phase_) || std::holds_alternative<Awaiting>(phase_)) return {};
  phase_ = Synchronizing{};
  return settle(now);
}

Status Participant::on(const protocol::Refusal& refusal, Now) {
  end(Error(refusal.code, "the coordinator refused: " + refusal.sentence), refusal.retry_after);
  return {};
}

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

void Participant::decline(const plan::RoundPlan& plan, const Error& error) {
  send(protocol::Decline{.session = plan.fields().session, .code = error.code(), .sentence = error.sentence()});
  report(event::Declined{.round = plan.fields().round, .error = error});
  end(error);
}

Status Participant::on(const protocol::Manifest& manifest, Now now) {
  CHORUS_TRY_DO(check_signed(protocol::kManifestLabel, manifest.plan, setup_.coordinator));
  CHORUS_TRY(plan::RoundPlan plan, plan::RoundPlan::decode(manifest.plan.document, kReadable));
  if (const Status agreed = consider(plan); !agreed) {
    decline(plan, agreed.error());
    return {};
  }
  const plan::RoundPlanFields fields = plan.fields();
  report(event::RoundStarted{.round = fields.round,
                             .cohort = fields.cohort,
                             .purpose = fields.purpose,
                             .model_version = fields.model_version,
                             .upload_size = plan.layout().packed_size()});
  phase_ = Contributing{.plan = std::move(plan), .deadline = now.moment + fields.upload_deadline};
  if (held_ && held_->version == fields.model_version) return contribute(now);
  if (!download_) fetch(*wanted_, now);  // consider() found the version there; contribute() follows its last piece
  return {};
}

Result<crypto::ZeroizingBytes> Participant::compute(const plan::RoundPlan& plan) const {
  CHORUS_TRY(const auto stored, setup_.store.model());
  CHORUS_TRY(const auto catalogue_bytes, setup_.store.catalogue());
  if (!stored || !catalogue_bytes || crypto::sha256(stored->tensors) != held_->tensors) {
    return fail(ErrorCode::corrupt, "the stored model is not the one that was accepted");
  }
  CHORUS_TRY(const auto shared, model::TensorSet::decode(stored->tensors));
  CHORUS_TRY(const auto catalogue, dataset::Catalogue::decode(catalogue_bytes->bytes));
  CHORUS_TRY(const StoredRatings ratings, setup_.store.ratings());
  const DeviceData data = make_device_data(ratings, catalogue, model_->shape().items, job_->contract);
  ring::EncodeCounts counts;
  return make_update(*model_, plan.fields().purpose, shared, data, counts);
}

Status Participant::contribute(Now now) {
  auto& contributing = std::get<Contributing>(phase_);
  const plan::RoundPlanFields& fields = contributing.plan.fields();
  // Errors of this device are none of the coordinator's business: it hears that the device is out, and no more.
  const auto give_up = [&](Error error) {
    const ErrorCode said = error.code() == ErrorCode::non_finite ? ErrorCode::non_finite : ErrorCode::aborted;
    send(protocol::Decline{.session = fields.session, .code = said, .sentence = "this device cannot contribute"});
    report(event::Declined{.round = fields.round, .error = error});
    end(std::move(error));
    return Status{};
  };
  auto update = compute(contributing.plan);
  if (!update) return give_up(std::move(update).error());
  Participation reserved{.round = fields.round,
                         .cohort = fields.cohort,
                         .purpose = fields.purpose,
                         .model_version = fields.model_version,
                         .model_id = fields.model_id,
                         .when = now.wall,
                         .bytes_up = update->size(),
                         .bytes_down = std::exchange(bytes_down_, 0)};
  // Durable before the first byte leaves: after a crash this round is never given a second update.
  if (Status status = setup_.store.reserve(reserved); !status) return give_up(std::move(status).error());
  contributing.reserved = std::move(reserved);
  contributing.update = std::move(*update);
  contributing.size = contributing.update.size();
  hand_out();
  return {};
}

void Participant::hand_out() {
  auto& contributing = std::get<Contributing>(phase_);
  const std::size_t offset = contributing.handed_out;
  const std::size_t length = std::min(protocol::kChunkSize, contributing.size - offset);
  const auto from = contributing.update.begin() + static_cast<std::ptrdiff_t>(offset);
  send(protocol::Update{.session = contributing.plan.fields().session,
                        .offset = offset,
                        .total = contributing.size,
                        .data = Bytes(from, from + static_cast<std::ptrdiff_t>(length))});
  contributing.handed_out += length;
  if (contributing.handed_out == contributing.size) contributing.update = {};
}

Actions Participant::written(Now now) {
  return act([&]() -> Status {
    auto* contributing = std::get_if<Contributing>(&phase_);
    // A result that came while the piece was being written has ended the phase.
    if (contributing == nullptr || !contributing->reserved || contributing->delivered) return {};
    report(event::Uploaded{.sent = contributing->handed_out, .total = contributing->size});
    if (contributing->handed_out < contributing->size) {
      hand_out();
      return {};
    }
    contributing->delivered = true;
    // A download that is under way still ends in this phase: Awaiting takes no pieces.
    if (!download_) {
      phase_ = Awaiting{.plan = std::move(contributing->plan),
                        .deadline = now.moment + setup_.policy.floors().longest_phase,
                        .reserved = std::move(*contributing->reserved)};
    } else {
      contributing->deadline = now.moment + setup_.policy.floors().longest_phase;
    }
    return {};
  });
}

Status Participant::on(const protocol::Result& message, Now now) {
  CHORUS_TRY_DO(check_signed(protocol::kResultLabel, message.result, setup_.coordinator));
  CHORUS_TRY(const auto result, protocol::RoundResult::decode(message.result.document));
  auto* contributing = std::get_if<Contributing>(&phase_);
  auto* awaiting = std::get_if<Awaiting>(&phase_);
  const plan::RoundPlanFields& fields = contributing ? contributing->plan.fields() : awaiting->plan.fields();
  if (result.session != fields.session || result.round != fields.round || result.cohort != fields.cohort) {
    return fail(ErrorCode::stale_round, "the coordinator sent the result of another round or cohort");
  }
  const bool delivered = awaiting != nullptr || contributing->delivered;
  std::optional<Participation> line = contributing ? std::move(contributing->reserved) : std::move(awaiting->reserved);
  if (line) {
    line->members = result.members;
    line->survivors = result.survivors;
    line->reason = result.reason;
    line->ending = result.outcome == protocol::Outcome::published  ? Ending::published
                   : result.outcome == protocol::Outcome::measured ? Ending::measured
                                                                   : Ending::aborted;
    CHORUS_TRY_DO(setup_.store.finish(*line));
  }
  const bool completed = delivered && result.outcome != protocol::Outcome::aborted;
  if (completed && setup_.rounds && *setup_.rounds > 0) --*setup_.rounds;
  expected_version_ = result.version;
  phase_ = Synchronizing{};
  report(event::RoundEnded{.result = result, .delivered = delivered});
  return settle(now);
}

}  // namespace chorus::client
