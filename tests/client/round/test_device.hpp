// A participant in virtual time with everything that it did written down.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client/round/participant.hpp"
#include "common/identity/private_key_pem.hpp"
#include "tests/client/round/fake_coordinator.hpp"

namespace chorus::client::testing {

// What a device of these tests agrees to, unless the test is about that.
inline constexpr Consent kConsent{.without_noise = true, .least_identity_age = 0s};

class TestDevice {
 public:
  struct Options {
    std::optional<std::uint64_t> rounds{};
    plan::Floors floors = FakeCoordinator::floors();
    Consent consent = kConsent;
    std::filesystem::path file{};  // of its store; empty: in memory
    WallTime enrolled_at = kToday - 1h;
  };

  explicit TestDevice(const FakeCoordinator& coordinator) : TestDevice(coordinator, Options{}) {}
  TestDevice(const FakeCoordinator& coordinator, Options options)
      : options_(std::move(options)),
        random_(77),
        key_(crypto::SigningKey::generate(random_)),
        statement_(coordinator.authority.enrol(device_id(1), key_.public_key(), options_.enrolled_at)),
        membership_(Membership::read(identity::encode(statement_), identity::private_key_pem(key_),
                                     coordinator.authority.certificate().pem(),
                                     coordinator.authority.revocations(2).pem(), kToday)
                        .value()) {
    restart(coordinator);
  }

  // The connection broke, and there is a new one: the same process, the same round.
  void reconnect(const FakeCoordinator& coordinator) {
    outbox.clear();
    end.reset();
    participant_ = std::make_unique<Participant>(ParticipantSetup{.store = *store_,
                                                                  .round = round_,
                                                                  .membership = *membership_,
                                                                  .verified = verified_,
                                                                  .random = random_,
                                                                  .policy = Policy(options_.floors, options_.consent),
                                                                  .coordinator = coordinator.key(),
                                                                  .job = job,
                                                                  .rounds = options_.rounds});
  }
  // The process died, and there is a new one: it knows what the store knows.
  void restart(const FakeCoordinator& coordinator) {
    participant_.reset();
    round_.reset();
    verified_ = {};
    if (!store_) {
      store_ = std::move(*open_memory_store());
    }
    if (!options_.file.empty()) {
      store_.reset();
      store_ = std::move(*open_store(options_.file, {.busy_timeout = std::chrono::milliseconds(1)}));
    }
    reconnect(coordinator);
  }
  void rate(std::string item, double value, bool held_out = false) {
    const std::vector<StoredRating> rows = {{SecretText(item), value, 0, held_out}};
    ASSERT_TRUE(store_->put_ratings(rows));
  }

  void start() { take(participant_->start(now)); }
  void hear(const protocol::Message& message) { take(participant_->receive(message, now)); }
  void written(protocol::MessageType type = protocol::MessageType::update) { take(participant_->written(type, now)); }
  void advance(Duration by) {
    now.moment += by;
    take(participant_->expire(now));
  }
  // Says what the coordinator answers to every Fetch, until there is none left.
  void fetch_all(const FakeCoordinator& coordinator) {
    while (const auto fetch = last<protocol::Fetch>()) {
      sent.clear();
      for (const auto& blob : coordinator.blobs(*fetch)) hear(blob);
    }
  }
  // From Hello to Ready.
  void join(const FakeCoordinator& coordinator) {
    start();
    hear(coordinator.welcome());
    fetch_all(coordinator);
  }
  // Hears the plan, and lets the time pass until its leaf is due.
  void invite(const protocol::Manifest& manifest) {
    hear(manifest);
    advance(Participant::kSlot);
  }

  // The last message, if it is of this type.
  template <typename Kind>
  std::optional<Kind> last() const {
    if (sent.empty() || !std::holds_alternative<Kind>(sent.back())) return std::nullopt;
    return std::get<Kind>(sent.back());
  }
  template <typename Kind>
  std::vector<Kind> all_sent() const {
    std::vector<Kind> out;
    for (const auto& message : sent) {
      if (const auto* found = std::get_if<Kind>(&message)) out.push_back(*found);
    }
    return out;
  }
  template <typename Kind>
  std::vector<Kind> all_events() const {
    std::vector<Kind> out;
    for (const Event& event : events) {
      if (const auto* found = std::get_if<Kind>(&event)) out.push_back(*found);
    }
    return out;
  }
  // All bytes of masked updates that were ever handed out.
  Bytes released;
  std::vector<protocol::Message> sent;
  std::deque<protocol::Message> outbox;  // what no coordinator has read yet
  std::vector<Event> events;
  std::optional<End> end;
  Now now{.moment = Moment{}, .wall = kToday};
  std::string job;

  ErrorCode end_code() const { return end ? end->error.code() : ErrorCode::io; }
  bool ended() const { return participant_->ended(); }
  protocol::DevicePhase phase() const { return participant_->phase(); }
  bool is_in(protocol::DevicePhase phase) const { return !ended() && participant_->phase() == phase; }
  Participation latest() { return (*store_->history(1)).at(0); }
  Store& store() { return *store_; }
  Participant& participant() { return *participant_; }
  const OpenRound* round() const { return round_.get(); }
  const identity::IdentityStatement& statement() const { return statement_; }

 private:
  void take(Actions actions) {
    for (Action& action : actions) {
      if (auto* message = std::get_if<Send>(&action)) {
        if (const auto* update = std::get_if<protocol::Update>(&message->message)) {
          released.insert(released.end(), update->data.begin(), update->data.end());
        }
        outbox.push_back(message->message);
        sent.push_back(std::move(message->message));
      } else if (auto* report = std::get_if<Report>(&action)) {
        events.push_back(std::move(report->event));
      } else {
        end = std::get<End>(std::move(action));
      }
    }
  }

  Options options_;
  sim::SeededRandom random_;
  crypto::SigningKey key_;
  identity::IdentityStatement statement_;
  std::shared_ptr<const Membership> membership_;
  secagg::VerifiedStatements verified_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<OpenRound> round_;
  std::unique_ptr<Participant> participant_;
};

}  // namespace chorus::client::testing
