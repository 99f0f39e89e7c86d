#include "coordinator/federation/federation.hpp"

#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;
using protocol::CoordinatorPhase;
using protocol::MessageType;

JobStart start_of(std::uint64_t rounds) {
  return new_job(make_job(rounds), make_items(20), make_key()).value();
}

protocol::RoundResult last_result(const Town::Device& device) {
  return protocol::RoundResult::decode(device.last<protocol::Result>()->result.document).value();
}

TEST(Federation, SurveysTrainsToTheGoalMeasuresAndFinishes) {
  Town town(make_settings(), start_of(4));
  town.connect(1, 5);
  town.advance(5s);
  // Everybody is back at once after each round, so nobody waits again.
  EXPECT_TRUE(town.federation().finished());
  const auto rounds = town.logged<RoundClosed>();
  ASSERT_EQ(rounds.size(), 6U);
  EXPECT_EQ(rounds[0].purpose, plan::Purpose::survey);
  for (std::size_t i = 1; i <= 4; ++i) EXPECT_EQ(rounds[i].purpose, plan::Purpose::train);
  EXPECT_EQ(rounds[5].purpose, plan::Purpose::measure);
  EXPECT_FALSE(rounds[0].quality.has_value());
  // It learns: each training round measured the version that it started from.
  EXPECT_LT(rounds[5].quality->training_rmse, 0.9 * rounds[1].quality->training_rmse);
  EXPECT_EQ(rounds[5].quality->devices, 5U);
  EXPECT_EQ(town.federation().version().header.training_rounds, 4U);
  EXPECT_EQ(town.federation().version().header.version, ModelVersion(5));
  const Progress& progress = town.federation().progress();
  EXPECT_EQ(progress.last_round, RoundId(6));
  EXPECT_TRUE(progress.surveyed && progress.measured);
  EXPECT_EQ(progress.ledger.rounds(), 6U);
  for (std::uint32_t i = 1; i <= 5; ++i) {
    EXPECT_EQ(town.device(i).count(MessageType::manifest), 6U);
    EXPECT_EQ(town.device(i).count(MessageType::result), 6U);
    EXPECT_EQ(town.device(i).count(MessageType::published), 5U);
    EXPECT_GE(town.device(i).count(MessageType::finished), 1U);  // again for a Ready that crossed it
    EXPECT_EQ(last_result(town.device(i)).outcome, protocol::Outcome::measured);
  }
  EXPECT_FALSE(town.stopped.has_value());
}

TEST(Federation, AFinishedJobServesItsModelAndInvitesNobody) {
  Town town(make_settings(), start_of(1));
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_TRUE(town.federation().finished());
  town.connect(9);
  EXPECT_TRUE(town.device(9).last<protocol::Welcome>()->finished);
  EXPECT_EQ(town.device(9).held->training_rounds, 1U);
  EXPECT_FALSE(town.device(9).shared.tensors.empty());
  EXPECT_EQ(town.device(9).count(MessageType::finished), 1U);
  town.advance(1h);
  EXPECT_EQ(town.device(9).count(MessageType::manifest), 0U);
}

TEST(Federation, EndsWhenFinishedIfItIsToldSo) {
  auto settings = make_settings();
  settings.exit_when_finished = true;
  Town town(settings, start_of(1));
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_TRUE(town.stopped.has_value());
  EXPECT_TRUE(town.stopped->has_value());
  EXPECT_EQ(town.device(1).count(MessageType::finished), 1U);
  EXPECT_EQ(town.device(1).count(MessageType::refusal), 0U);
}

TEST(Federation, WaitsUntilThereAreEnoughAndSaysHowManyAreMissing) {
  Town town(make_settings(), start_of(1));
  town.run(town.federation().on_time(town.now));
  town.connect(1, 3);
  town.advance(1h);
  EXPECT_TRUE(town.logged<RoundOpened>().empty());
  ASSERT_EQ(town.logged<WaitingForDevices>().size(), 1U);
  EXPECT_EQ(town.logged<WaitingForDevices>()[0].needed, 4U);
  const auto* waiting = town.device(1).last<protocol::Waiting>();
  ASSERT_NE(waiting, nullptr);
  EXPECT_EQ(waiting->devices_ready, 3U);
  EXPECT_EQ(waiting->devices_needed, 4U);
  // One message for the first of them and one for the two who came within a second.
  EXPECT_EQ(town.device(1).count(MessageType::waiting), 2U);
  town.connect(4);
  town.advance(5s - 1ns);
  EXPECT_TRUE(town.logged<RoundOpened>().empty());
  town.advance(1ns);
  ASSERT_FALSE(town.logged<RoundOpened>().empty());
  EXPECT_EQ(town.logged<RoundOpened>()[0].members, 4U);
}

TEST(Federation, OpensAtOnceWithTheNumberOfDevicesAskedFor) {
  auto settings = make_settings();
  settings.devices = 5;
  settings.gather = 1h;
  Town town(settings, start_of(1));
  town.connect(1, 4);
  EXPECT_TRUE(town.logged<RoundOpened>().empty());
  town.connect(5);
  ASSERT_FALSE(town.logged<RoundOpened>().empty());
  EXPECT_EQ(town.logged<RoundOpened>()[0].members, 5U);
}

TEST(Federation, SumsSeveralCohortsAsOneRound) {
  Town one(make_settings(), start_of(2));
  one.connect(1, 10);
  one.advance(5s);
  const auto rounds = one.logged<RoundClosed>();
  ASSERT_EQ(rounds.size(), 4U);
  EXPECT_EQ(rounds[0].cohorts, 2U);
  EXPECT_EQ(rounds[0].survivors, 10U);
  // Which cohort a device is in does not matter to the sum: another seed draws others and gives the same model.
  Town other(make_settings(), start_of(2), 77);
  other.connect(1, 10);
  other.advance(5s);
  EXPECT_EQ(one.federation().version().header.tensors, other.federation().version().header.tensors);
}

TEST(Federation, TheNewerConnectionOfADeviceReplacesTheOlder) {
  Town town(make_settings(), start_of(1));
  town.connect(1);
  const SessionId older = *town.device(1).session;
  town.connect(1);
  ASSERT_EQ(town.closed.size(), 1U);
  EXPECT_EQ(town.closed[0].session, older);
  EXPECT_EQ(town.closed[0].reason.code(), ErrorCode::duplicate);
  EXPECT_EQ(town.federation().roster().connected(), 1U);
  EXPECT_EQ(town.federation().phase_of(*town.device(1).session), CoordinatorPhase::ready);
  EXPECT_FALSE(town.federation().phase_of(older).has_value());
}

TEST(Federation, ADeviceThatReconnectsInMidRoundIsInTheNextOne) {
  Town town(make_settings(), start_of(3));
  town.add(1).manner = Manner::is_silent;
  town.connect(1, 5);
  town.advance(5s);  // the survey has four updates and waits for the first device
  ASSERT_TRUE(town.federation().collecting());
  town.device(1).manner = Manner::delivers;
  town.hold_work = true;
  town.connect(1);  // the older connection goes, and with it the last one that the round waited for
  EXPECT_EQ(town.federation().phase_of(*town.device(1).session), CoordinatorPhase::ready);
  town.advance(0s);
  for (int i = 0; i < 3; ++i) town.release();  // the step, its commit, the next reservation
  EXPECT_EQ(town.logged<RoundClosed>().at(0).survivors, 4U);
  ASSERT_EQ(town.logged<RoundOpened>().size(), 2U);
  EXPECT_EQ(town.logged<RoundOpened>()[1].members, 5U);
}

TEST(Federation, RefusesAnotherProtocolVersionAndAnotherJob) {
  Town town(make_settings(), start_of(1));
  for (const auto& [hello, code] :
       {std::pair(protocol::Hello{.protocol_version = 2, .job = ""}, ErrorCode::unsupported_version),
        std::pair(protocol::Hello{.job = "village"}, ErrorCode::wrong_job)}) {
    Town::Device& device = town.add(1);
    device.session = SessionId(1000 + static_cast<std::uint64_t>(code));
    town.closed.clear();
    const SessionId session = *device.session;
    const auto connected = town.federation().on_connected(session, device_id(1), town.now);
    EXPECT_TRUE(connected.empty());
    const auto actions = town.federation().on_message(session, hello, town.now, Enrolment::kToday);
    ASSERT_GE(actions.size(), 2U);
    EXPECT_EQ(std::get<protocol::Refusal>(std::get<Send>(actions[0]).message).code, code);
    EXPECT_EQ(std::get<Close>(actions[1]).reason.code(), code);
  }
}

// Every message type in every phase of a connection: what the table of protocol/phases.hpp does not allow ends the
// connection, and the federation forgets it.
TEST(Federation, AMessageOutOfPhaseEndsTheConnection) {
  const std::vector<protocol::Message> messages = {
      protocol::Hello{},     protocol::Fetch{},
      protocol::Ready{},     protocol::Decline{.session = {1}, .sentence = {}},
      protocol::Update{},    protocol::Welcome{},
      protocol::Blob{},      protocol::Waiting{},
      protocol::Manifest{},  protocol::Result{},
      protocol::Published{}, protocol::Finished{},
      protocol::Refusal{},   protocol::Advertise{},
      protocol::Shares{},    protocol::Masked{},
      protocol::Vote{},      protocol::Openings{},
      protocol::Roster{},    protocol::Delivery{},
      protocol::Survivors{}, protocol::Certificate{},
      protocol::Resume{},    protocol::Resumed{}};
  for (const auto phase :
       {CoordinatorPhase::greeting, CoordinatorPhase::enrolled, CoordinatorPhase::ready, CoordinatorPhase::in_round}) {
    for (const auto& message : messages) {
      Town town(make_settings(), start_of(1));
      Town::Device& subject = town.add(1);
      if (phase == CoordinatorPhase::greeting) {
        subject.session = SessionId(500);
        ASSERT_TRUE(town.federation().on_connected(SessionId(500), device_id(1), town.now).empty());
      } else {
        subject.asks = phase != CoordinatorPhase::enrolled;
        if (phase == CoordinatorPhase::in_round) subject.manner = Manner::is_silent;
        town.connect(1);
        if (phase == CoordinatorPhase::in_round) {
          town.connect(2, 4);
          town.advance(5s);
        }
      }
      const SessionId session = *subject.session;
      ASSERT_EQ(town.federation().phase_of(session), phase);
      const auto type = protocol::type_of(message);
      const auto actions = town.federation().on_message(session, message, town.now, Enrolment::kToday);
      // Of what is accepted, a step of no session is a stale one and ends the connection too.
      const bool step = (protocol::message_bit(type) & protocol::kSumFromDevice) != 0;
      const bool stays = protocol::accepts(phase, type) && !step;
      EXPECT_EQ(town.federation().phase_of(session).has_value(), stays)
          << static_cast<int>(phase) << " " << protocol::to_string(type);
      if (stays) continue;
      bool refused = false;
      for (const auto& action : actions) {
        if (const auto* close = std::get_if<Close>(&action)) refused = close->session == session;
      }
      EXPECT_TRUE(refused);
    }
  }
}

TEST(Federation, PiecesThatComeAfterTheRoundAreDroppedWithoutAWord) {
  Town town(make_settings(), start_of(5));
  town.add(1).manner = Manner::is_silent;
  town.connect(1, 5);
  town.advance(5s);
  const auto plan =
      plan::RoundPlan::decode(town.device(1).last<protocol::Manifest>()->plan.document, kTestFloors).value();
  town.device(1).asks = false;
  town.advance(30s);
  ASSERT_EQ(town.federation().phase_of(*town.device(1).session), CoordinatorPhase::enrolled);
  town.say(1, protocol::Update{.session = plan.fields().session, .offset = 0, .total = 4, .data = Bytes(4)});
  EXPECT_EQ(town.federation().phase_of(*town.device(1).session), CoordinatorPhase::enrolled);
  town.say(1, protocol::Update{.session = {1}, .offset = 0, .total = 4, .data = Bytes(4)});
  EXPECT_FALSE(town.device(1).session.has_value());
}

TEST(Federation, AFetchOfAVersionThatIsGoneIsRefused) {
  Town town(make_settings(), start_of(4));
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_EQ(town.federation().version().header.version, ModelVersion(5));
  for (const auto& [version, known] : {std::pair(5U, true), std::pair(4U, true), std::pair(3U, false)}) {
    town.connect(9);
    const SessionId session = *town.device(9).session;
    town.say(9, protocol::Fetch{.kind = protocol::BlobKind::model, .version = version});
    EXPECT_EQ(town.federation().phase_of(session).has_value(), known) << version;
  }
  town.connect(9);
  town.say(9, protocol::Fetch{.kind = protocol::BlobKind::catalogue, .version = 1});
  EXPECT_TRUE(town.device(9).session.has_value());
  town.say(9, protocol::Fetch{.kind = protocol::BlobKind::catalogue, .version = 2});
  EXPECT_FALSE(town.device(9).session.has_value());
}

TEST(Federation, StopsAtOnceBetweenRounds) {
  Town town(make_settings(), start_of(1));
  town.connect(1, 2);
  town.stop();
  ASSERT_TRUE(town.stopped.has_value());
  EXPECT_TRUE(town.stopped->has_value());
  EXPECT_EQ(town.device(1).last<protocol::Refusal>()->code, ErrorCode::aborted);
  EXPECT_GT(town.device(1).last<protocol::Refusal>()->retry_after, 0ms);
  EXPECT_TRUE(
      town.federation().on_message(*town.device(1).session, protocol::Hello{}, town.now, Enrolment::kToday).empty());
}

TEST(Federation, ARoundThatCompletesWithinTheGraceIsPublishedBeforeTheStop) {
  Town town(make_settings(), start_of(3));
  town.add(1).manner = Manner::is_silent;
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_TRUE(town.federation().collecting());
  town.stop();
  EXPECT_FALSE(town.stopped.has_value());
  town.disconnect(1);  // the last one that was waited for
  ASSERT_TRUE(town.stopped.has_value());
  EXPECT_TRUE(town.stopped->has_value());
  EXPECT_EQ(town.federation().version().header.version, ModelVersion(1));
  EXPECT_EQ(last_result(town.device(2)).outcome, protocol::Outcome::published);
  EXPECT_EQ(town.logged<RoundOpened>().size(), 1U);
}

TEST(Federation, ARoundThatDoesNotCompleteWithinTheGraceIsAborted) {
  Town town(make_settings(), start_of(3));
  town.add(1).manner = Manner::is_silent;
  town.connect(1, 5);
  town.advance(5s);
  town.stop();
  town.advance(make_settings().shutdown_grace - 1ns);
  EXPECT_FALSE(town.stopped.has_value());
  town.advance(1ns);
  ASSERT_TRUE(town.stopped.has_value());
  EXPECT_EQ(last_result(town.device(2)).outcome, protocol::Outcome::aborted);
  EXPECT_EQ(town.federation().version().header.version, ModelVersion(0));
}

TEST(Federation, StoppingWaitsForWorkInHand) {
  // The reservation, the step and the commit of a round, each held back when the stop comes.
  for (int stage = 0; stage < 3; ++stage) {
    Town town(make_settings(), start_of(3));
    town.hold_work = true;
    town.connect(1, 5);
    town.advance(5s);
    for (int i = 0; i < stage; ++i) town.release();
    town.stop();
    EXPECT_FALSE(town.stopped.has_value()) << stage;
    for (int i = stage; i < (stage == 0 ? 1 : 3); ++i) town.release();
    ASSERT_TRUE(town.stopped.has_value()) << stage;
    EXPECT_EQ(town.federation().version().header.version, ModelVersion(stage == 0 ? 0 : 1));
  }
}

TEST(Federation, AStoreThatFailsEndsTheCoordinatorWithItsError) {
  for (const bool at_reservation : {true, false}) {
    Town town(make_settings(), start_of(3));
    town.hold_work = true;
    town.connect(1, 5);
    town.advance(5s);
    if (!at_reservation) {
      town.release();  // the round runs
      town.release();  // its step is built
    }
    town.store.next = fail(ErrorCode::disk_full, "the disk is full");
    town.release();
    ASSERT_TRUE(town.stopped.has_value());
    EXPECT_EQ(town.stopped->error().code(), ErrorCode::disk_full);
    EXPECT_EQ(town.federation().version().header.version, ModelVersion(0));
    EXPECT_TRUE(town.store.trace.empty());
    EXPECT_EQ(town.device(1).count(MessageType::published), 0U);
  }
}

TEST(Federation, PlansBelowTheFloorsDoNotStart) {
  sim::SeededRandom random(1);
  const Admission admission = Enrolment().admission();
  const auto refused = Federation::create(make_settings(), start_of(1), admission, random, plan::kProductionFloors);
  ASSERT_FALSE(refused.has_value());
  auto large = make_settings();
  large.cohort_size = 6;  // the job's headroom is for five
  EXPECT_FALSE(Federation::create(large, start_of(1), admission, random, kTestFloors).has_value());
  auto upside_down = make_settings();
  upside_down.cohort_minimum = 6;
  EXPECT_FALSE(Federation::create(upside_down, start_of(1), admission, random, kTestFloors).has_value());
}

TEST(Federation, AModelLargerThanAnyDeviceAcceptsDoesNotStart) {
  sim::SeededRandom random(1);
  plan::Floors floors = kTestFloors;
  floors.most_coordinates = 10;
  const auto refused = Federation::create(make_settings(), start_of(1), Enrolment().admission(), random, floors);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::parameter_above_ceiling);
}

TEST(Federation, EveryDocumentIsSignedByTheCoordinator) {
  Town town(make_settings(), start_of(1));
  town.connect(1, 5);
  town.advance(5s);
  const auto key = make_key()->public_key();
  std::size_t checked = 0;
  for (const auto& message : town.device(1).heard) {
    if (const auto* welcome = std::get_if<protocol::Welcome>(&message)) {
      EXPECT_TRUE(protocol::check_signed(protocol::kJobLabel, welcome->job, key).has_value());
      EXPECT_TRUE(protocol::check_signed(protocol::kCatalogueLabel, welcome->catalogue, key).has_value());
      EXPECT_TRUE(protocol::check_signed(protocol::kModelLabel, *welcome->model, key).has_value());
      ++checked;
    }
    if (const auto* manifest = std::get_if<protocol::Manifest>(&message)) {
      EXPECT_TRUE(protocol::check_signed(protocol::kManifestLabel, manifest->plan, key).has_value());
      ++checked;
    }
    if (const auto* result = std::get_if<protocol::Result>(&message)) {
      EXPECT_TRUE(protocol::check_signed(protocol::kResultLabel, result->result, key).has_value());
      ++checked;
    }
    if (const auto* published = std::get_if<protocol::Published>(&message)) {
      EXPECT_TRUE(protocol::check_signed(protocol::kModelLabel, published->model, key).has_value());
      const auto header = protocol::ModelHeader::decode(published->model.document).value();
      EXPECT_EQ(header.job, town.federation().publisher().job_id());
      ++checked;
    }
  }
  EXPECT_EQ(checked, 1U + 3U + 3U + 2U);
}

}  // namespace
}  // namespace chorus::coordinator
