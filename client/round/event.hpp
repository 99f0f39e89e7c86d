// What a device tells whoever watches it: progress for a terminal, an app or a simulation. Nothing in an event says
// anything about the user's ratings.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "common/base/error.hpp"
#include "common/base/id.hpp"
#include "common/plan/round_plan.hpp"
#include "common/protocol/messages.hpp"

namespace chorus::client::event {

struct Connected {
  std::string endpoint;  // "coordinator.example:7443"
};
struct Joined {  // the coordinator's welcome was accepted
  std::string job;
  bool first_contact = false;  // its key was pinned now
};
struct Downloading {
  protocol::BlobKind kind = protocol::BlobKind::model;
  std::uint64_t received = 0;
  std::uint64_t total = 0;
};
struct ModelAccepted {  // verified and stored
  ModelVersion version;
  std::uint64_t training_rounds = 0;
};
struct Synced {  // catalogue and model are the latest known; absent version: nothing is published yet
  std::optional<ModelVersion> version;
};
struct Waiting {
  std::uint32_t devices_ready = 0;
  std::uint32_t devices_needed = 0;
};
struct RoundStarted {
  RoundId round;
  CohortId cohort;
  plan::Purpose purpose = plan::Purpose::train;
  ModelVersion model_version;
  std::uint64_t upload_size = 0;  // bytes
};
struct Uploaded {
  std::uint64_t sent = 0;
  std::uint64_t total = 0;
};
struct StepSent {  // this device's message of one step of the round's secure sum has been written
  RoundId round;
  CohortId cohort;
  protocol::MessageType step = protocol::MessageType::advertise;
};
struct RoundEnded {
  protocol::RoundResult result;
  bool delivered = false;  // the whole update had been sent
};
struct Declined {  // the device's policy refused this round
  RoundId round;   // 0: its plan could not be read
  Error error;
};
struct JobFinished {};
struct Retrying {  // the connection ended; the next attempt comes after `delay`
  Error error;
  std::chrono::milliseconds delay{0};
};

}  // namespace chorus::client::event

namespace chorus::client {

using Event = std::variant<event::Connected, event::Joined, event::Downloading, event::ModelAccepted, event::Synced,
                           event::Waiting, event::RoundStarted, event::Uploaded, event::StepSent, event::RoundEnded,
                           event::Declined, event::JobFinished, event::Retrying>;

}  // namespace chorus::client
