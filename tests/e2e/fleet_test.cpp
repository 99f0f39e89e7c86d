// A coordinator process and processes full of devices, from the first round to the last.
#include <fstream>
#include <iterator>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

using ::testing::HasSubstr;

std::size_t members_of(const coordinator::TraceRound& round) {
  std::size_t members = 0;
  for (const auto& cohort : round.cohorts) members += cohort.members.size();
  return members;
}

std::size_t survivors_of(const coordinator::TraceRound& round) {
  std::size_t survivors = 0;
  for (const auto& cohort : round.cohorts) survivors += cohort.survivors.size();
  return survivors;
}

TEST(Fleet, TrainsToItsGoalAndEveryVersionIsRepeatedByteForByte) {
  Town town({.rounds = 3});
  town.start_coordinator();
  sim::Fleet& fleet = town.start_fleet();
  ASSERT_TRUE(town.until([&] { return fleet.ended(); })) << fleet.report() << town.log();
  EXPECT_EQ(fleet.finished(), town.options.devices);
  EXPECT_EQ(fleet.processes_lost(), 0U);
  EXPECT_TRUE(fleet.errors().empty()) << fleet.report();
  const auto report = nlohmann::json::parse(fleet.report());
  EXPECT_EQ(report.at("devices_recommending"), town.options.devices);
  EXPECT_EQ(report.at("devices_explaining"), town.options.devices);

  const auto rounds = town.trace();
  ASSERT_EQ(rounds.size(), 5U);  // a survey, three that train, and the last measures
  EXPECT_EQ(rounds.front().purpose, plan::Purpose::survey);
  EXPECT_EQ(rounds.back().purpose, plan::Purpose::measure);
  ASSERT_TRUE(rounds[1].quality && rounds.back().quality);
  EXPECT_LT(rounds.back().quality->held_out_rmse, rounds[1].quality->held_out_rmse);
  for (const auto& round : rounds) EXPECT_EQ(survivors_of(round), town.options.devices);

  EXPECT_EQ(town.stop_coordinator().status, 0) << town.log();
  const Ran repeated = town.replay();
  EXPECT_EQ(repeated.status, 0) << repeated.err;
  EXPECT_THAT(repeated.out, HasSubstr("5 versions of the model repeated"));
}

TEST(Fleet, AReplayWithOtherRatingsIsAnotherModelAndSaysSo) {
  Town town({.rounds = 1});
  town.start_coordinator();
  sim::Fleet& fleet = town.start_fleet();
  ASSERT_TRUE(town.until([&] { return fleet.ended(); })) << fleet.report() << town.log();
  {
    std::ofstream ratings(town.folder.path() / "ratings.csv", std::ios::app);
    const auto& entry = town.data.training.entries.front();
    ratings << (*town.data.training.users)[entry.user] << ',' << (*town.data.training.items)[entry.item] << ','
            << (entry.value < 3 ? 5 : 1) << ',' << entry.when << '\n';
  }
  const Ran repeated = town.replay();
  EXPECT_EQ(repeated.status, 1);
  EXPECT_THAT(repeated.out, HasSubstr("corrupt"));
}

TEST(Fleet, ATenthOfItsProcessesKilledInARoundCostsThoseDevicesAndNoRound) {
  Town town({.rounds = 2});
  town.start_coordinator();
  const pid_t victim = town.open_a_round_that_stays_open();
  town.supervisor->signal(victim, SIGKILL);
  ASSERT_TRUE(town.until([&] { return town.fleets.front().ended() && town.fleets.back().ended(); })) << town.log();

  // The coordinator says how many.
  const auto closed = town.logged("round closed");
  ASSERT_EQ(closed.size(), 4U) << town.log();
  EXPECT_EQ(closed[0].at("members"), 100);
  EXPECT_EQ(closed[0].at("survivors"), 90);
  EXPECT_EQ(closed[1].at("members"), 90);
  EXPECT_TRUE(town.logged("round aborted").empty());
  // The trace says who.
  const auto rounds = town.trace();
  ASSERT_EQ(rounds.size(), 4U);
  EXPECT_EQ(members_of(rounds[0]), 100U);
  EXPECT_EQ(survivors_of(rounds[0]), 90U);
  const std::set<identity::DeviceId> survivors(rounds[0].cohorts.at(0).survivors.begin(),
                                               rounds[0].cohorts.at(0).survivors.end());
  for (std::size_t i = 0; i < town.enrolled.size(); ++i) {
    EXPECT_EQ(survivors.contains(town.enrolled[i].id), i >= 10) << i;
  }
  // The fleet's report says which process, how, and how many devices went with it.
  const auto report = nlohmann::json::parse(town.fleets.front().report());
  EXPECT_EQ(report.at("processes"), 7);
  EXPECT_EQ(report.at("processes_lost"), 1);
  EXPECT_EQ(report.at("devices_lost"), 10);
  EXPECT_EQ(report.at("devices_finished"), 60);
  EXPECT_EQ(report.at("processes_lost_how").at(0).at("pid"), victim);
  EXPECT_EQ(report.at("processes_lost_how").at(0).at("how"), "was killed by signal 9");
  EXPECT_EQ(nlohmann::json::parse(town.fleets.back().report()).at("devices_finished"), 30);
  EXPECT_EQ(town.replay().status, 0);
}

TEST(Fleet, TooFewDevicesWaitAndBothSidesSaySo) {
  Town town({.rounds = 1});
  town.start_coordinator();
  sim::Fleet& few = town.start_fleet(0, kLeastCohort - 1, 1);
  ASSERT_TRUE(town.until([&] { return few.devices_ready() == kLeastCohort - 1; })) << few.report() << town.log();
  EXPECT_EQ(few.devices_needed(), kLeastCohort);
  const auto waiting = town.logged("waiting for devices");
  ASSERT_FALSE(waiting.empty());
  EXPECT_EQ(waiting.back().at("needed"), kLeastCohort);
  EXPECT_TRUE(town.logged("round opened").empty());
  EXPECT_FALSE(few.ended());
  // With the others, the job goes on to its end.
  sim::Fleet& others = town.start_fleet(kLeastCohort - 1, town.options.devices, 1);
  ASSERT_TRUE(town.until([&] { return few.ended() && others.ended(); })) << town.log();
  EXPECT_EQ(few.finished() + others.finished(), town.options.devices);
}

}  // namespace
}  // namespace chorus::e2e
