// Rounds whose members vanish, fall silent, decline or are refused: the others' go on, or abort by name.
#include "coordinator/federation/federation.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

JobStart start_of(std::uint64_t rounds) {
  return new_job(make_job(rounds), make_items(20), make_key()).value();
}

protocol::RoundResult last_result(const Town::Device& device) {
  return protocol::RoundResult::decode(device.last<protocol::Result>()->result.document).value();
}

TEST(Federation, ALostDeviceWithinTheDropoutIsLeftOut) {
  for (const Manner manner :
       {Manner::vanishes, Manner::vanishes_half_way, Manner::declines, Manner::is_silent, Manner::shares_in_silence}) {
    Town town(make_settings(), start_of(1));
    town.add(3).manner = manner;
    town.connect(1, 5);
    town.advance(5s + 30s);
    const auto rounds = town.logged<RoundClosed>();
    ASSERT_GE(rounds.size(), 1U);
    EXPECT_EQ(rounds[0].survivors, 4U);
    EXPECT_EQ(rounds[0].members, 5U);
    // Whoever says nothing is waited for, whoever leaves is not.
    EXPECT_EQ(rounds[0].took, manner == Manner::is_silent           ? Duration(10s)
                              : manner == Manner::shares_in_silence ? Duration(30s)
                                                                    : Duration(0s));
    const auto record = std::get<TraceRound>(parse_trace_line(town.store.trace[0]).value());
    ASSERT_EQ(record.cohorts.size(), 1U);
    EXPECT_EQ(record.cohorts[0].members.size(), 5U);
    EXPECT_EQ(record.cohorts[0].survivors.size(), 4U);
    for (const auto& survivor : record.cohorts[0].survivors) EXPECT_NE(survivor, device_id(3));
    EXPECT_EQ(record.from, ModelVersion(0));
    EXPECT_EQ(record.to, ModelVersion(1));
  }
}

TEST(Federation, ARoundSaysHowManyOfItsMembersCameHowFar) {
  const auto funnel = [](Manner manner) {
    Town town(make_settings(), start_of(1));
    town.add(3).manner = manner;
    town.connect(1, 5);
    town.advance(5s + 30s);
    return town.logged<RoundClosed>().at(0).funnel;
  };
  const auto honest = funnel(Manner::delivers);
  EXPECT_EQ(honest.keys, 5U);
  EXPECT_EQ(honest.masked, 5U);
  EXPECT_GE(honest.unmasked, 2U);
  EXPECT_LE(honest.unmasked, 5U) << "as many as it took";
  const auto silent = funnel(Manner::is_silent);
  EXPECT_EQ(silent.keys, 4U);
  EXPECT_EQ(silent.masked, 4U);
  const auto half_way = funnel(Manner::shares_in_silence);
  EXPECT_EQ(half_way.keys, 5U);
  EXPECT_EQ(half_way.masked, 4U);
}

// By the names of what they said, and no device is named.
TEST(Federation, DevicesThatDeclineAreCountedByTheirReasonAndTheOthersGoOn) {
  Town town(make_settings(), start_of(1));
  town.add(3).manner = Manner::declines;
  town.add(7).manner = Manner::declines;
  town.add(8).manner = Manner::cannot_read;
  town.add(12).manner = Manner::cannot_read;
  town.connect(1, 20);
  town.advance(5s);
  std::map<ErrorCode, std::uint32_t> declined;
  for (const MembersDeclined& event : town.logged<MembersDeclined>()) {
    if (event.round == RoundId(1)) declined[event.reason] += event.members;
  }
  EXPECT_EQ(declined,
            (std::map<ErrorCode, std::uint32_t>{{ErrorCode::wrong_model, 2}, {ErrorCode::unsupported_version, 2}}));
  const auto rounds = town.logged<RoundClosed>();
  ASSERT_GE(rounds.size(), 1U);
  EXPECT_GT(rounds[0].survivors, 0U);
  EXPECT_EQ(rounds[0].cohorts, 4U);
}

// Its statement is of an authority that this coordinator does not know: the old one, or the new one.
TEST(Federation, AMemberOfAnotherAuthorityIsRefusedByNameAndTheOthersGoOn) {
  Town town(make_settings(), start_of(1));
  town.add(3).manner = Manner::is_of_another_authority;
  town.connect(1, 5);
  town.advance(5s);
  const auto refusal = town.device(3).last<protocol::Refusal>();
  ASSERT_NE(refusal, nullptr);
  EXPECT_EQ(refusal->code, ErrorCode::bad_identity);
  ASSERT_EQ(town.closed.size(), 1U);
  EXPECT_EQ(town.closed[0].reason.code(), ErrorCode::bad_identity);
  const auto rounds = town.logged<RoundClosed>();
  ASSERT_GE(rounds.size(), 1U);
  EXPECT_EQ(rounds[0].survivors, 4U);
}

TEST(Federation, ACohortOfOneTooFewIsAbortedByNameAndTheOtherGoesOn) {
  // Of ten devices two vanish: in one cohort, for some seed.
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Town town(make_settings(), start_of(1), seed);
    town.add(1).manner = Manner::vanishes;
    town.add(2).manner = Manner::vanishes;
    town.connect(1, 10);
    town.advance(5s);
    const auto aborted = town.logged<CohortAborted>();
    if (aborted.empty()) continue;
    EXPECT_EQ(aborted[0].reason.code(), ErrorCode::cohort_too_small);
    EXPECT_EQ(town.logged<RoundClosed>().at(0).survivors, 5U);
    return;
  }
  FAIL() << "they never met";
}

TEST(Federation, TooFewUpdatesAbortTheRoundAndTheNextOneHasANewNumber) {
  Town town(make_settings(), start_of(1));
  town.add(2).manner = Manner::shares_in_silence;
  town.add(3).manner = Manner::shares_in_silence;
  town.connect(1, 5);
  town.advance(5s + 30s - 1ns);
  EXPECT_TRUE(town.logged<RoundAborted>().empty());
  town.advance(1ns);
  const auto aborted = town.logged<RoundAborted>();
  ASSERT_EQ(aborted.size(), 1U);
  EXPECT_EQ(aborted[0].reason.code(), ErrorCode::below_threshold);
  EXPECT_EQ(aborted[0].round, RoundId(1));
  EXPECT_TRUE(town.store.trace.empty());
  EXPECT_EQ(town.federation().version().header.version, ModelVersion(0));
  const auto result = last_result(town.device(1));
  EXPECT_EQ(result.outcome, protocol::Outcome::aborted);
  EXPECT_FALSE(result.reason.empty());
  EXPECT_EQ(result.version, ModelVersion(0));
  // All are back, yet the next round waits its time, and then succeeds.
  town.device(2).manner = Manner::delivers;
  town.device(3).manner = Manner::delivers;
  EXPECT_EQ(town.logged<RoundOpened>().size(), 1U);
  town.advance(5s);
  ASSERT_GE(town.logged<RoundOpened>().size(), 2U);
  EXPECT_EQ(town.logged<RoundOpened>()[1].round, RoundId(2));
  EXPECT_TRUE(town.federation().finished());
}

TEST(Federation, OneAbortedCohortDoesNotStopTheRound) {
  // Seeds differ in who meets whom: two of ten vanish, in one cohort or in two.
  bool together = false;
  for (std::uint64_t seed = 1; seed <= 20 && !together; ++seed) {
    Town town(make_settings(), start_of(1), seed);
    town.add(1).manner = Manner::vanishes;
    town.add(2).manner = Manner::vanishes;
    town.connect(1, 10);
    town.advance(5s);
    const auto rounds = town.logged<RoundClosed>();
    ASSERT_GE(rounds.size(), 1U);
    if (rounds[0].cohorts_aborted == 0) {
      EXPECT_EQ(rounds[0].survivors, 8U);
      continue;
    }
    together = true;
    EXPECT_EQ(rounds[0].cohorts, 2U);
    EXPECT_EQ(rounds[0].cohorts_aborted, 1U);
    EXPECT_EQ(rounds[0].survivors, 5U);
    ASSERT_EQ(town.logged<CohortAborted>().size(), 1U);
    const auto record = std::get<TraceRound>(parse_trace_line(town.store.trace[0]).value());
    EXPECT_EQ(record.cohorts[0].survivors.size() + record.cohorts[1].survivors.size(), 5U);
  }
  EXPECT_TRUE(together);
}

}  // namespace
}  // namespace chorus::coordinator
