// The device's half of a conversation, sans-IO: messages and the time in, actions out. The phases are those of
// common/protocol/phases.hpp, each a struct that owns what the phase may know:
//
//   Greeting ──Welcome──▶ Synchronizing ──all there──▶ Inviting ──Manifest──▶ Preparing ──leaf sent──▶ InRound
//      │                       ▲                                                  │ (aborted early)      │  ▲
//      │                       └──────────────────────────────Result──────────────┴──────────────────────┘  │
//      └──Welcome, with a round open──▶ Resuming ──Resumed──────────────────────────────────────────────────┘
//
// InRound delegates to client/round/sum_member, whose state is the phase. Any error, a Decline and a Refusal lead to
// Ended. An error that this side finds also ends the round and wipes what it held; a connection that breaks does not.
// Every document is verified before it is believed, and stored before it is used; a round is reserved durably before
// this device's leaf is sent, and charged before the first piece of an update is.
//
// Not thread-safe. Not copyable. Uses the store synchronously; computes the update inside receive().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "client/policy/policy.hpp"
#include "client/round/action.hpp"
#include "client/round/membership.hpp"
#include "client/round/open_round.hpp"
#include "client/store/store.hpp"
#include "client/train/device_data.hpp"
#include "common/base/time.hpp"
#include "common/crypto/secret_bytes.hpp"
#include "common/crypto/signature.hpp"
#include "common/model/model.hpp"
#include "common/protocol/job_description.hpp"
#include "common/protocol/messages.hpp"
#include "common/protocol/phases.hpp"

namespace chorus::client {

struct ParticipantSetup {
  Store& store;                       // these five outlive the participant
  std::unique_ptr<OpenRound>& round;  // empty, or a round from the conversation before
  const Membership& membership;
  secagg::VerifiedStatements& verified;
  crypto::RandomSource& random;
  Policy policy;
  crypto::PublicKey coordinator{};      // the key of the certificate at the other end
  std::string job;                      // empty: the coordinator's only one
  std::optional<std::uint64_t> rounds;  // complete this many and ask for no more; 0: only fetch; absent: no end
};

class Participant {
 public:
  explicit Participant(ParticipantSetup setup) : setup_(std::move(setup)) {}

  // Once, when the connection is up. Ends with bad_key if the store has pinned another coordinator.
  [[nodiscard]] Actions start(Now now);
  // A message that came. One that the phase does not accept ends the conversation: out_of_phase.
  [[nodiscard]] Actions receive(const protocol::Message& message, Now now);
  // A message of this type, the one that was sent first of those not yet written, has been written. After an Update
  // comes the next piece.
  [[nodiscard]] Actions written(protocol::MessageType type, Now now);
  // next_deadline() has passed.
  [[nodiscard]] Actions expire(Now now);
  [[nodiscard]] std::optional<Moment> next_deadline() const;

  // REQUIRES: !ended().
  [[nodiscard]] protocol::DevicePhase phase() const;
  // The types (protocol::message_bit) that may come until the next message has come: also those of the phase that a
  // deadline or written() may lead to in the meantime.
  [[nodiscard]] std::uint32_t accepted() const;
  [[nodiscard]] bool ended() const noexcept { return std::holds_alternative<Ended>(phase_); }

  static constexpr Duration kWelcomeTimeout = 30s;
  static constexpr Duration kBlobTimeout = 60s;     // between two pieces of a download
  static constexpr Duration kPublishTimeout = 30s;  // from a Result to the version that it names
  // A device's leaf leaves a multiple of this after its plan came: how long the solve took would say how many items the
  // user rated.
  static constexpr Duration kSlot = 250ms;

 private:
  struct Greeting {
    Moment deadline;
  };
  struct Synchronizing {
    std::optional<Moment> publish_deadline;  // until when the version that a Result named is waited for
  };
  struct Inviting {};
  struct Preparing {
    plan::RoundPlan plan;
    Digest h0{};
    identity::RevocationList revoked;
    Moment arrived;
    Moment deadline;
    std::unique_ptr<OpenRound> round{};  // once the update is solved
    std::optional<Moment> slot{};        // when the leaf is due; known at the first expire() after the solve
  };
  struct InRound {};  // setup_.round says where
  struct Resuming {
    Moment deadline;
  };
  struct Ended {};
  using Phase = std::variant<Greeting, Synchronizing, Inviting, Preparing, InRound, Resuming, Ended>;

  template <typename Document>
  struct Verified {
    protocol::Signed signed_document;
    Document header;
  };
  using CatalogueOffer = Verified<protocol::CatalogueHeader>;
  using ModelOffer = Verified<protocol::ModelHeader>;
  struct Download {
    std::variant<CatalogueOffer, ModelOffer> offer;
    Bytes received;
    Moment deadline;
  };

  // Runs `step`; an error becomes End.
  template <typename Step>
  Actions act(Step&& step);
  void report(Event event) { actions_.emplace_back(Report{std::move(event)}); }
  void send(protocol::Message message) { actions_.emplace_back(Send{std::move(message)}); }
  void end(Error error, std::chrono::milliseconds retry_after = std::chrono::milliseconds{0});

  Status on(const protocol::Welcome& welcome, Now now);
  Status on(const protocol::Blob& blob, Now now);
  Status on(const protocol::Waiting& waiting, Now now);
  Status on(const protocol::Manifest& manifest, Now now);
  Status on(const protocol::Roster& roster, Now now);
  Status on(const protocol::Delivery& delivery, Now now);
  Status on(const protocol::Survivors& survivors, Now now);
  Status on(const protocol::Certificate& certificate, Now now);
  Status on(const protocol::Resumed& resumed, Now now);
  Status on(const protocol::Result& result, Now now);
  Status on(const protocol::Published& published, Now now);
  Status on(const protocol::Finished& finished, Now now);
  Status on(const protocol::Refusal& refusal, Now now);

  Status adopt(const protocol::Signed& job);
  Status offer_catalogue(const protocol::Signed& signed_header);
  Status offer_model(const protocol::Signed& signed_header);
  Status check_catalogue(const CatalogueOffer& offer, ByteView bytes) const;
  Status check_model(const ModelOffer& offer, ByteView bytes) const;
  Status accept_download(Now now);
  // Fetches what is missing; when nothing is, says so and asks to be invited (if there are rounds left).
  Status settle(Now now);
  void fetch(std::variant<CatalogueOffer, ModelOffer> offer, Now now);
  Status consider(const plan::RoundPlan& plan) const;
  // `session`: zero if the plan could not be read so far.
  void decline(const ByteArray<32>& session, RoundId round, const Error& error);
  // --- rounds (participant_round.cpp)
  Status prepare(Now now);
  Result<Update> compute(const plan::RoundPlan& plan) const;
  Status advertise(Now now);
  // Gives the member a step of its secure sum, and sends what it answers; its error leaves the round.
  template <typename Take, typename Answer>
  Status take_step(const ByteArray<32>& session, ByteView body, Now now, Take take, Answer answer);
  void say(protocol::Message message);
  void hand_out();
  Status leave(const Error& error);
  void forget_round(Ending ending, const std::string& reason);
  [[nodiscard]] bool in_round() const noexcept {
    return std::holds_alternative<Preparing>(phase_) || std::holds_alternative<InRound>(phase_) ||
           std::holds_alternative<Resuming>(phase_);
  }

  ParticipantSetup setup_;
  Phase phase_ = Ended{};
  Actions actions_;  // of the call under way

  // Public knowledge about the job; nothing here is personal.
  std::optional<protocol::JobDescription> job_;
  Digest job_id_{};
  bool first_contact_ = false;
  bool finished_ = false;
  bool told_finished_ = false;
  std::optional<protocol::CatalogueHeader> catalogue_;  // held
  std::optional<CatalogueOffer> wanted_catalogue_;
  std::unique_ptr<model::Model> model_;           // for the held catalogue
  std::optional<protocol::ModelHeader> held_;     // the model version in the store
  std::optional<ModelOffer> wanted_;              // a newer one
  std::optional<ModelVersion> expected_version_;  // that a Result named, before its header came
  std::optional<Download> download_;
  std::uint64_t bytes_down_ = 0;  // since the last round
};

}  // namespace chorus::client
