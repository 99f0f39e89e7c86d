// Whole rounds of a device in its cohort: the plan, the slot, the steps, the upload's pieces, the result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/train/device_data.hpp"
#include "tests/client/round/cohort.hpp"
#include "tests/client/round/fake_coordinator.hpp"
#include "tests/client/round/test_device.hpp"

namespace chorus::client {
namespace {

using protocol::DevicePhase;
using testing::Cohort;
using testing::FakeCoordinator;
using testing::TestDevice;

// What the device ought to contribute, computed apart from the participant.
Bytes expected_update(const FakeCoordinator& coordinator, Store& store, plan::Purpose purpose) {
  const DeviceData data = make_device_data(*store.ratings(), coordinator.catalogue(), coordinator.catalogue().size(),
                                           coordinator.job().contract);
  ring::Contribution contribution;
  coordinator.model().contribute(purpose, coordinator.state().shared, data.view(), contribution);
  ring::EncodeCounts counts;
  const auto packed = ring::encode(coordinator.model().layout(purpose, 0), contribution, counts);
  return Bytes(packed->begin(), packed->end());
}

class DeviceRound : public ::testing::Test {
 protected:
  DeviceRound() : device(coordinator) {
    device.rate("item-3", 5);
    device.rate("item-7", 2);
    device.rate("item-9", 4, true);
    device.rate("unheard-of", 4);
  }
  void learn(std::uint64_t version) {
    coordinator.state().shared.tensors[0].values[0] += 1;
    coordinator.publish(ModelVersion(version), version - 1);
  }
  FakeCoordinator coordinator;
  TestDevice device;
};

TEST_F(DeviceRound, TheSumHoldsExactlyWhatTheModelContributesAndTheUploadDoesNot) {
  device.join(coordinator);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  const Bytes update = expected_update(coordinator, device.store(), plan::Purpose::train);
  cohort.play(device);
  EXPECT_EQ(device.phase(), DevicePhase::unmasked);
  EXPECT_EQ(cohort.coordinates(), cohort.expected_with(update));
  EXPECT_EQ(cohort.sum().survivors().size(), 5U);
  EXPECT_TRUE(cohort.refused.empty());
  EXPECT_EQ(device.released.size(), update.size());
  EXPECT_NE(device.released, update);
  // A masked byte equals the clear one by chance alone.
  std::size_t same = 0;
  for (std::size_t i = 0; i < update.size(); ++i) same += device.released[i] == update[i] ? 1 : 0;
  EXPECT_LT(same, update.size() / 16);
  EXPECT_EQ(device.latest().ending, Ending::lost) << "until a result says otherwise";

  device.hear(coordinator.result(cohort.fields(), protocol::Outcome::published, ModelVersion(2)));
  EXPECT_FALSE(device.last<protocol::Ready>()) << "the version that the result names is still to come";
  EXPECT_EQ(device.round(), nullptr);
  learn(2);
  device.hear(coordinator.published());
  device.fetch_all(coordinator);
  EXPECT_EQ(device.last<protocol::Ready>()->model_version, ModelVersion(2));
  const Participation line = device.latest();
  EXPECT_EQ(line.ending, Ending::published);
  EXPECT_EQ(line.members, 5U);
  EXPECT_EQ(line.survivors, 4U);
  EXPECT_EQ(line.bytes_up, device.released.size());
  EXPECT_GT(line.bytes_down, coordinator.tensors().size());
  EXPECT_TRUE(device.all_events<event::RoundEnded>().at(0).delivered);
}

TEST_F(DeviceRound, EachPhaseSendsItsOneStepAndTheUpdateNeedsNoOther) {
  device.join(coordinator);
  device.sent.clear();
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  cohort.play(device);
  std::vector<protocol::MessageType> types;
  for (const auto& message : device.sent) types.push_back(protocol::type_of(message));
  using enum protocol::MessageType;
  EXPECT_THAT(types, ::testing::ElementsAre(advertise, shares, update, masked, vote, openings));
}

TEST_F(DeviceRound, ASteppingDeviceTellsOfEachStepWhenItIsWrittenAndNotBefore) {
  device.join(coordinator);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  ASSERT_TRUE(device.last<protocol::Advertise>());
  EXPECT_TRUE(device.all_events<event::StepSent>().empty()) << "it is still on its way";
  cohort.run(device);
  std::vector<protocol::MessageType> steps;
  for (const auto& told : device.all_events<event::StepSent>()) {
    steps.push_back(told.step);
    EXPECT_EQ(told.round, cohort.fields().round);
    EXPECT_EQ(told.cohort, cohort.fields().cohort);
  }
  using enum protocol::MessageType;
  EXPECT_THAT(steps, ::testing::ElementsAre(advertise, shares, masked, vote, openings));
}

TEST_F(DeviceRound, TheLeafLeavesAtASlotWhateverTheSolveTook) {
  device.join(coordinator);
  struct Case {
    Duration solve;
    Duration leaf;
  };
  std::uint64_t number = 0;
  for (const Case& each :
       {Case{0ns, Participant::kSlot}, Case{1ns, Participant::kSlot},
        Case{Participant::kSlot - 1ns, Participant::kSlot}, Case{Participant::kSlot, Participant::kSlot},
        Case{Participant::kSlot + 1ns, 2 * Participant::kSlot},
        Case{7 * Participant::kSlot + 40ms, 8 * Participant::kSlot}}) {
    const Moment arrived = device.now.moment;
    const auto fields = coordinator.plan_fields(++number);
    Cohort cohort(coordinator, device, fields);
    device.sent.clear();
    device.hear(cohort.manifest());
    EXPECT_EQ(device.phase(), DevicePhase::preparing);
    EXPECT_EQ(device.participant().next_deadline(), arrived) << "asked again as soon as the solve is done";
    device.advance(each.solve);
    if (each.solve < each.leaf) {
      EXPECT_TRUE(device.sent.empty());
      EXPECT_EQ(device.participant().next_deadline(), arrived + each.leaf);
      device.advance(arrived + each.leaf - 1ns - device.now.moment);
      EXPECT_TRUE(device.sent.empty());
      device.advance(1ns);
    }
    EXPECT_TRUE(device.last<protocol::Advertise>());
    EXPECT_EQ(device.now.moment, arrived + each.leaf);
    cohort.drop(device);
    device.hear(coordinator.result(fields, protocol::Outcome::aborted, ModelVersion(1)));
  }
}

TEST_F(DeviceRound, AnUpdateGoesOutInPiecesOnlyAsFastAsTheyAreWritten) {
  FakeCoordinator large(2, 60'000);
  TestDevice other(large);
  other.rate("item-59999", 5);
  other.join(large);
  Cohort cohort(large, other, large.plan_fields(1));
  other.invite(cohort.manifest());
  cohort.run_to(other, DevicePhase::uploaded);
  std::size_t pieces = 0;
  other.sent = {other.sent.back()};
  while (const auto update = other.last<protocol::Update>()) {
    EXPECT_EQ(other.sent.size(), 1U) << "one piece at a time";
    EXPECT_EQ(update->session, cohort.fields().session);
    EXPECT_EQ(update->offset, pieces * protocol::kChunkSize);
    EXPECT_LE(update->data.size(), protocol::kChunkSize);
    ++pieces;
    other.sent.clear();
    ASSERT_TRUE(cohort.pass(other));  // the coordinator reads it
    ASSERT_TRUE(cohort.pass(other));  // it was written
  }
  EXPECT_TRUE(other.last<protocol::Masked>()) << "the end comes after the last piece";
  EXPECT_EQ(pieces, (other.released.size() + protocol::kChunkSize - 1) / protocol::kChunkSize);
  EXPECT_GT(pieces, 2U);
  EXPECT_EQ(other.all_events<event::Uploaded>().size(), pieces);
  cohort.run(other);
  EXPECT_EQ(cohort.coordinates(), cohort.expected_with(expected_update(large, other.store(), plan::Purpose::train)));
}

TEST_F(DeviceRound, EveryUploadHasTheSameSizeWhateverTheUserRated) {
  TestDevice nobody(coordinator);
  for (TestDevice* each : {&device, &nobody}) {
    each->join(coordinator);
    Cohort cohort(coordinator, *each, coordinator.plan_fields(1));
    cohort.play(*each);
    EXPECT_EQ(each->phase(), DevicePhase::unmasked);
  }
  EXPECT_EQ(device.released.size(), nobody.released.size());
  EXPECT_NE(device.released, nobody.released);
}

TEST_F(DeviceRound, AnAbortBeforeTheUploadIsThroughEndsTheUpload) {
  device.join(coordinator);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::uploaded);
  device.hear(coordinator.result(cohort.fields(), protocol::Outcome::aborted, ModelVersion(1)));
  EXPECT_TRUE(device.last<protocol::Ready>());
  const std::size_t before = device.sent.size();
  device.written();  // of the piece that was on its way
  EXPECT_EQ(device.sent.size(), before);
  EXPECT_EQ(device.phase(), DevicePhase::ready);
  EXPECT_EQ(device.round(), nullptr);
  EXPECT_EQ(device.latest().ending, Ending::aborted);
  EXPECT_EQ(device.latest().reason, "too few");
  EXPECT_FALSE(device.all_events<event::RoundEnded>().at(0).delivered);
}

TEST_F(DeviceRound, AnAbortBeforeTheUpdateLeavesChargesNothing) {
  device.join(coordinator);
  std::uint64_t number = 0;
  for (const DevicePhase phase : {DevicePhase::preparing, DevicePhase::advertised, DevicePhase::shared}) {
    Cohort cohort(coordinator, device, coordinator.plan_fields(++number));
    device.hear(cohort.manifest());
    if (phase != DevicePhase::preparing) {
      device.advance(Participant::kSlot);
      cohort.run_to(device, phase);
    }
    cohort.drop(device);
    device.hear(coordinator.result(cohort.fields(), protocol::Outcome::aborted, ModelVersion(1)));
    EXPECT_EQ(device.phase(), DevicePhase::ready);
    EXPECT_EQ(device.latest().round, RoundId(number));
    EXPECT_EQ(device.latest().ending, Ending::withheld);
    EXPECT_EQ(device.latest().reason, "too few");
  }
  EXPECT_TRUE(device.released.empty());
  EXPECT_EQ(*device.store().attempts(coordinator.header().model_id, plan::Purpose::train), 0U);
}

TEST_F(DeviceRound, AModelThatThePlanNeedsIsFetchedFirst) {
  device.join(coordinator);
  learn(2);
  device.sent.clear();
  device.hear(coordinator.published());
  const auto fetch = device.last<protocol::Fetch>();
  ASSERT_TRUE(fetch);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.hear(cohort.manifest());
  EXPECT_EQ(device.phase(), DevicePhase::preparing);
  EXPECT_EQ(*device.store().highest_round(), RoundId(0));
  for (const auto& blob : coordinator.blobs(*fetch)) device.hear(blob);
  EXPECT_EQ(*device.store().highest_round(), RoundId(1));
  device.advance(Participant::kSlot);
  cohort.run(device);
  EXPECT_EQ(cohort.coordinates(),
            cohort.expected_with(expected_update(coordinator, device.store(), plan::Purpose::train)));
}

TEST_F(DeviceRound, AVersionPublishedWhileInARoundIsFetchedAfterTheResult) {
  device.join(coordinator);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  cohort.play(device);
  learn(2);
  device.hear(coordinator.published());
  EXPECT_FALSE(device.last<protocol::Fetch>());
  device.hear(coordinator.result(cohort.fields(), protocol::Outcome::published, ModelVersion(2)));
  EXPECT_EQ(device.last<protocol::Fetch>()->version, 2U);
  device.fetch_all(coordinator);
  EXPECT_TRUE(device.last<protocol::Ready>());
}

TEST_F(DeviceRound, AVersionThatNeverComesIsNotWaitedForForever) {
  device.join(coordinator);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  cohort.play(device);
  device.sent.clear();
  device.hear(coordinator.result(cohort.fields(), protocol::Outcome::published, ModelVersion(2)));
  EXPECT_EQ(device.participant().next_deadline(), device.now.moment + Participant::kPublishTimeout);
  device.advance(Participant::kPublishTimeout - 1ns);
  EXPECT_FALSE(device.last<protocol::Ready>());
  device.advance(1ns);
  EXPECT_EQ(device.last<protocol::Ready>()->model_version, ModelVersion(1));
}

TEST_F(DeviceRound, ASurveyAndAMeasurementAreContributedToAsWell) {
  device.join(coordinator);
  std::uint64_t number = 0;
  for (const auto purpose : {plan::Purpose::survey, plan::Purpose::measure}) {
    Cohort cohort(coordinator, device, coordinator.plan_fields(++number, purpose));
    cohort.play(device);
    EXPECT_EQ(cohort.coordinates(), cohort.expected_with(expected_update(coordinator, device.store(), purpose)));
    device.hear(coordinator.result(cohort.fields(), protocol::Outcome::measured, ModelVersion(1)));
    EXPECT_EQ(device.latest().ending, Ending::measured);
  }
  EXPECT_EQ(*device.store().attempts(coordinator.header().model_id, plan::Purpose::survey), 1U);
}

TEST_F(DeviceRound, AfterItsRoundsItFetchesTheNewVersionAndAsksForNoMore) {
  TestDevice once(coordinator, {.rounds = 1});
  once.join(coordinator);
  Cohort cohort(coordinator, once, coordinator.plan_fields(1));
  cohort.play(once);
  once.sent.clear();
  once.events.clear();
  once.hear(coordinator.result(cohort.fields(), protocol::Outcome::published, ModelVersion(2)));
  EXPECT_TRUE(once.all_events<event::Synced>().empty());
  learn(2);
  once.hear(coordinator.published());
  once.fetch_all(coordinator);
  EXPECT_EQ(once.all_events<event::Synced>().at(0).version, ModelVersion(2));
  EXPECT_FALSE(once.last<protocol::Ready>());
}

TEST_F(DeviceRound, AnAbortedRoundDoesNotCountAsDone) {
  TestDevice once(coordinator, {.rounds = 1});
  once.join(coordinator);
  Cohort cohort(coordinator, once, coordinator.plan_fields(1));
  cohort.play(once);
  once.hear(coordinator.result(cohort.fields(), protocol::Outcome::aborted, ModelVersion(1)));
  EXPECT_TRUE(once.last<protocol::Ready>());
}

}  // namespace
}  // namespace chorus::client
