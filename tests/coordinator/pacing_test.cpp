// Over-selection, patience, separation and sending away, in virtual time.
#include "coordinator/federation/federation.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;
using protocol::MessageType;

JobStart start_of(std::uint64_t rounds) {
  return new_job(make_job(rounds, 10), make_items(20), make_key()).value();
}

// A round wants eight and invites ten.
FederationSettings over_selecting() {
  auto settings = make_settings();
  settings.cohort_minimum = 6;
  settings.cohort_size = 10;
  settings.devices = 8;
  settings.dropout = {1, 4};
  settings.over_selection = {5, 4};
  settings.measure = false;
  return settings;
}

TEST(OverSelection, InvitesMoreThanAreWantedAndGoesOnWithoutTheSlow) {
  Town town(over_selecting(), start_of(1));
  town.connect(1, 7);
  for (const std::uint32_t slow : {8U, 9U}) town.add(slow).manner = Manner::is_silent;
  town.connect(8);
  EXPECT_TRUE(town.logged<RoundOpened>().empty());  // eight are wanted, but ten invited
  town.connect(9);
  const Moment opened = town.now;
  town.connect(10);
  const auto rounds = town.logged<RoundOpened>();
  ASSERT_FALSE(rounds.empty());
  EXPECT_EQ(rounds[0].members, 10U);
  // The silent two were not waited for: not a nanosecond has passed.
  ASSERT_FALSE(town.logged<RoundClosed>().empty());
  EXPECT_EQ(town.logged<RoundClosed>()[0].survivors, 8U);
  EXPECT_EQ(town.now, opened);
  EXPECT_EQ(town.logged<CohortAborted>().size(), 0U);
}

TEST(OverSelection, WithoutItTheSlowAreWaitedForUntilTheDeadline) {
  auto settings = over_selecting();
  settings.over_selection = {1, 1};
  settings.devices = 10;
  Town town(settings, start_of(1));
  for (const std::uint32_t slow : {8U, 9U}) town.add(slow).manner = Manner::is_silent;
  town.connect(1, 10);
  town.advance(settings.deadlines[0] - 1ns);
  EXPECT_TRUE(town.logged<RoundClosed>().empty());
  town.advance(1ns);
  ASSERT_FALSE(town.logged<RoundClosed>().empty());
  EXPECT_EQ(town.logged<RoundClosed>()[0].survivors, 8U);
}

TEST(OverSelection, PatienceWaitsForAllBeforeAPhaseGoesOnWithEnough) {
  auto settings = over_selecting();
  settings.patience[static_cast<std::size_t>(plan::SumPhase::advertise)] = 3s;
  Town town(settings, start_of(1));
  for (const std::uint32_t slow : {8U, 9U}) town.add(slow).manner = Manner::is_silent;
  town.connect(1, 10);
  ASSERT_FALSE(town.logged<RoundOpened>().empty());
  town.advance(3s - 1ns);
  EXPECT_TRUE(town.logged<RoundClosed>().empty());
  town.advance(1ns);
  ASSERT_FALSE(town.logged<RoundClosed>().empty());
  EXPECT_EQ(town.logged<RoundClosed>()[0].survivors, 8U);
}

// The roster has ten; two of them deal shares and upload nothing. Eight updates are as many as were wanted, and as few
// as the protocol admits.
TEST(OverSelection, AnUploadPhaseGoesOnWithAsManyAsWereWanted) {
  auto settings = over_selecting();
  settings.patience[static_cast<std::size_t>(plan::SumPhase::advertise)] = 1s;
  settings.patience[static_cast<std::size_t>(plan::SumPhase::share)] = 1s;
  Town town(settings, start_of(1));
  for (const std::uint32_t slow : {8U, 9U}) town.add(slow).manner = Manner::shares_in_silence;
  town.connect(1, 10);
  ASSERT_FALSE(town.logged<RoundClosed>().empty());
  EXPECT_EQ(town.logged<RoundClosed>()[0].survivors, 8U);
}

// As above, but of ten the protocol can do without one alone: eight, though wanted, are too few.
TEST(OverSelection, NeverGoesOnWithFewerThanTheProtocolAdmits) {
  auto settings = over_selecting();
  settings.dropout = {1, 10};
  settings.patience[static_cast<std::size_t>(plan::SumPhase::advertise)] = 1s;
  settings.patience[static_cast<std::size_t>(plan::SumPhase::share)] = 1s;
  Town town(settings, start_of(1));
  for (const std::uint32_t slow : {8U, 9U}) town.add(slow).manner = Manner::shares_in_silence;
  town.connect(1, 10);
  ASSERT_FALSE(town.logged<RoundOpened>().empty());
  town.advance(settings.deadlines[2] - 1ns);
  EXPECT_TRUE(town.logged<CohortAborted>().empty());
  town.advance(1ns);
  EXPECT_EQ(town.logged<CohortAborted>().size(), 1U);
  EXPECT_TRUE(town.logged<RoundClosed>().empty());
}

// Its last word, if it was sent away.
const protocol::Refusal* told(Town& town, std::uint32_t number) {
  return town.device(number).last<protocol::Refusal>();
}

TEST(Separation, ADeviceThatWasDrawnIsToldToComeBackAndIsDrawnThen) {
  auto settings = make_settings();
  settings.separation = 1h;
  settings.measure = false;
  Town town(settings, start_of(3));
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_EQ(town.logged<RoundClosed>().size(), 1U);
  for (std::uint32_t i = 1; i <= 5; ++i) {
    ASSERT_NE(told(town, i), nullptr);
    EXPECT_GE(told(town, i)->retry_after, 1h - 5s);
    EXPECT_LE(told(town, i)->retry_after, 2h);
    EXPECT_FALSE(town.device(i).session.has_value());
  }
  // Too soon: the same again, and no round.
  town.advance(30min);
  town.connect(1, 5);
  town.advance(1min);
  EXPECT_EQ(town.logged<RoundOpened>().size(), 1U);
  EXPECT_EQ(town.device(1).count(MessageType::refusal), 2U);
  town.advance(30min);
  town.connect(1, 5);
  town.advance(5s);
  EXPECT_EQ(town.logged<RoundClosed>().size(), 2U);
}

TEST(Separation, HoldsForWhomAnEarlierProcessDrew) {
  auto settings = make_settings();
  settings.separation = 1h;
  Town town(settings, start_of(1));
  town.now = Moment(1'000h);
  const std::vector<Participation> known{
      {.device = device_id(1), .last_round = RoundId(1), .when = Enrolment::kToday - 10min, .rounds = 1},
      {.device = device_id(2), .last_round = RoundId(1), .when = Enrolment::kToday - 61min, .rounds = 1},
      // The clock was ahead when that was written.
      {.device = device_id(3), .last_round = RoundId(1), .when = Enrolment::kToday + 24h, .rounds = 1}};
  town.federation().remember(known, town.now, Enrolment::kToday);
  town.connect(1, 3);
  ASSERT_NE(told(town, 1), nullptr);
  EXPECT_GE(told(town, 1)->retry_after, 50min);
  EXPECT_EQ(told(town, 2), nullptr);
  ASSERT_NE(told(town, 3), nullptr);
  EXPECT_GE(told(town, 3)->retry_after, 1h);
  EXPECT_LE(told(town, 3)->retry_after, 2h);
}

TEST(MostWaiting, OthersAreToldWhenToComeBack) {
  auto settings = make_settings();
  settings.gather = 1h;
  settings.pace = {.most_waiting = 6, .earliest = 30s};
  Town town(settings, start_of(1));
  town.connect(1, 20);
  EXPECT_EQ(town.federation().roster().ready(), 6U);
  for (std::uint32_t i = 1; i <= 6; ++i) EXPECT_EQ(told(town, i), nullptr);
  for (std::uint32_t i = 7; i <= 20; ++i) {
    ASSERT_NE(told(town, i), nullptr);
    EXPECT_EQ(told(town, i)->code, ErrorCode::overloaded);
    EXPECT_GE(told(town, i)->retry_after, 30s);
  }
  EXPECT_EQ(town.closed.size(), 14U);
}

}  // namespace
}  // namespace chorus::coordinator
