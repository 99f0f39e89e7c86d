// A conversation outside and around rounds: greeting, fetching, waiting, deadlines, and what each phase accepts.
#include "client/round/participant.hpp"

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

class ParticipantTest : public ::testing::Test {
 protected:
  ParticipantTest() : device(coordinator) {
    device.rate("item-3", 5);
    device.rate("item-7", 2);
  }
  FakeCoordinator coordinator;
  TestDevice device;
};

TEST_F(ParticipantTest, FirstContactPinsTheKeyFetchesEverythingAndAsksToBeInvited) {
  device.start();
  EXPECT_EQ(device.last<protocol::Hello>()->protocol_version, protocol::kProtocolVersion);
  device.hear(coordinator.welcome());
  EXPECT_EQ(device.last<protocol::Fetch>()->kind, protocol::BlobKind::catalogue);
  EXPECT_EQ(device.phase(), protocol::DevicePhase::synchronizing);
  device.fetch_all(coordinator);
  EXPECT_EQ(*device.last<protocol::Ready>(), (protocol::Ready{.model_version = ModelVersion(1), .has_model = true}));
  EXPECT_EQ(device.phase(), protocol::DevicePhase::ready);
  EXPECT_EQ(**device.store().coordinator_key(), coordinator.key());
  EXPECT_EQ((*device.store().model())->tensors, coordinator.tensors());
  EXPECT_EQ((*device.store().catalogue())->bytes, coordinator.catalogue().encode());
  EXPECT_TRUE(device.all_events<event::Joined>().at(0).first_contact);
  EXPECT_EQ(device.all_events<event::ModelAccepted>().size(), 1U);
  EXPECT_EQ(device.all_events<event::Synced>().size(), 1U);
}

TEST_F(ParticipantTest, ASecondConversationFetchesNothingAgain) {
  device.join(coordinator);
  device.restart(coordinator);
  device.sent.clear();
  device.start();
  device.hear(coordinator.welcome());
  EXPECT_EQ(device.sent.size(), 2U);
  EXPECT_TRUE(device.last<protocol::Ready>());
  EXPECT_FALSE(device.all_events<event::Joined>().back().first_contact);
}

TEST_F(ParticipantTest, WithoutRoundsToDoItFetchesAndStops) {
  TestDevice reader(coordinator, {.rounds = 0});
  reader.join(coordinator);
  EXPECT_FALSE(reader.last<protocol::Ready>());
  EXPECT_EQ(reader.all_events<event::Synced>().at(0).version, ModelVersion(1));
  EXPECT_FALSE(reader.ended());
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

TEST_F(ParticipantTest, ADateThatTheCoordinatorAloneFindsWrongMayBeRightLater) {
  for (const ErrorCode code : {ErrorCode::not_yet_valid, ErrorCode::expired, ErrorCode::revoked}) {
    device.restart(coordinator);
    device.join(coordinator);
    device.hear(protocol::Refusal{.code = code, .sentence = "the identity"});
    ASSERT_TRUE(device.end.has_value());
    EXPECT_EQ(device.end->error.code(), code);
    EXPECT_EQ(device.end->clocks_differ, code != ErrorCode::revoked);
  }
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
  device.restart(longer);
  device.sent.clear();
  device.join(longer);
  EXPECT_EQ(device.last<protocol::Ready>()->model_version, ModelVersion(2));
  EXPECT_EQ((*device.store().model())->items, testing::kItems + 2);
}

TEST_F(ParticipantTest, ARefusalEndsTheConversationAndCarriesItsWish) {
  device.start();
  device.hear(protocol::Refusal{
      .code = ErrorCode::overloaded, .sentence = "too many devices", .retry_after = std::chrono::seconds(7)});
  EXPECT_EQ(device.end_code(), ErrorCode::overloaded);
  EXPECT_EQ(device.end->retry_after, std::chrono::seconds(7));
  EXPECT_THAT(device.end->error.sentence(), HasSubstr("too many devices"));
}

TEST_F(ParticipantTest, DeadlinesEndEveryPhaseThatWaits) {
  device.start();
  EXPECT_EQ(device.participant().next_deadline(), device.now.moment + Participant::kWelcomeTimeout);
  device.advance(Participant::kWelcomeTimeout - 1ns);
  EXPECT_FALSE(device.ended());
  device.advance(1ns);
  EXPECT_EQ(device.end_code(), ErrorCode::timeout);

  device.restart(coordinator);
  device.start();
  device.hear(coordinator.welcome());
  device.advance(Participant::kBlobTimeout);
  EXPECT_EQ(device.end_code(), ErrorCode::timeout);
  EXPECT_TRUE(device.ended());

  device.restart(coordinator);
  device.join(coordinator);
  EXPECT_FALSE(device.participant().next_deadline()) << "an invitation may take as long as it takes";
}

TEST_F(ParticipantTest, ACoordinatorThatFallsSilentInARoundIsLeftAfterThePhasesTime) {
  device.join(coordinator);
  std::uint64_t number = 0;
  const auto& deadlines = plan::kDefaultDeadlines;
  const Duration slack = 30s;  // for what is on its way
  for (const auto& [phase, wait] :
       {std::pair(DevicePhase::advertised, deadlines[0] + slack), std::pair(DevicePhase::shared, deadlines[1] + slack),
        std::pair(DevicePhase::uploaded, deadlines[2] + slack), std::pair(DevicePhase::voted, deadlines[3] + slack),
        std::pair(DevicePhase::unmasked, deadlines[4] + slack + FakeCoordinator::floors().longest_phase)}) {
    Cohort cohort(coordinator, device, coordinator.plan_fields(++number));
    device.invite(cohort.manifest());
    cohort.run_to(device, phase);
    // Another model each time: three attempts at one model are all that there are.
    coordinator.state().shared.tensors[0].values[0] += 1;
    coordinator.publish(ModelVersion(number + 1), number);
    device.hear(coordinator.published());
    device.advance(wait - 1ns);
    ASSERT_FALSE(device.ended()) << number;
    device.advance(1ns);
    EXPECT_EQ(device.end_code(), ErrorCode::aborted) << "one cohort's silence is no reason to stay away";
    EXPECT_EQ(device.last<protocol::Decline>()->code, ErrorCode::timeout);
    EXPECT_EQ(device.round(), nullptr);
    EXPECT_EQ(device.latest().ending, phase < DevicePhase::uploaded ? Ending::withheld : Ending::lost);
    device.restart(coordinator);
    device.join(coordinator);
  }
}

TEST_F(ParticipantTest, APlanWhoseModelDoesNotComeInTimeIsLeft) {
  device.join(coordinator);
  coordinator.state().shared.tensors[0].values[0] += 1;
  coordinator.publish(ModelVersion(2), 1);
  device.hear(coordinator.published());
  const auto fields = coordinator.plan_fields(1);
  device.hear(coordinator.manifest(fields));
  EXPECT_EQ(device.participant().next_deadline(), device.now.moment + fields.deadlines[0]);
  device.advance(fields.deadlines[0]);
  EXPECT_EQ(device.last<protocol::Decline>()->code, ErrorCode::late);
  EXPECT_EQ(device.end_code(), ErrorCode::aborted);
  EXPECT_TRUE(device.all_sent<protocol::Advertise>().empty());
  EXPECT_EQ(*device.store().highest_round(), RoundId(0)) << "nothing was promised yet";
}

TEST_F(ParticipantTest, InEveryPhaseEveryOtherMessageIsOutOfPhase) {
  const std::vector<protocol::Message> messages = {
      protocol::Hello{},     protocol::Fetch{},       protocol::Ready{},    protocol::Decline{},   protocol::Update{},
      protocol::Welcome{},   protocol::Blob{},        protocol::Waiting{},  protocol::Manifest{},  protocol::Result{},
      protocol::Published{}, protocol::Finished{},    protocol::Refusal{},  protocol::Advertise{}, protocol::Shares{},
      protocol::Masked{},    protocol::Vote{},        protocol::Openings{}, protocol::Roster{},    protocol::Delivery{},
      protocol::Survivors{}, protocol::Certificate{}, protocol::Resume{},   protocol::Resumed{}};
  ASSERT_EQ(messages.size(), std::size_t{protocol::kMessageTypes});
  for (int number = 0; number <= static_cast<int>(DevicePhase::resuming); ++number) {
    const auto phase = static_cast<DevicePhase>(number);
    for (const auto& message : messages) {
      TestDevice each(coordinator);
      each.start();
      if (phase >= DevicePhase::synchronizing) each.hear(coordinator.welcome());
      if (phase >= DevicePhase::ready) each.fetch_all(coordinator);
      Cohort cohort(coordinator, each, coordinator.plan_fields(1));
      if (phase >= DevicePhase::preparing) each.hear(cohort.manifest());
      if (phase >= DevicePhase::advertised) {
        each.advance(Participant::kSlot);
        cohort.run_to(each, phase == DevicePhase::resuming ? DevicePhase::shared : phase);
      }
      if (phase == DevicePhase::resuming) cohort.reconnect(each, coordinator);
      ASSERT_EQ(each.phase(), phase);
      const std::size_t before = each.released.size();
      const std::size_t said = each.sent.size();
      const bool accepted = protocol::accepts(phase, protocol::type_of(message));
      each.hear(message);
      // A piece of a download is accepted in more phases than there is a download in.
      const bool refused =
          !accepted || (std::holds_alternative<protocol::Blob>(message) && phase >= DevicePhase::ready);
      EXPECT_EQ(each.ended() && each.end_code() == ErrorCode::out_of_phase, refused)
          << "phase " << number << ", " << protocol::to_string(protocol::type_of(message));
      EXPECT_EQ(each.released.size(), before);
      if (refused) {
        EXPECT_EQ(each.sent.size(), said) << "and says nothing more";
        EXPECT_EQ(each.round(), nullptr) << "the round died with it";
      }
    }
  }
}

}  // namespace
}  // namespace chorus::client
