// Devices that are killed in the middle of a secure sum, cohort by cohort.
#include <set>

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

constexpr std::uint32_t kCohortSize = 85;
constexpr std::uint32_t kTenth = kCohortSize / 10;
constexpr std::uint32_t kDevices = 2 * kCohortSize;
// Devices that have a process to themselves, half of them in each cohort more or less.
constexpr std::uint32_t kAlone = 48;
// The last of these advertise one after the other, so that it is known whose leaf is the last of its cohort. That none
// of so many is in one of the cohorts has the probability 2^-15.
constexpr std::uint32_t kInTurn = 16;

// A round of two cohorts whose sharing phase stays open until the test lets it end: of the members that are alone, all
// but the last of a cohort are stopped between their leaf and their shares.
class OpenSharing : public ::testing::Test {
 protected:
  struct Cohort {
    std::uint32_t leaves = 0;
    std::vector<std::uint32_t> stopped;  // of the fleet `alone`
  };

  OpenSharing() : town({.devices = kDevices, .rounds = 1, .cohort_size = kCohortSize}) {}

  void open() {
    town.start_coordinator();
    alone = &town.start_fleet(0, kAlone, kAlone);
    ASSERT_TRUE(town.until([&] { return town.ready() == kAlone; })) << alone->report() << town.log();
    for (std::uint32_t device = 0; device < kAlone; ++device) town.signal(*alone, device, SIGSTOP);
    town.on_step = [this](const sim::Fleet& fleet, const sim::WorkerEvent& step) { on_step(fleet, step); };
    town.start_fleet(kAlone, kDevices, 3);
    const auto until_leaves = [this](std::uint32_t leaves) {
      return town.until([&] { return cohorts[0].leaves + cohorts[1].leaves == leaves; });
    };
    for (std::uint32_t device = 0; device < kAlone - kInTurn; ++device) town.signal(*alone, device, SIGCONT);
    ASSERT_TRUE(until_leaves(kDevices - kInTurn)) << town.log();
    for (std::uint32_t device = kAlone - kInTurn; device < kAlone; ++device) {
      town.signal(*alone, device, SIGCONT);
      ASSERT_TRUE(until_leaves(kDevices - kAlone + device + 1)) << town.log();
    }
  }

  Town town;
  sim::Fleet* alone = nullptr;
  std::array<Cohort, 2> cohorts;
  std::set<std::uint32_t> victims;  // are killed when their shares have left

 private:
  void on_step(const sim::Fleet& fleet, const sim::WorkerEvent& step) {
    if (step.round != 1) return;
    Cohort& cohort = cohorts.at(step.cohort);
    if (step.text == "advertise" && ++cohort.leaves < kCohortSize && &fleet == alone) {
      town.signal(*alone, step.device, SIGSTOP);
      cohort.stopped.push_back(step.device);
    }
    if (step.text == "shares" && &fleet == alone && victims.contains(step.device)) {
      town.signal(*alone, step.device, SIGKILL);
    }
  }
};

TEST_F(OpenSharing, ATenthOfEachCohortKilledAfterItsSharesCostsThoseDevicesAndNoRound) {
  ASSERT_NO_FATAL_FAILURE(open());
  for (const Cohort& cohort : cohorts) {
    ASSERT_GT(cohort.stopped.size(), kTenth) << "too few of the devices that are alone are in one cohort";
    victims.insert(cohort.stopped.begin(), cohort.stopped.begin() + kTenth);
  }
  for (const std::uint32_t victim : victims) town.signal(*alone, victim, SIGCONT);
  ASSERT_TRUE(town.until([&] { return alone->processes_lost() == victims.size(); })) << town.log();
  EXPECT_TRUE(town.logged("round closed").empty()) << "the others have not all dealt";
  for (const Cohort& cohort : cohorts) {
    for (std::size_t i = kTenth; i < cohort.stopped.size(); ++i) town.signal(*alone, cohort.stopped[i], SIGCONT);
  }
  ASSERT_TRUE(town.until([&] { return town.fleets.front().ended() && town.fleets.back().ended(); })) << town.log();

  EXPECT_TRUE(town.logged("cohort aborted").empty()) << town.log();
  EXPECT_TRUE(town.logged("round aborted").empty()) << town.log();
  const auto rounds = town.trace();
  ASSERT_EQ(rounds.size(), 3U);  // a survey, one that trains, and the last measures
  std::set<identity::DeviceId> lost;
  for (const auto& round : rounds) {
    ASSERT_EQ(round.cohorts.size(), 2U);
    for (const auto& cohort : round.cohorts) {
      const bool first = &round == &rounds.front();
      EXPECT_EQ(cohort.members.size(), first ? kCohortSize : kCohortSize - kTenth);
      EXPECT_EQ(cohort.survivors.size(), kCohortSize - kTenth);
      const std::set<identity::DeviceId> survivors(cohort.survivors.begin(), cohort.survivors.end());
      for (const identity::DeviceId& member : cohort.members) {
        if (!survivors.contains(member)) lost.insert(member);
      }
    }
  }
  std::set<identity::DeviceId> killed;
  for (const std::uint32_t victim : victims) killed.insert(town.enrolled[victim].id);
  EXPECT_EQ(lost, killed);
  EXPECT_EQ(town.fleets.front().finished(), kAlone - victims.size());
  EXPECT_EQ(town.fleets.back().finished(), kDevices - kAlone);
  const Ran repeated = town.replay();
  EXPECT_EQ(repeated.status, 0) << repeated.out << repeated.err;
}

}  // namespace
}  // namespace chorus::e2e
