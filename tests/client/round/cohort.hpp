// The cohort of a device under test: other members, honest ones, and the coordinator's half of the secure sum, all
// the real thing. Messages pass in memory, one at a time, so that a test can stop, cut or change them anywhere.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client/round/sum_member.hpp"
#include "common/ring/fixed_point.hpp"
#include "coordinator/round/secure_sum.hpp"
#include "simulations/world/secure_cohort.hpp"
#include "tests/client/round/fake_coordinator.hpp"
#include "tests/client/round/test_device.hpp"

namespace chorus::client::testing {

class Cohort {
 public:
  using SecureSum = coordinator::SecureSum;
  struct Settings {
    std::uint32_t others = 4;
    WallTime enrolled_at = kToday - 1h;  // the others
  };

  Cohort(const FakeCoordinator& coordinator, const TestDevice& device, const plan::RoundPlanFields& fields)
      : Cohort(coordinator, device, fields, Settings{}) {}
  // The key of the other member `i`, whose id is device_id(i + 2).
  static crypto::SigningKey other_key(std::uint32_t i) {
    sim::SeededRandom random(500 + i);
    return crypto::SigningKey::generate(random);
  }
  // The device is member 0; everybody else has sent their leaf already.
  Cohort(const FakeCoordinator& coordinator, const TestDevice& device, const plan::RoundPlanFields& fields,
         const Settings& settings)
      : fields_(fields),
        manifest_(coordinator.manifest(fields)),
        layout_(coordinator.model().layout(fields.purpose, 0)),
        random_(1000 + fields.round.value()),
        expected_(layout_) {
    const secagg::Roster::Bounds bounds{.least_members = fields.least_members,
                                        .most_members = fields.most_members,
                                        .corrupt = fields.corrupt,
                                        .dropout = fields.dropout};
    const Digest h0 = crypto::sha256(manifest_.plan.document);
    const secagg::AdmissionRules rules{.authority = coordinator.authority.key().public_key(), .now = kToday};
    std::vector<identity::DeviceId> invited = {device.statement().id};
    for (std::uint32_t i = 0; i < settings.others; ++i) {
      auto other = std::make_unique<Other>(other_key(i));
      const identity::DeviceId id = device_id(static_cast<std::uint8_t>(i + 2));
      invited.push_back(id);
      other->statement = coordinator.authority.enrol(id, other->key.public_key(), settings.enrolled_at);
      crypto::ZeroizingBytes update(layout_.packed_size());
      random_.fill(update);
      EXPECT_TRUE(expected_.add(update));
      other->member.emplace(SumTerms{.h0 = h0, .layout = layout_, .bounds = bounds},
                            SumIdentity{&other->statement, &other->key}, rules, other->verified, std::move(update),
                            random_, other->promises);
      others_.push_back(std::move(other));
    }
    sum_ = std::make_unique<SecureSum>(
        coordinator::SecureSumTerms{.h0 = h0, .layout = layout_, .bounds = bounds, .phases = fields.deadlines}, invited,
        rules, verified_, device.now.moment);
    for (std::uint32_t i = 0; i < settings.others; ++i) {
      EXPECT_TRUE(sum_->on_leaf(i + 1, others_[i]->member->advertise(), kToday, device.now.moment));
    }
  }

  const plan::RoundPlanFields& fields() const { return fields_; }
  const protocol::Manifest& manifest() const { return manifest_; }
  const SecureSum& sum() const { return *sum_; }

  // Passes one message, from the device first; false if there is none.
  bool pass(TestDevice& device) {
    if (!device.outbox.empty()) {
      const protocol::Message message = std::move(device.outbox.front());
      device.outbox.pop_front();
      owes_written_ = std::holds_alternative<protocol::Update>(message);
      if (!owes_written_) device.written(protocol::type_of(message));
      hear(message);
    } else if (std::exchange(owes_written_, false)) {
      device.written();
    } else if (!to_device.empty()) {
      const protocol::Message message = std::move(to_device.front());
      to_device.pop_front();
      device.hear(message);
    } else {
      return false;
    }
    return true;
  }
  void run(TestDevice& device) {
    while (pass(device)) {
    }
  }
  // Until the device is in this phase; what it said last is still to be read.
  void run_to(TestDevice& device, protocol::DevicePhase phase) {
    while (!device.is_in(phase)) ASSERT_TRUE(pass(device)) << "the round ended before the phase";
  }
  // From the plan to the openings.
  void play(TestDevice& device) {
    device.invite(manifest_);
    run(device);
  }
  // The connection breaks: what is under way is lost. A new one takes the device to where it resumes its round.
  void reconnect(TestDevice& device, const FakeCoordinator& coordinator) {
    drop(device);
    device.reconnect(coordinator);
    device.start();
    device.hear(coordinator.welcome());
  }
  void drop(TestDevice& device) {
    device.outbox.clear();
    to_device.clear();
    owes_written_ = false;
  }

  // The others' updates in clear, and this one's.
  std::vector<std::uint32_t> expected_with(ByteView update) const {
    ring::CohortSum sum = expected_;
    EXPECT_TRUE(sum.add(update));
    return {sum.coordinates().begin(), sum.coordinates().end()};
  }
  std::vector<std::uint32_t> coordinates() const {
    if (sum_->sum() == nullptr) return {};
    return {sum_->sum()->coordinates().begin(), sum_->sum()->coordinates().end()};
  }

  std::deque<protocol::Message> to_device;
  std::vector<ErrorCode> refused;  // what the sum did not take of the device's messages

 private:
  struct Other {
    explicit Other(crypto::SigningKey own) : key(std::move(own)) {}
    crypto::SigningKey key;
    identity::IdentityStatement statement{};
    sim::MemoryPromises promises;
    secagg::VerifiedStatements verified;
    std::optional<SumMember> member{};
  };

  void hear(const protocol::Message& message) {
    const Moment now{};
    if (const auto* leaf = std::get_if<protocol::Advertise>(&message)) {
      on_step(sum_->on_leaf(0, leaf->body, kToday, now));
    } else if (const auto* shares = std::get_if<protocol::Shares>(&message)) {
      on_step(sum_->on_shares(0, shares->body, now));
    } else if (const auto* piece = std::get_if<protocol::Update>(&message)) {
      const Status taken = sum_->on_piece(0, piece->offset, piece->total, piece->data, now);
      if (!taken) refused.push_back(taken.error().code());
    } else if (const auto* masked = std::get_if<protocol::Masked>(&message)) {
      on_step(sum_->on_masked(0, masked->body, now));
    } else if (const auto* vote = std::get_if<protocol::Vote>(&message)) {
      on_step(sum_->on_vote(0, vote->body, now));
    } else if (const auto* openings = std::get_if<protocol::Openings>(&message)) {
      on_step(sum_->on_openings(0, openings->body, now));
    } else if (std::holds_alternative<protocol::Decline>(message)) {
      on_step(sum_->on_gone(0, now));
    } else if (std::holds_alternative<protocol::Resume>(message)) {
      to_device.emplace_back(
          protocol::Resumed{.session = fields_.session, .in_round = true, .received = sum_->received(0)});
      if (auto body = sum_->message_for(0)) to_device.push_back(step(std::move(*body)));
    }
  }

  // The others are slower than the device: they answer what they were asked when it has answered, or is gone.
  void on_step(Result<SecureSum::Actions> actions) {
    if (!actions) {
      refused.push_back(actions.error().code());
      return;
    }
    const auto due = std::exchange(unanswered_, {});
    carry_out(std::move(*actions));
    for (const Question& question : due) answer(question.member, question.phase, question.body);
  }

  // A message of the sum's present phase.
  protocol::Message step(Bytes body) const {
    switch (sum_->phase()) {
      case SecureSum::Phase::sharing:
        return protocol::Roster{.session = fields_.session, .body = std::move(body)};
      case SecureSum::Phase::masking:
        return protocol::Delivery{.session = fields_.session, .body = std::move(body)};
      case SecureSum::Phase::voting:
        return protocol::Survivors{.session = fields_.session, .body = std::move(body)};
      default:
        return protocol::Certificate{.session = fields_.session, .body = std::move(body)};
    }
  }

  void carry_out(SecureSum::Actions actions) {
    for (auto& action : actions) {
      if (auto* recover = std::get_if<SecureSum::Recover>(&action)) {
        carry_out(sum_->on_recovered(recover->work->run(1), *recover->work));
      } else if (const auto* entered = std::get_if<SecureSum::Entered>(&action)) {
        for (const std::uint32_t member : entered->members) {
          Bytes body = *sum_->message_for(member);
          if (member == 0) {
            to_device.push_back(step(std::move(body)));
          } else {
            unanswered_.push_back({member, entered->phase, std::move(body)});
          }
        }
        if (std::ranges::count(entered->members, 0U) == 0) on_step(SecureSum::Actions{});
      }
    }
  }

  void answer(std::uint32_t member, SecureSum::Phase phase, ByteView body) {
    SumMember& other = *others_[member - 1]->member;
    const Moment now{};
    Result<SecureSum::Actions> actions = SecureSum::Actions{};
    if (phase == SecureSum::Phase::sharing) {
      actions = sum_->on_shares(member, other.on_roster(body).value().value(), now);
    } else if (phase == SecureSum::Phase::masking) {
      const MaskedUpdate masked = std::move(other.on_delivery(body).value().value());
      EXPECT_TRUE(sum_->on_piece(member, 0, masked.vector.size(), masked.vector, now));
      actions = sum_->on_masked(member, masked.end, now);
    } else if (phase == SecureSum::Phase::voting) {
      actions = sum_->on_vote(member, other.on_survivors(body).value().value(), now);
    } else {
      actions = sum_->on_openings(member, other.on_certificate(body).value().value(), now);
    }
    if (actions) {
      carry_out(std::move(*actions));
    } else {
      EXPECT_EQ(actions.error().code(), ErrorCode::late) << "the sum may be found without the last openings";
    }
  }

  struct Question {
    std::uint32_t member = 0;
    SecureSum::Phase phase = SecureSum::Phase::sharing;
    Bytes body;
  };

  plan::RoundPlanFields fields_;
  protocol::Manifest manifest_;
  plan::UpdateLayout layout_;
  sim::SeededRandom random_;
  secagg::VerifiedStatements verified_;
  std::vector<std::unique_ptr<Other>> others_;
  std::unique_ptr<SecureSum> sum_;
  ring::CohortSum expected_;
  std::vector<Question> unanswered_;
  bool owes_written_ = false;
};

}  // namespace chorus::client::testing
