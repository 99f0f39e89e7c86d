// The conversation: which message moves which phase where. What the documents must satisfy is in
// participant_documents.cpp, what happens in a round in participant_round.cpp.
#include "client/round/participant.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::client {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

template <typename Step>
Actions Participant::act(Step&& step) {
  actions_.clear();
  if (ended()) return {};
  if (Status status = step(); !status) {
    forget_round(Ending::withheld, status.error().to_string());
    end(std::move(status).error());
  }
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
                          // What only devices say is accepted in no phase.
                          [](const protocol::Hello&) -> Status { return {}; },
                          [](const protocol::Fetch&) -> Status { return {}; },
                          [](const protocol::Ready&) -> Status { return {}; },
                          [](const protocol::Decline&) -> Status { return {}; },
                          [](const protocol::Update&) -> Status { return {}; },
                          [](const protocol::Advertise&) -> Status { return {}; },
                          [](const protocol::Shares&) -> Status { return {}; },
                          [](const protocol::Masked&) -> Status { return {}; },
                          [](const protocol::Vote&) -> Status { return {}; },
                          [](const protocol::Openings&) -> Status { return {}; },
                          [](const protocol::Resume&) -> Status { return {}; },
                          [&](const auto& from_coordinator) -> Status { return on(from_coordinator, now); },
                      },
                      message);
  });
}

protocol::DevicePhase Participant::phase() const {
  using protocol::DevicePhase;
  return std::visit(Overloaded{
                        [](const Greeting&) { return DevicePhase::greeting; },
                        [](const Synchronizing&) { return DevicePhase::synchronizing; },
                        [](const Inviting&) { return DevicePhase::ready; },
                        [](const Preparing&) { return DevicePhase::preparing; },
                        [](const Resuming&) { return DevicePhase::resuming; },
                        [&](const InRound&) {
                          switch (setup_.round->member->state()) {
                            case SumMember::State::advertised:
                              return DevicePhase::advertised;
                            case SumMember::State::shared:
                              return DevicePhase::shared;
                            case SumMember::State::uploaded:
                              return DevicePhase::uploaded;
                            case SumMember::State::voted:
                              return DevicePhase::voted;
                            default:
                              return DevicePhase::unmasked;
                          }
                        },
                        [](const Ended&) -> DevicePhase {
                          CHORUS_ENSURE(false, "an ended conversation has no phase");
                          std::unreachable();
                        },
                    },
                    phase_);
}

std::uint32_t Participant::accepted() const {
  const auto types_of = [](protocol::DevicePhase phase) {
    return protocol::kDeviceAccepts[static_cast<std::size_t>(phase)];
  };
  const protocol::DevicePhase now = phase();
  // A deadline may end the wait for a version and ask for an invitation, or send the leaf.
  if (now == protocol::DevicePhase::synchronizing) return types_of(now) | types_of(protocol::DevicePhase::ready);
  if (now == protocol::DevicePhase::preparing) return types_of(now) | types_of(protocol::DevicePhase::advertised);
  return types_of(now);
}

std::optional<Moment> Participant::next_deadline() const {
  const std::optional<Moment> own =
      std::visit(Overloaded{
                     [](const Greeting& greeting) -> std::optional<Moment> { return greeting.deadline; },
                     [](const Synchronizing& synchronizing) { return synchronizing.publish_deadline; },
                     [](const Preparing& preparing) -> std::optional<Moment> {
                       return preparing.round ? preparing.slot.value_or(preparing.arrived) : preparing.deadline;
                     },
                     [&](const InRound&) -> std::optional<Moment> { return setup_.round->deadline; },
                     [](const Resuming& resuming) -> std::optional<Moment> { return resuming.deadline; },
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
    if (std::holds_alternative<Synchronizing>(phase_)) {
      // The version that the result named never came: go on with the one that is here.
      expected_version_.reset();
      return settle(now);
    }
    if (auto* preparing = std::get_if<Preparing>(&phase_)) {
      if (!preparing->round) {
        return leave(Error(ErrorCode::late, fmt::format("the model of round {} was not here before its deadline",
                                                        preparing->plan.fields().round.value())));
      }
      return advertise(now);
    }
    if (std::holds_alternative<InRound>(phase_)) {
      return leave(Error(ErrorCode::timeout,
                         fmt::format("the coordinator fell silent in round {}", setup_.round->line.round.value())));
    }
    return fail(ErrorCode::timeout, "the coordinator did not answer");
  });
}

Actions Participant::written(protocol::MessageType type, Now) {
  return act([&]() -> Status {
    using enum protocol::MessageType;
    // A result that came while the message was being written has ended the round.
    if (!std::holds_alternative<InRound>(phase_)) return {};
    if (type == advertise || type == shares || type == masked || type == vote || type == openings) {
      report(event::StepSent{.round = setup_.round->line.round, .cohort = setup_.round->line.cohort, .step = type});
      return {};
    }
    // Survivors that came while the piece was being written have ended this device's upload.
    if (type != update || setup_.round->member->state() != SumMember::State::uploaded || setup_.round->delivered) {
      return {};
    }
    report(event::Uploaded{.sent = setup_.round->handed_out, .total = setup_.round->vector.size()});
    hand_out();
    return {};
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
  if (!setup_.round) return settle(now);
  phase_ = Resuming{.deadline = now.moment + kWelcomeTimeout};
  send(protocol::Resume{.session = setup_.round->plan.fields().session});
  return {};
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
  // A round comes first; the new version is fetched after its result.
  if (in_round()) return {};
  return settle(now);
}

Status Participant::on(const protocol::Finished&, Now now) {
  finished_ = true;
  if (in_round()) return {};
  phase_ = Synchronizing{};
  return settle(now);
}

Status Participant::on(const protocol::Refusal& refusal, Now) {
  end(Error(refusal.code, "the coordinator refused: " + refusal.sentence), refusal.retry_after);
  // In the handshake both sides' certificates were in date: the other clock has jumped, and may be set right again.
  std::get<End>(actions_.back()).clocks_differ =
      refusal.code == ErrorCode::not_yet_valid || refusal.code == ErrorCode::expired;
  return {};
}

}  // namespace chorus::client
