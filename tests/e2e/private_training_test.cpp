// Training under differential privacy with real processes: devices hide their updates in noise, the coordinator learns
// from the noisy sums alone, and every device's ledger is charged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

TEST(PrivateTraining, RunsItsQuestionsThroughMaskedSumsWithTheDevicesNoise) {
  constexpr std::uint32_t kDevices = 80;
  Town town({.devices = kDevices,
             .rounds = 2,
             .cohort_size = 85,
             .model = {{"update", "dp"}, {"mu", "0.9"}, {"against", "coordinator"}, {"cohort", "80"}}});
  town.start_coordinator();
  sim::Fleet& fleet = town.start_fleet();
  ASSERT_TRUE(town.until([&] { return fleet.ended(); })) << fleet.report() << town.log();
  EXPECT_TRUE(town.logged("cohort aborted").empty()) << town.log();
  EXPECT_TRUE(town.logged("round aborted").empty()) << town.log();
  const auto rounds = town.trace();
  ASSERT_EQ(rounds.size(), 3U) << "counts, means and one question of taste; no round that measures errors";
  for (const auto& round : rounds) {
    ASSERT_EQ(round.cohorts.size(), 1U);
    EXPECT_EQ(round.cohorts.front().survivors.size(), kDevices);
  }
}

TEST(PrivateTraining, ADeviceWhoseBudgetIsSpentSendsNothing) {
  // The first question alone costs more than the 8 that devices agree to.
  constexpr std::uint32_t kDevices = 80;
  Town town({.devices = kDevices,
             .rounds = 1,
             .cohort_size = 85,
             .model = {{"update", "dp"}, {"mu", "40"}, {"against", "coordinator"}, {"cohort", "80"}}});
  town.start_coordinator();
  town.start_fleet();
  ASSERT_TRUE(town.until([&] {
    return !town.logged("cohort aborted").empty() || !town.logged("round aborted").empty();
  })) << town.log();
  EXPECT_TRUE(town.trace().empty()) << "nothing was summed";
  EXPECT_THAT(town.log(),
              ::testing::AnyOf(::testing::HasSubstr("budget_exhausted"), ::testing::HasSubstr("cost_above_policy")));
}

}  // namespace
}  // namespace chorus::e2e
