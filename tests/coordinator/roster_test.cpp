#include "coordinator/roster/roster.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "coordinator/roster/cohorts.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::coordinator {
namespace {

identity::DeviceId device(std::uint8_t number) {
  return {.bytes = {number, 1}};
}

// Sessions 1 … n of devices 1 … n, all ready.
Roster ready_roster(std::uint8_t devices) {
  Roster roster;
  for (std::uint8_t i = 1; i <= devices; ++i) {
    EXPECT_FALSE(roster.connect(SessionId(i), device(i)).has_value());
    roster.set_ready(SessionId(i), true);
  }
  return roster;
}

std::vector<SessionId> flat(const std::vector<std::vector<SessionId>>& cohorts) {
  std::vector<SessionId> all;
  for (const auto& cohort : cohorts) all.insert(all.end(), cohort.begin(), cohort.end());
  return all;
}

TEST(CohortSizes, AreEvenWithinTheirBoundsAndLeaveNobodyOutThatFits) {
  for (std::uint32_t least = 1; least <= 12; ++least) {
    for (std::uint32_t most = least; most <= 16; ++most) {
      for (std::uint32_t devices = 0; devices <= 120; ++devices) {
        const auto sizes = cohort_sizes(devices, least, most);
        const std::uint32_t invited = std::accumulate(sizes.begin(), sizes.end(), 0U);
        ASSERT_LE(invited, devices);
        for (const auto size : sizes) {
          ASSERT_GE(size, least);
          ASSERT_LE(size, most);
        }
        if (sizes.empty()) {
          ASSERT_LT(devices, least);
          continue;
        }
        const auto [low, high] = std::minmax_element(sizes.begin(), sizes.end());
        ASSERT_LE(*high - *low, 1U);
        // The best that any number of cohorts can do.
        std::uint32_t best = 0;
        for (std::uint32_t k = 1; k <= devices; ++k) {
          if (k * least <= devices) best = std::max(best, std::min(devices, k * most));
        }
        ASSERT_EQ(invited, best) << devices << " in " << least << ".." << most;
      }
    }
  }
}

TEST(CohortSizes, AreSoManyAtLeastAsAreAskedForOrNone) {
  for (std::uint32_t fewest = 1; fewest <= 5; ++fewest) {
    for (std::uint32_t devices = 0; devices <= 80; ++devices) {
      const auto sizes = cohort_sizes(devices, 4, 6, fewest);
      ASSERT_EQ(sizes.empty(), devices < 4 * fewest) << devices << " in " << fewest;
      if (sizes.empty()) continue;
      ASSERT_GE(sizes.size(), fewest);
      for (const auto size : sizes) {
        ASSERT_GE(size, 4U);
        ASSERT_LE(size, 6U);
      }
      const auto alone = cohort_sizes(devices, 4, 6);
      if (alone.size() >= fewest) {
        ASSERT_EQ(sizes, alone);
      }
    }
  }
}

TEST(Roster, ANewerConnectionOfADeviceReplacesTheOlder) {
  Roster roster = ready_roster(3);
  EXPECT_EQ(roster.connect(SessionId(9), device(2)), SessionId(2));
  EXPECT_EQ(roster.connected(), 3U);
  EXPECT_EQ(roster.ready(), 2U);
  EXPECT_FALSE(roster.contains(SessionId(2)));
  roster.disconnect(SessionId(2));
  EXPECT_EQ(roster.connected(), 3U);
}

TEST(Roster, DrawsEveryReadyDeviceOnceAndNoOther) {
  sim::SeededRandom random(1);
  Roster roster = ready_roster(40);
  roster.set_ready(SessionId(7), false);
  roster.disconnect(SessionId(8));
  const auto cohorts = roster.draw({.least = 5, .most = 10, .target = 0}, random);
  EXPECT_EQ(cohorts.size(), 4U);
  const auto all = flat(cohorts);
  const std::set<SessionId> distinct(all.begin(), all.end());
  EXPECT_EQ(all.size(), 38U);
  EXPECT_EQ(distinct.size(), 38U);
  EXPECT_FALSE(distinct.contains(SessionId(7)));
  EXPECT_FALSE(distinct.contains(SessionId(8)));
}

TEST(Roster, PartitionsAtRandom) {
  sim::SeededRandom random(2);
  const Roster roster = ready_roster(20);
  // Device 1 meets device 2 in one of two cohorts with probability 9/19.
  int together = 0;
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i) {
    const auto cohorts = roster.draw({.least = 5, .most = 10, .target = 0}, random);
    ASSERT_EQ(cohorts.size(), 2U);
    const auto in_first = [&](SessionId id) { return std::count(cohorts[0].begin(), cohorts[0].end(), id) == 1; };
    together += in_first(SessionId(1)) == in_first(SessionId(2)) ? 1 : 0;
  }
  // Five standard deviations of a binomial.
  EXPECT_NEAR(together, kDraws * 9.0 / 19, 5 * 22.4);
}

TEST(Roster, ThoseWhoWaitedLongestComeFirst) {
  sim::SeededRandom random(3);
  Roster roster = ready_roster(30);
  std::map<SessionId, int> rounds;
  for (std::uint64_t number = 1; number <= 9; ++number) {
    const auto members = flat(roster.draw({.least = 5, .most = 10, .target = 10}, random));
    ASSERT_EQ(members.size(), 10U);
    roster.take_part(RoundId(number), members, Moment(1s));
    for (const SessionId member : members) {
      ++rounds[member];
      roster.set_ready(member, true);
    }
  }
  // Nine rounds of ten among thirty: everybody took part three times.
  for (std::uint8_t i = 1; i <= 30; ++i) EXPECT_EQ(rounds[SessionId(i)], 3) << int{i};
}

TEST(Roster, ADeviceThatReconnectsKeepsItsTurn) {
  sim::SeededRandom random(4);
  Roster roster = ready_roster(10);
  const auto members = flat(roster.draw({.least = 5, .most = 5, .target = 5}, random));
  roster.take_part(RoundId(1), members, Moment(1s));
  const auto again = roster.device(members.front());
  ASSERT_TRUE(roster.connect(SessionId(100), again).has_value());
  roster.set_ready(SessionId(100), true);
  const auto next = flat(roster.draw({.least = 5, .most = 5, .target = 5}, random));
  EXPECT_EQ(std::count(next.begin(), next.end(), SessionId(100)), 0);
}

TEST(Roster, KnowsWhenTheLastRoundIsBack) {
  sim::SeededRandom random(5);
  Roster roster = ready_roster(4);
  EXPECT_FALSE(roster.returned());
  const std::vector<SessionId> members = {SessionId(1), SessionId(2), SessionId(3)};
  roster.take_part(RoundId(1), members, Moment(1s));
  EXPECT_EQ(roster.ready(), 1U);
  EXPECT_FALSE(roster.returned());
  roster.set_ready(SessionId(1), true);
  roster.disconnect(SessionId(2));
  EXPECT_FALSE(roster.returned());
  roster.set_ready(SessionId(3), true);
  EXPECT_TRUE(roster.returned());
  roster.disconnect(SessionId(1));
  EXPECT_TRUE(roster.returned());
  roster.disconnect(SessionId(3));
  EXPECT_FALSE(roster.returned());
  roster.forget_last_round();
  EXPECT_FALSE(roster.returned());
}

}  // namespace
}  // namespace chorus::coordinator
