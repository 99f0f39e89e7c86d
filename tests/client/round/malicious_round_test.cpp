// A coordinator that lies in the steps of a round. Each row ends the round for the device with the exact code, wipes
// what it held, and releases nothing more; what the secure sum itself refuses is tested in tests/attacks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/round/cohort.hpp"
#include "tests/client/round/fake_coordinator.hpp"
#include "tests/client/round/test_device.hpp"

namespace chorus::client {
namespace {

using protocol::DevicePhase;
using testing::Cohort;
using testing::FakeCoordinator;
using ::testing::HasSubstr;
using testing::TestDevice;

class MaliciousRound : public ::testing::Test {
 protected:
  MaliciousRound() : device(coordinator) {
    device.rate("item-3", 5);
    device.join(coordinator);
  }
  // To where this phase's answer has been read and the next question lies ready.
  template <typename Step>
  Step next_step(Cohort& cohort, TestDevice& each, DevicePhase phase) {
    if (each.is_in(DevicePhase::ready)) each.invite(cohort.manifest());
    cohort.run_to(each, phase);
    while (cohort.to_device.empty()) {
      if (!cohort.pass(each)) ADD_FAILURE() << "no question came";
    }
    auto step = std::get<Step>(cohort.to_device.front());
    cohort.to_device.clear();
    return step;
  }
  // The device left: by a Decline that names the code, with its round gone and the reason in its history.
  static void expect_left(TestDevice& each, ErrorCode code, std::size_t released) {
    EXPECT_TRUE(each.ended());
    ASSERT_TRUE(each.last<protocol::Decline>());
    EXPECT_EQ(each.last<protocol::Decline>()->code, code) << each.last<protocol::Decline>()->sentence;
    EXPECT_EQ(each.end_code(), ErrorCode::aborted) << "what others did wrong is no reason to stay away";
    EXPECT_THAT(each.end->error.sentence(), HasSubstr(to_string(code)));
    EXPECT_EQ(each.round(), nullptr);
    EXPECT_EQ(each.released.size(), released);
    EXPECT_THAT(each.latest().reason, HasSubstr(to_string(code)));
    EXPECT_EQ(each.all_events<event::Declined>().back().error.code(), code);
  }
  // The same as a coordinator's own lie, which ends the conversation by its name.
  static void expect_ended(TestDevice& each, ErrorCode code, std::size_t sent) {
    EXPECT_TRUE(each.ended());
    EXPECT_EQ(each.end_code(), code);
    EXPECT_EQ(each.round(), nullptr);
    EXPECT_EQ(each.sent.size(), sent);
  }
  FakeCoordinator coordinator;
  TestDevice device;
};

TEST_F(MaliciousRound, AStepOfAnotherSessionIsNotTaken) {
  const auto with = [&]<typename Step>(DevicePhase phase, Step) {
    TestDevice each(coordinator);
    each.join(coordinator);
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    Step step = next_step<Step>(cohort, each, phase);
    step.session[31] ^= 1;
    const std::size_t sent = each.sent.size();
    each.hear(step);
    expect_ended(each, ErrorCode::stale_round, sent);
    EXPECT_EQ(each.latest().ending, phase < DevicePhase::uploaded ? Ending::withheld : Ending::lost);
  };
  with(DevicePhase::advertised, protocol::Roster{});
  with(DevicePhase::shared, protocol::Delivery{});
  with(DevicePhase::uploaded, protocol::Survivors{});
  with(DevicePhase::voted, protocol::Certificate{});
}

TEST_F(MaliciousRound, TheSameStepAgainIsIgnoredAndAnotherOneEndsTheRound) {
  const auto with = [&]<typename Step>(DevicePhase phase, DevicePhase after, Step) {
    TestDevice each(coordinator);
    each.join(coordinator);
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    Step step = next_step<Step>(cohort, each, phase);
    each.hear(step);
    ASSERT_EQ(each.phase(), after);
    const std::size_t sent = each.sent.size();
    const std::size_t released = each.released.size();
    each.hear(step);
    EXPECT_EQ(each.phase(), after);
    EXPECT_EQ(each.sent.size(), sent);
    step.body.back() ^= 1;
    each.hear(step);
    expect_left(each, ErrorCode::out_of_phase, released);
    EXPECT_EQ(each.sent.size(), sent + 1) << "the Decline alone";
  };
  with(DevicePhase::advertised, DevicePhase::shared, protocol::Roster{});
  with(DevicePhase::shared, DevicePhase::uploaded, protocol::Delivery{});
  with(DevicePhase::uploaded, DevicePhase::voted, protocol::Survivors{});
  with(DevicePhase::voted, DevicePhase::unmasked, protocol::Certificate{});
}

TEST_F(MaliciousRound, WhatTheSumRefusesIsDeclinedByItsName) {
  const auto with = [&]<typename Step>(DevicePhase phase, Step, auto change, ErrorCode code) {
    TestDevice each(coordinator);
    each.join(coordinator);
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    Step step = next_step<Step>(cohort, each, phase);
    change(step.body);
    const std::size_t released = each.released.size();
    each.hear(step);
    expect_left(each, code, released);
    EXPECT_EQ(each.latest().ending, phase < DevicePhase::uploaded ? Ending::withheld : Ending::lost);
  };
  const auto cut = [](Bytes& body) { body.pop_back(); };
  with(DevicePhase::advertised, protocol::Roster{}, cut, ErrorCode::malformed);
  with(
      DevicePhase::advertised, protocol::Roster{},
      [](Bytes& body) {  // three members, where the plan promised four
        body[0] = 3;
        body.resize(4 + 3 * secagg::Leaf::kSize);
      },
      ErrorCode::cohort_too_small);
  with(
      DevicePhase::advertised, protocol::Roster{},
      [](Bytes& body) {  // nine, where the plan promised eight at most
        const Bytes leaf(body.end() - static_cast<std::ptrdiff_t>(secagg::Leaf::kSize), body.end());
        body[0] = 9;
        while (body.size() < 4 + 9 * secagg::Leaf::kSize) body.insert(body.end(), leaf.begin(), leaf.end());
      },
      ErrorCode::too_large);
  with(
      DevicePhase::advertised, protocol::Roster{},
      [](Bytes& body) { body.back() ^= 1; },  // the signature of the last leaf
      ErrorCode::bad_signature);
  with(
      DevicePhase::advertised, protocol::Roster{},
      [](Bytes& body) {  // everybody but this device
        body[0] = 4;
        body.erase(body.begin() + 4, body.begin() + 4 + secagg::Leaf::kSize);
      },
      ErrorCode::malformed);
  with(DevicePhase::shared, protocol::Delivery{}, cut, ErrorCode::malformed);
  with(DevicePhase::uploaded, protocol::Survivors{}, [](Bytes& body) { body[0] &= 0xfe; }, ErrorCode::bad_survivors);
  with(
      DevicePhase::uploaded, protocol::Survivors{}, [](Bytes& body) { body[0] &= 0x0f & ~0x02; },
      ErrorCode::cohort_too_small);
  with(
      DevicePhase::voted, protocol::Certificate{},
      [](Bytes& body) {  // one vote
        body[0] = 1;
        body.resize(4 + 4 + 64);
      },
      ErrorCode::bad_quorum);
}

TEST_F(MaliciousRound, AMemberWhoseIdentityIsYoungerThanTheUserWantsIsNotMet) {
  const auto sum_with = [&](WallTime others_enrolled, TestDevice& careful) {
    careful.join(coordinator);
    Cohort cohort(coordinator, careful, coordinator.plan_fields(1),
                  Cohort::Settings{.others = 4, .enrolled_at = others_enrolled});
    cohort.play(careful);
    return std::ranges::count(cohort.sum().survivors(), 0U) == 1;
  };
  const TestDevice::Options options{.consent = {.without_noise = true},
                                    .enrolled_at = testing::kToday - std::chrono::days(365)};
  TestDevice content(coordinator, options);
  EXPECT_TRUE(sum_with(testing::kToday - std::chrono::days(30), content)) << "the control";
  TestDevice careful(coordinator, options);
  EXPECT_FALSE(sum_with(testing::kToday - std::chrono::days(30) + 1s, careful));
  expect_left(careful, ErrorCode::identity_too_young, 0);
  EXPECT_EQ(careful.latest().ending, Ending::withheld);
}

TEST_F(MaliciousRound, AMemberOnThePlansRevocationListIsNotMet) {
  coordinator.revocations =
      coordinator.authority.revocations(3, {{.id = testing::device_id(4), .key = Cohort::other_key(2).public_key()}})
          .der();
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  cohort.play(device);
  expect_left(device, ErrorCode::revoked, 0);
  EXPECT_EQ(std::ranges::count(cohort.sum().survivors(), 0U), 0) << "the others go on without it";
}

TEST_F(MaliciousRound, AMemberOfAnotherAuthorityIsNotMet) {
  FakeCoordinator other;
  other.authority = testing::Authority(8);  // signs the others, not this device's
  TestDevice stranger(other);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  auto roster = next_step<protocol::Roster>(cohort, device, DevicePhase::advertised);
  // The last leaf becomes one that another authority vouches for.
  const auto statement = other.authority.enrol(testing::device_id(200), Cohort::other_key(3).public_key());
  const Bytes encoded = identity::encode(statement);
  std::ranges::copy(encoded, roster.body.end() - static_cast<std::ptrdiff_t>(secagg::Leaf::kSize));
  device.hear(roster);
  expect_left(device, ErrorCode::bad_identity, 0);
}

// The others, the authority and the coordinator have kept the time.
TEST_F(MaliciousRound, ADeviceWhoseClockIsADayOffDeclinesByNameAndTheOthersGoOn) {
  for (const auto& [off, code] : {std::pair(-24h, ErrorCode::not_yet_valid), std::pair(24h, ErrorCode::expired)}) {
    TestDevice each(coordinator);
    each.join(coordinator);
    each.now.wall += off;
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    cohort.play(each);
    EXPECT_EQ(each.end_code(), code);
    ASSERT_TRUE(each.last<protocol::Decline>());
    EXPECT_EQ(each.last<protocol::Decline>()->code, code);
    EXPECT_TRUE(each.all_sent<protocol::Advertise>().empty());
    EXPECT_NE(cohort.sum().sum(), nullptr);
    EXPECT_EQ(std::ranges::count(cohort.sum().survivors(), 0U), 0);
  }
}

// The coordinator and the others have moved to the authority's new key, this device has not.
TEST_F(MaliciousRound, ADeviceThatKnowsTheAuthoritysOldKeyDeclinesByNameAndTheOthersGoOn) {
  coordinator.authority = testing::Authority(8);
  coordinator.revocations = coordinator.authority.revocations(3).der();
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  cohort.play(device);
  EXPECT_EQ(device.end_code(), ErrorCode::bad_certificate);
  ASSERT_TRUE(device.last<protocol::Decline>());
  EXPECT_EQ(device.last<protocol::Decline>()->code, ErrorCode::bad_certificate);
  EXPECT_TRUE(device.all_sent<protocol::Advertise>().empty());
  EXPECT_NE(cohort.sum().sum(), nullptr);
  EXPECT_EQ(std::ranges::count(cohort.sum().survivors(), 0U), 0);
}

TEST_F(MaliciousRound, AResultOfAnotherSessionOrSignatureIsNotBelieved) {
  const auto with = [&](DevicePhase phase, auto change, ErrorCode code) {
    TestDevice each(coordinator);
    each.join(coordinator);
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    each.hear(cohort.manifest());
    if (phase != DevicePhase::preparing) {
      each.advance(Participant::kSlot);
      cohort.run_to(each, phase);
    }
    auto fields = cohort.fields();
    protocol::Result result = change(fields);
    const std::size_t sent = each.sent.size();
    each.hear(result);
    expect_ended(each, code, sent);
    EXPECT_EQ(each.latest().ending, phase < DevicePhase::uploaded ? Ending::withheld : Ending::lost);
  };
  const auto published = [&](const auto& fields) {
    return coordinator.result(fields, protocol::Outcome::published, ModelVersion(2));
  };
  for (const DevicePhase phase : {DevicePhase::preparing, DevicePhase::advertised, DevicePhase::shared,
                                  DevicePhase::uploaded, DevicePhase::voted, DevicePhase::unmasked}) {
    with(
        phase,
        [&](auto& fields) {
          fields.session[0] ^= 1;
          return published(fields);
        },
        ErrorCode::stale_round);
    with(
        phase,
        [&](auto& fields) {
          fields.cohort = CohortId(1);
          return published(fields);
        },
        ErrorCode::stale_round);
    with(
        phase,
        [&](auto& fields) {
          auto forged = published(fields);
          forged.result.signature[0] ^= 1;
          return forged;
        },
        ErrorCode::bad_signature);
  }
}

// A coordinator that says the round is over while it goes on in private has what it was given, and no more: the
// device's openings stay with the device.
TEST_F(MaliciousRound, AResultBeforeTheOpeningsWipesThem) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  const auto certificate = next_step<protocol::Certificate>(cohort, device, DevicePhase::voted);
  device.hear(coordinator.result(cohort.fields(), protocol::Outcome::aborted, ModelVersion(1)));
  EXPECT_EQ(device.round(), nullptr);
  EXPECT_EQ(device.latest().ending, Ending::aborted) << "the update had left";
  device.hear(certificate);
  EXPECT_EQ(device.end_code(), ErrorCode::out_of_phase);
  EXPECT_TRUE(device.all_sent<protocol::Openings>().empty());
}

}  // namespace
}  // namespace chorus::client
