#include "client/round/participant.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/train/device_data.hpp"
#include "tests/client/round/fake_coordinator.hpp"

namespace chorus::client {
namespace {

using ::testing::ElementsAre;
using testing::FakeCoordinator;
using ::testing::HasSubstr;
using testing::TestDevice;

// What the device ought to upload, computed apart from the participant.
Bytes expected_update(const FakeCoordinator& coordinator, Store& store, plan::Purpose purpose) {
  const DeviceData data = make_device_data(*store.ratings(), coordinator.catalogue(), coordinator.catalogue().size(),
                                           coordinator.job().contract);
  ring::Contribution contribution;
  coordinator.model().contribute(purpose, coordinator.state().shared, data.view(), contribution);
  ring::EncodeCounts counts;
  const auto packed = ring::encode(coordinator.model().layout(purpose), contribution, counts);
  return Bytes(packed->begin(), packed->end());
}

void upload_all(TestDevice& device) {
  while (device.last<protocol::Update>()) {
    device.sent.clear();
    device.written();
  }
}

class ParticipantTest : public ::testing::Test {
 protected:
  ParticipantTest() : device(coordinator.key()) {
    device.rate("item-3", 5);
    device.rate("item-7", 2);
    device.rate("item-9", 4, true);
    device.rate("unheard-of", 4);
  }
  FakeCoordinator coordinator;
  TestDevice device;
};

TEST_F(ParticipantTest, FirstContactPinsTheKeyFetchesEverythingAndAsksToBeInvited) {
  device.start();
  EXPECT_EQ(device.last<protocol::Hello>()->protocol_version, protocol::kProtocolVersion);
  device.hear(coordinator.welcome());
  EXPECT_EQ(device.last<protocol::Fetch>()->kind, protocol::BlobKind::catalogue);
  EXPECT_EQ(device.participant().phase(), protocol::DevicePhase::synchronizing);
  device.fetch_all(coordinator);
  EXPECT_EQ(*device.last<protocol::Ready>(), (protocol::Ready{.model_version = ModelVersion(1), .has_model = true}));
  EXPECT_EQ(device.participant().phase(), protocol::DevicePhase::ready);
  EXPECT_EQ(**device.store().coordinator_key(), coordinator.key());
  EXPECT_EQ((*device.store().model())->tensors, coordinator.tensors());
  EXPECT_EQ((*device.store().catalogue())->bytes, coordinator.catalogue().encode());
  EXPECT_TRUE(device.all_events<event::Joined>().at(0).first_contact);
  EXPECT_EQ(device.all_events<event::ModelAccepted>().size(), 1U);
  EXPECT_EQ(device.all_events<event::Synced>().size(), 1U);
}

TEST_F(ParticipantTest, ASecondConversationFetchesNothingAgain) {
  device.join(coordinator);
  device.reconnect(coordinator.key());
  device.sent.clear();
  device.start();
  device.hear(coordinator.welcome());
  EXPECT_EQ(device.sent.size(), 2U);
  EXPECT_TRUE(device.last<protocol::Ready>());
  EXPECT_FALSE(device.all_events<event::Joined>().back().first_contact);
}

TEST_F(ParticipantTest, AWholeRoundUploadsExactlyWhatTheModelContributes) {
  device.join(coordinator);
  const auto fields = coordinator.plan_fields(1);
  device.hear(coordinator.manifest(fields));
  EXPECT_EQ(device.participant().phase(), protocol::DevicePhase::contributing);
  const auto update = device.last<protocol::Update>();
  ASSERT_TRUE(update);
  EXPECT_EQ(update->session, fields.session);
  upload_all(device);
  EXPECT_EQ(device.participant().phase(), protocol::DevicePhase::awaiting);
  EXPECT_EQ(device.released, expected_update(coordinator, device.store(), plan::Purpose::train));
  EXPECT_EQ((*device.store().history(1))[0].ending, Ending::lost) << "until a result says otherwise";

  device.hear(coordinator.result(fields, protocol::Outcome::published, ModelVersion(2)));
  EXPECT_FALSE(device.last<protocol::Ready>()) << "the version that the result names is still to come";
  coordinator.state().shared.tensors[0].values[0] += 1;
  coordinator.publish(ModelVersion(2), 1);
  device.hear(coordinator.published());
  device.fetch_all(coordinator);
  EXPECT_EQ(device.last<protocol::Ready>()->model_version, ModelVersion(2));
  const Participation line = (*device.store().history(1))[0];
  EXPECT_EQ(line.ending, Ending::published);
  EXPECT_EQ(line.members, 5U);
  EXPECT_EQ(line.survivors, 4U);
  EXPECT_EQ(line.bytes_up, device.released.size());
  EXPECT_GT(line.bytes_down, coordinator.tensors().size());
  EXPECT_TRUE(device.all_events<event::RoundEnded>().at(0).delivered);
}

TEST_F(ParticipantTest, AnUpdateGoesOutInPiecesOnlyAsFastAsTheyAreWritten) {
  FakeCoordinator large(2, 60'000);
  TestDevice other(large.key(), {}, {.least_survivors = 1, .most_dropout = {1, 2}});
  other.rate("item-59999", 5);
  other.join(large);
  other.sent.clear();
  other.hear(large.manifest(large.plan_fields(1)));
  std::size_t pieces = 0;
  while (const auto update = other.last<protocol::Update>()) {
    EXPECT_EQ(other.sent.size(), 1U) << "one piece at a time";
    EXPECT_EQ(update->offset, pieces * protocol::kChunkSize);
    EXPECT_LE(update->data.size(), protocol::kChunkSize);
    ++pieces;
    other.sent.clear();
    other.written();
  }
  EXPECT_EQ(pieces, (other.released.size() + protocol::kChunkSize - 1) / protocol::kChunkSize);
  EXPECT_GT(pieces, 2U);
  EXPECT_EQ(other.released, expected_update(large, other.store(), plan::Purpose::train));
  EXPECT_EQ(other.participant().phase(), protocol::DevicePhase::awaiting);
}

TEST_F(ParticipantTest, EveryUploadHasTheSameSizeWhateverTheUserRated) {
  TestDevice nobody(coordinator.key());
  for (TestDevice* each : {&device, &nobody}) {
    each->join(coordinator);
    each->hear(coordinator.manifest(coordinator.plan_fields(1)));
    upload_all(*each);
  }
  EXPECT_EQ(device.released.size(), nobody.released.size());
  EXPECT_NE(device.released, nobody.released);
}

TEST_F(ParticipantTest, TheRoundIsReservedBeforeTheFirstPieceIsHandedOut) {
  device.join(coordinator);
  device.hear(coordinator.manifest(coordinator.plan_fields(9)));
  EXPECT_TRUE(device.last<protocol::Update>());
  EXPECT_EQ(*device.store().highest_round(), RoundId(9));
  EXPECT_EQ(*device.store().attempts(coordinator.header().model_id, plan::Purpose::train), 1U);
}

TEST_F(ParticipantTest, AnAbortBeforeTheUploadIsThroughEndsTheUpload) {
  device.join(coordinator);
  const auto fields = coordinator.plan_fields(1);
  device.hear(coordinator.manifest(fields));
  device.hear(coordinator.result(fields, protocol::Outcome::aborted, ModelVersion(1)));
  EXPECT_TRUE(device.last<protocol::Ready>());
  const std::size_t before = device.released.size();
  device.written();  // of the piece that was on its way
  EXPECT_EQ(device.released.size(), before);
  EXPECT_EQ(device.participant().phase(), protocol::DevicePhase::ready);
  const Participation line = (*device.store().history(1))[0];
  EXPECT_EQ(line.ending, Ending::aborted);
  EXPECT_EQ(line.reason, "too few");
  EXPECT_FALSE(device.all_events<event::RoundEnded>().at(0).delivered);
}

TEST_F(ParticipantTest, AModelThatThePlanNeedsIsFetchedFirst) {
  device.join(coordinator);
  coordinator.state().shared.tensors[0].values[0] += 1;
  coordinator.publish(ModelVersion(2), 1);
  device.sent.clear();
  device.hear(coordinator.published());
  const auto fetch = device.last<protocol::Fetch>();
  ASSERT_TRUE(fetch);
  device.hear(coordinator.manifest(coordinator.plan_fields(1)));
  EXPECT_EQ(device.participant().phase(), protocol::DevicePhase::contributing);
  EXPECT_TRUE(device.released.empty());
  for (const auto& blob : coordinator.blobs(*fetch)) device.hear(blob);
  EXPECT_TRUE(device.last<protocol::Update>());
  upload_all(device);
  EXPECT_EQ(device.released, expected_update(coordinator, device.store(), plan::Purpose::train));
}

TEST_F(ParticipantTest, AVersionPublishedWhileInARoundIsFetchedAfterTheResult) {
  device.join(coordinator);
  const auto fields = coordinator.plan_fields(1);
  device.hear(coordinator.manifest(fields));
  upload_all(device);
  coordinator.state().shared.tensors[0].values[0] += 1;
  coordinator.publish(ModelVersion(2), 1);
  device.hear(coordinator.published());
  EXPECT_FALSE(device.last<protocol::Fetch>());
  device.hear(coordinator.result(fields, protocol::Outcome::published, ModelVersion(2)));
  EXPECT_EQ(device.last<protocol::Fetch>()->version, 2U);
  device.fetch_all(coordinator);
  EXPECT_TRUE(device.last<protocol::Ready>());
}

TEST_F(ParticipantTest, AVersionThatNeverComesIsNotWaitedForForever) {
  device.join(coordinator);
  const auto fields = coordinator.plan_fields(1);
  device.hear(coordinator.manifest(fields));
  upload_all(device);
  device.sent.clear();
  device.hear(coordinator.result(fields, protocol::Outcome::published, ModelVersion(2)));
  EXPECT_EQ(device.participant().next_deadline(), device.now.moment + Participant::kPublishTimeout);
  device.advance(Participant::kPublishTimeout - 1ns);
  EXPECT_FALSE(device.last<protocol::Ready>());
  device.advance(1ns);
  EXPECT_EQ(device.last<protocol::Ready>()->model_version, ModelVersion(1));
}

TEST_F(ParticipantTest, ASurveyAndAMeasurementAreContributedToAsWell) {
  device.join(coordinator);
  std::uint64_t number = 0;
  for (const auto purpose : {plan::Purpose::survey, plan::Purpose::measure}) {
    const auto fields = coordinator.plan_fields(++number, purpose);
    device.released.clear();
    device.hear(coordinator.manifest(fields));
    upload_all(device);
    EXPECT_EQ(device.released, expected_update(coordinator, device.store(), purpose));
    device.hear(coordinator.result(fields, protocol::Outcome::measured, ModelVersion(1)));
  }
  EXPECT_EQ((*device.store().history(1))[0].ending, Ending::measured);
}

TEST_F(ParticipantTest, WithoutRoundsToDoItFetchesAndStops) {
  TestDevice reader(coordinator.key(), 0);
  reader.join(coordinator);
  EXPECT_FALSE(reader.last<protocol::Ready>());
  EXPECT_EQ(reader.all_events<event::Synced>().at(0).version, ModelVersion(1));
  EXPECT_FALSE(reader.ended());
}

TEST_F(ParticipantTest, AfterItsRoundsItFetchesTheNewVersionAndAsksForNoMore) {
  TestDevice once(coordinator.key(), 1);
  once.join(coordinator);
  const auto fields = coordinator.plan_fields(1);
  once.hear(coordinator.manifest(fields));
  upload_all(once);
  once.sent.clear();
  once.events.clear();
  once.hear(coordinator.result(fields, protocol::Outcome::published, ModelVersion(2)));
  EXPECT_TRUE(once.all_events<event::Synced>().empty());
  coordinator.state().shared.tensors[0].values[0] += 1;
  coordinator.publish(ModelVersion(2), 1);
  once.hear(coordinator.published());
  once.fetch_all(coordinator);
  EXPECT_EQ(once.all_events<event::Synced>().at(0).version, ModelVersion(2));
  EXPECT_FALSE(once.last<protocol::Ready>());
}

TEST_F(ParticipantTest, AnAbortedRoundDoesNotCountAsDone) {
  TestDevice once(coordinator.key(), 1);
  once.join(coordinator);
  const auto fields = coordinator.plan_fields(1);
  once.hear(coordinator.manifest(fields));
  upload_all(once);
  once.hear(coordinator.result(fields, protocol::Outcome::aborted, ModelVersion(1)));
  EXPECT_TRUE(once.last<protocol::Ready>());
}

TEST_F(ParticipantTest, AFinishedJobIsFetchedAndSaidOnce) {
  device.start();
  protocol::Welcome welcome = coordinator.welcome();
  welcome.finished = true;
  device.hear(welcome);
  device.fetch_all(coordinator);
  EXPECT_EQ(device.all_events<event::JobFinished>().size(), 1U);
  EXPECT_FALSE(device.last<protocol::Ready>());
  device.hear(protocol::Finished{});
  EXPECT_EQ(device.all_events<event::JobFinished>().size(), 1U);
}

TEST_F(ParticipantTest, AJobMayFinishWhileTheDeviceWaits) {
  device.join(coordinator);
  device.hear(protocol::Waiting{.devices_ready = 3, .devices_needed = 10});
  EXPECT_EQ(device.all_events<event::Waiting>().at(0).devices_needed, 10U);
  device.hear(protocol::Finished{});
  EXPECT_EQ(device.all_events<event::JobFinished>().size(), 1U);
  EXPECT_FALSE(device.ended());
}

TEST_F(ParticipantTest, BeforeTheFirstVersionItWaitsForOne) {
  protocol::Welcome welcome = coordinator.welcome();
  welcome.model.reset();
  device.start();
  device.hear(welcome);
  device.fetch_all(coordinator);
  EXPECT_FALSE(device.last<protocol::Ready>()->has_model);
  EXPECT_FALSE(device.all_events<event::Synced>().at(0).version);
  device.hear(coordinator.published());
  EXPECT_EQ(device.last<protocol::Fetch>()->kind, protocol::BlobKind::model);
  device.fetch_all(coordinator);
  EXPECT_EQ(device.all_events<event::Synced>().back().version, ModelVersion(1));
}

TEST_F(ParticipantTest, ALongerCatalogueIsFetchedAndTheModelGrowsWithIt) {
  device.join(coordinator);
  FakeCoordinator longer(1, testing::kItems + 2);  // the same seed, the same key
  longer.set_catalogue(testing::make_test_catalogue(testing::kItems + 2, 2));
  longer.publish(ModelVersion(2), 0);
  ASSERT_EQ(longer.key(), coordinator.key());
  device.hear(longer.published());
  EXPECT_EQ(device.end_code(), ErrorCode::aborted) << "only a welcome brings a catalogue";
  EXPECT_FALSE(is_permanent(device.end_code()));
  device.reconnect(coordinator.key());
  device.sent.clear();
  device.join(longer);
  EXPECT_EQ(device.last<protocol::Ready>()->model_version, ModelVersion(2));
  EXPECT_EQ((*device.store().model())->items, testing::kItems + 2);
}

TEST_F(ParticipantTest, DeadlinesEndEveryPhaseThatWaits) {
  device.start();
  EXPECT_EQ(device.participant().next_deadline(), device.now.moment + Participant::kWelcomeTimeout);
  device.advance(Participant::kWelcomeTimeout);
  EXPECT_EQ(device.end_code(), ErrorCode::timeout);

  device.reconnect(coordinator.key());
  device.start();
  device.hear(coordinator.welcome());
  device.advance(Participant::kBlobTimeout);
  EXPECT_EQ(device.end_code(), ErrorCode::timeout);
  EXPECT_TRUE(device.ended());

  device.reconnect(coordinator.key());
  device.join(coordinator);
  EXPECT_FALSE(device.participant().next_deadline()) << "an invitation may take as long as it takes";
  const auto fields = coordinator.plan_fields(1);
  device.hear(coordinator.manifest(fields));
  device.advance(fields.upload_deadline - 1ns);
  EXPECT_FALSE(device.ended());
  device.advance(1ns);
  EXPECT_EQ(device.end_code(), ErrorCode::late);

  device.reconnect(coordinator.key());
  device.join(coordinator);
  device.hear(coordinator.manifest(coordinator.plan_fields(2)));
  upload_all(device);
  device.advance(FakeCoordinator::floors().longest_phase);
  EXPECT_EQ(device.end_code(), ErrorCode::timeout);
  EXPECT_EQ((*device.store().history(1))[0].ending, Ending::lost);
}

TEST_F(ParticipantTest, ARefusalEndsTheConversationAndCarriesItsWish) {
  device.start();
  device.hear(protocol::Refusal{
      .code = ErrorCode::overloaded, .sentence = "too many devices", .retry_after = std::chrono::seconds(7)});
  EXPECT_EQ(device.end_code(), ErrorCode::overloaded);
  EXPECT_EQ(device.end->retry_after, std::chrono::seconds(7));
  EXPECT_THAT(device.end->error.sentence(), HasSubstr("too many devices"));
}

TEST_F(ParticipantTest, InEveryPhaseEveryOtherMessageIsOutOfPhase) {
  const std::vector<protocol::Message> messages = {
      protocol::Hello{},     protocol::Fetch{},    protocol::Ready{},   protocol::Decline{},  protocol::Update{},
      protocol::Welcome{},   protocol::Blob{},     protocol::Waiting{}, protocol::Manifest{}, protocol::Result{},
      protocol::Published{}, protocol::Finished{}, protocol::Refusal{}};
  ASSERT_EQ(messages.size(), std::size_t{protocol::kMessageTypes});
  for (int phase = 0; phase < 5; ++phase) {
    for (const auto& message : messages) {
      TestDevice each(coordinator.key());
      each.start();
      if (phase >= 1) each.hear(coordinator.welcome());
      if (phase >= 2) each.fetch_all(coordinator);
      if (phase >= 3) each.hear(coordinator.manifest(coordinator.plan_fields(1)));
      if (phase >= 4) upload_all(each);
      ASSERT_EQ(static_cast<int>(each.participant().phase()), phase);
      const bool accepted = protocol::accepts(each.participant().phase(), protocol::type_of(message));
      const std::size_t before = each.released.size();
      each.hear(message);
      EXPECT_EQ(each.end_code() == ErrorCode::out_of_phase && each.ended(),
                !accepted || (std::holds_alternative<protocol::Blob>(message) && phase >= 2))
          << "phase " << phase << ", " << protocol::to_string(protocol::type_of(message));
      EXPECT_EQ(each.released.size(), before);
    }
  }
}

}  // namespace
}  // namespace chorus::client
