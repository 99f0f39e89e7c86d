// A device whose connection breaks in a round: it keeps its place, and what it says again is what it said before, byte
// by byte. Whatever the coordinator asked twice, the sum is the same.
#include <map>
#include <set>

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
using testing::TestDevice;

class Resuming : public ::testing::Test {
 protected:
  Resuming() : device(coordinator) {
    device.rate("item-3", 5);
    device.join(coordinator);
  }
  // All that was sent of one kind is one and the same message.
  template <typename Kind>
  static void expect_verbatim(const TestDevice& device, std::size_t least) {
    const auto all = device.all_sent<Kind>();
    ASSERT_GE(all.size(), least);
    for (const auto& again : all) EXPECT_EQ(again, all[0]);
  }
  // Every byte of the masked update that was sent, however often, is the same at its place; all of them were.
  static void expect_one_update(const TestDevice& device) {
    std::map<std::uint64_t, std::uint8_t> bytes;
    std::uint64_t total = 0;
    for (const auto& piece : device.all_sent<protocol::Update>()) {
      total = piece.total;
      for (std::size_t i = 0; i < piece.data.size(); ++i) {
        const auto [at, fresh] = bytes.emplace(piece.offset + i, piece.data[i]);
        ASSERT_EQ(at->second, piece.data[i]);
      }
    }
    EXPECT_EQ(bytes.size(), total);
  }
  static void expect_whole_round(const TestDevice& device, const Cohort& cohort) {
    ASSERT_NE(cohort.sum().sum(), nullptr);
    EXPECT_EQ(cohort.sum().survivors().size(), 5U);
    EXPECT_TRUE(device.is_in(DevicePhase::unmasked));
    expect_verbatim<protocol::Advertise>(device, 1);
    expect_verbatim<protocol::Shares>(device, 1);
    expect_verbatim<protocol::Masked>(device, 1);
    expect_verbatim<protocol::Vote>(device, 1);
    expect_verbatim<protocol::Openings>(device, 1);
    expect_one_update(device);
  }
  // The sum without any break.
  std::vector<std::uint32_t> undisturbed() {
    TestDevice other(coordinator);
    other.rate("item-3", 5);
    other.join(coordinator);
    Cohort cohort(coordinator, other, coordinator.plan_fields(1));
    cohort.play(other);
    return cohort.coordinates();
  }
  FakeCoordinator coordinator;
  TestDevice device;
};

constexpr std::array kPhases = {DevicePhase::advertised, DevicePhase::shared, DevicePhase::uploaded, DevicePhase::voted,
                                DevicePhase::unmasked};

TEST_F(Resuming, InEveryPhaseAnAnswerThatWasLostIsSentAgainAsItWas) {
  const auto wanted = undisturbed();
  for (const DevicePhase phase : kPhases) {
    TestDevice each(coordinator);
    each.rate("item-3", 5);
    each.join(coordinator);
    each.sent.clear();
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    each.invite(cohort.manifest());
    cohort.run_to(each, phase);
    const protocol::Message answer = each.sent.back();
    cohort.reconnect(each, coordinator);
    EXPECT_EQ(each.phase(), DevicePhase::resuming);
    EXPECT_EQ(each.last<protocol::Resume>()->session, cohort.fields().session);
    cohort.run(each);
    expect_whole_round(each, cohort);
    EXPECT_EQ(cohort.coordinates(), wanted);
    EXPECT_GE(std::ranges::count(each.sent, answer), 2) << "the lost answer came again";
    EXPECT_TRUE(cohort.refused.empty());
    EXPECT_EQ(*each.store().attempts(coordinator.header().model_id, plan::Purpose::train), 1U) << "charged once";
    each.hear(coordinator.result(cohort.fields(), protocol::Outcome::measured, ModelVersion(1)));
    EXPECT_TRUE(each.all_events<event::RoundEnded>().at(0).delivered);
    EXPECT_EQ(each.latest().ending, Ending::measured);
  }
}

TEST_F(Resuming, InEveryPhaseAQuestionThatWasLostIsAnsweredOnce) {
  const auto wanted = undisturbed();
  for (const DevicePhase phase : kPhases) {
    TestDevice each(coordinator);
    each.rate("item-3", 5);
    each.join(coordinator);
    each.sent.clear();
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    each.invite(cohort.manifest());
    cohort.run_to(each, phase);
    // The coordinator has all that the device said; its next message is what breaks off.
    while (cohort.to_device.empty() && cohort.pass(each)) {
    }
    cohort.reconnect(each, coordinator);
    cohort.run(each);
    expect_whole_round(each, cohort);
    EXPECT_EQ(cohort.coordinates(), wanted);
    EXPECT_EQ(each.all_sent<protocol::Shares>().size(), 1U);
    EXPECT_EQ(each.all_sent<protocol::Vote>().size(), 1U);
    EXPECT_EQ(each.all_sent<protocol::Openings>().size(), 1U);
  }
}

TEST_F(Resuming, AConnectionThatBreaksAgainAndAgainLosesNothing) {
  const auto wanted = undisturbed();
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.sent.clear();
  device.invite(cohort.manifest());
  for (const DevicePhase phase : kPhases) {
    cohort.run_to(device, phase);
    for (int again = 0; again < 3; ++again) {
      cohort.reconnect(device, coordinator);
      cohort.run_to(device, phase);
    }
  }
  cohort.run(device);
  expect_whole_round(device, cohort);
  EXPECT_EQ(cohort.coordinates(), wanted);
}

TEST_F(Resuming, AnUploadGoesOnAtTheByteThatTheCoordinatorHasNot) {
  FakeCoordinator large(2, 60'000);
  for (const std::size_t delivered : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    TestDevice each(large);
    each.rate("item-59999", 5);
    each.join(large);
    Cohort cohort(large, each, large.plan_fields(1));
    each.invite(cohort.manifest());
    cohort.run_to(each, DevicePhase::uploaded);
    for (std::size_t i = 0; i < 2 * delivered; ++i) ASSERT_TRUE(cohort.pass(each));  // a piece read, a piece written
    ASSERT_TRUE(each.last<protocol::Update>());
    ASSERT_EQ(each.all_sent<protocol::Update>().size(), delivered + 1) << "the last one is under way";
    cohort.reconnect(each, large);
    each.sent.clear();
    cohort.run_to(each, DevicePhase::uploaded);
    while (each.sent.empty()) ASSERT_TRUE(cohort.pass(each));
    EXPECT_EQ(each.last<protocol::Update>()->offset, delivered * protocol::kChunkSize);
    cohort.run(each);
    EXPECT_NE(cohort.sum().sum(), nullptr);
    EXPECT_TRUE(cohort.refused.empty());
    EXPECT_TRUE(each.is_in(DevicePhase::unmasked));
    EXPECT_FALSE(each.round()->vector.size()) << "the vector is gone once the survivors are known";
  }
}

TEST_F(Resuming, ARoundThatWentOnWithoutTheDeviceIsOverForIt) {
  for (const DevicePhase phase : kPhases) {
    TestDevice each(coordinator);
    each.join(coordinator);
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    each.invite(cohort.manifest());
    cohort.run_to(each, phase);
    cohort.reconnect(each, coordinator);
    const std::size_t before = each.released.size();
    each.hear(protocol::Resumed{.session = cohort.fields().session, .in_round = false});
    EXPECT_EQ(each.round(), nullptr);
    EXPECT_TRUE(each.last<protocol::Ready>()) << "and it asks for the next one";
    EXPECT_EQ(each.all_events<event::Declined>().at(0).error.code(), ErrorCode::closed);
    EXPECT_EQ(each.latest().ending, phase < DevicePhase::uploaded ? Ending::withheld : Ending::lost);
    EXPECT_EQ(each.released.size(), before);
  }
}

TEST_F(Resuming, AResultThatCameMeanwhileEndsTheRound) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  cohort.play(device);
  cohort.reconnect(device, coordinator);
  device.hear(coordinator.result(cohort.fields(), protocol::Outcome::measured, ModelVersion(1)));
  EXPECT_EQ(device.round(), nullptr);
  EXPECT_EQ(device.latest().ending, Ending::measured);
  EXPECT_TRUE(device.all_events<event::RoundEnded>().at(0).delivered);
  EXPECT_TRUE(device.last<protocol::Ready>());
}

TEST_F(Resuming, ABreakBeforeTheLeafHasLeftIsTheEndOfTheRound) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.hear(cohort.manifest());
  cohort.reconnect(device, coordinator);
  EXPECT_EQ(device.phase(), DevicePhase::ready) << "nobody knows this device in the round";
  EXPECT_EQ(device.latest().ending, Ending::withheld);
  device.hear(cohort.manifest());
  EXPECT_EQ(device.end_code(), ErrorCode::stale_round);
}

TEST_F(Resuming, ARefusalKeepsThePlaceForTheNextConnection) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::shared);
  device.hear(protocol::Refusal{.code = ErrorCode::overloaded, .sentence = "later"});
  EXPECT_TRUE(device.ended());
  EXPECT_NE(device.round(), nullptr);
  cohort.reconnect(device, coordinator);
  cohort.run(device);
  expect_whole_round(device, cohort);
}

TEST_F(Resuming, ACoordinatorThatDoesNotSayWhereTheRoundIsIsLeft) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::shared);
  cohort.reconnect(device, coordinator);
  device.advance(Participant::kWelcomeTimeout - 1ns);
  EXPECT_FALSE(device.ended());
  device.advance(1ns);
  EXPECT_EQ(device.end_code(), ErrorCode::timeout);
  EXPECT_EQ(device.round(), nullptr);
}

TEST_F(Resuming, AnotherSessionOrMoreThanWasSentIsNotBelieved) {
  const auto with = [&](DevicePhase phase, auto change, ErrorCode code) {
    TestDevice each(coordinator);
    each.join(coordinator);
    Cohort cohort(coordinator, each, coordinator.plan_fields(1));
    each.invite(cohort.manifest());
    cohort.run_to(each, phase);
    cohort.reconnect(each, coordinator);
    protocol::Resumed resumed{.session = cohort.fields().session, .in_round = true};
    change(resumed);
    const std::size_t before = each.sent.size();
    each.hear(resumed);
    EXPECT_EQ(each.end_code(), code);
    EXPECT_TRUE(each.ended());
    EXPECT_EQ(each.round(), nullptr);
    EXPECT_EQ(each.sent.size(), before);
  };
  const auto session = [](auto& resumed) { resumed.session[3] ^= 1; };
  with(DevicePhase::shared, session, ErrorCode::stale_round);
  with(DevicePhase::uploaded, session, ErrorCode::stale_round);
  with(
      DevicePhase::shared, [](auto& resumed) { resumed.received = 1; }, ErrorCode::malformed);
  with(
      DevicePhase::voted, [](auto& resumed) { resumed.received = 1; }, ErrorCode::malformed);
  with(
      DevicePhase::uploaded, [](auto& resumed) { resumed.received = UINT64_MAX; }, ErrorCode::malformed);
}

TEST_F(Resuming, ACoordinatorThatAsksAgainHearsTheAnswerOnceAConnection) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::advertised);
  while (cohort.to_device.empty()) ASSERT_TRUE(cohort.pass(device));
  const protocol::Message roster = cohort.to_device.front();
  cohort.run_to(device, DevicePhase::shared);
  cohort.reconnect(device, coordinator);
  device.hear(protocol::Resumed{.session = cohort.fields().session, .in_round = true});
  const std::size_t before = device.all_sent<protocol::Shares>().size();
  device.hear(roster);
  device.hear(roster);
  device.hear(roster);
  EXPECT_EQ(device.all_sent<protocol::Shares>().size(), before + 1);
  expect_verbatim<protocol::Shares>(device, 2);
}

}  // namespace
}  // namespace chorus::client
