// When devices that are sent away are to come back: the law of it, on generated crowds.
#include "coordinator/federation/pace.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "common/protocol/messages.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::coordinator {
namespace {

using std::chrono::milliseconds;

constexpr Moment kStart{100h};

// Rounds of `drawn` devices, one each `interval`.
Pace steady(std::uint32_t drawn, Duration interval, PaceSettings settings = {}) {
  Pace pace(settings);
  for (int i = 20; i >= 0; --i) pace.round_opened(drawn, kStart - i * interval);
  return pace;
}

TEST(Pace, TimesAreUniformOverTheWindow) {
  sim::SeededRandom random(5);
  for (const std::uint32_t ready : {0U, 5'000U, 200'000U}) {
    // A window that stays what it is: who is asked about here is not waited for.
    const Pace fresh = steady(100, 30s);
    Pace copy = fresh;
    const Duration window = copy.window(ready, kStart);
    constexpr std::size_t kCells = 20;
    constexpr int kDraws = 20'000;
    std::vector<double> cells(kCells, 0);
    for (int i = 0; i < kDraws; ++i) {
      Pace one = fresh;
      const milliseconds later = one.come_back(ready, 0s, kStart, random);
      ASSERT_GE(later, 30s);
      ASSERT_LT(later, 30s + window);
      const double place = std::chrono::duration<double>(later - 30s) / std::chrono::duration<double>(window);
      ++cells[std::min(kCells - 1, static_cast<std::size_t>(place * kCells))];
    }
    double chi_squared = 0;
    for (const double seen : cells) {
      const double expected = static_cast<double>(kDraws) / kCells;
      chi_squared += (seen - expected) * (seen - expected) / expected;
    }
    // 19 degrees of freedom: beyond 43.8 by chance once in a thousand times.
    EXPECT_LT(chi_squared, 43.8) << ready;
  }
}

TEST(Pace, TheWindowGrowsWithThoseWhoWaitAndShrinksWithWhatARoundTakes) {
  Pace pace = steady(100, 60s);
  EXPECT_EQ(pace.window(0, kStart), 60s);
  EXPECT_EQ(pace.window(100, kStart), 60s);
  EXPECT_EQ(pace.window(1'000, kStart), 600s);
  EXPECT_EQ(pace.window(10'000, kStart), 6'000s);
  EXPECT_EQ(pace.window(4'000'000'000U, kStart), Duration(protocol::kMaxRetryAfter));
  EXPECT_EQ(steady(1'000, 60s).window(10'000, kStart), 600s);
  EXPECT_EQ(steady(100, 10s).window(1'000, kStart), 100s);
}

TEST(Pace, AMillionDevicesComeBackAtAboutTheRateThatRoundsTakeThem) {
  PaceSettings settings;
  settings.earliest = 10s;
  Pace pace = steady(1'000, 30s, settings);  // 33 a second
  sim::SeededRandom random(6);
  constexpr std::uint32_t kDevices = 1'000'000;
  std::vector<std::uint32_t> in_minute(25 * 60, 0);
  for (std::uint32_t i = 0; i < kDevices; ++i) {
    const milliseconds later = pace.come_back(0, 0s, kStart, random);
    ASSERT_LE(later, protocol::kMaxRetryAfter);
    ++in_minute[static_cast<std::size_t>(std::chrono::floor<std::chrono::minutes>(later).count())];
  }
  EXPECT_EQ(pace.away(kStart), kDevices);
  // All came at the same instant, so the window grew under them, from one round's to a thousand's; the last half of
  // them is spread over hours.
  const std::uint32_t busiest = *std::max_element(in_minute.begin(), in_minute.end());
  EXPECT_LT(busiest, kDevices / 50);
  EXPECT_EQ(pace.window(0, kStart), 30'000s);
  EXPECT_EQ(pace.away(kStart + 25h), 0U);
}

TEST(Pace, IsTheSameForTheSameRandomnessAndHeedsALongerWait) {
  sim::SeededRandom one(7);
  sim::SeededRandom other(7);
  Pace first = steady(100, 60s);
  Pace second = steady(100, 60s);
  for (int i = 0; i < 100; ++i) {
    const milliseconds later = first.come_back(50, 2h, kStart, one);
    EXPECT_EQ(later, second.come_back(50, 2h, kStart, other));
    EXPECT_GE(later, 2h);
    EXPECT_LE(later, protocol::kMaxRetryAfter);
  }
  EXPECT_LE(first.come_back(50, 1'000h, kStart, one), protocol::kMaxRetryAfter);
}

}  // namespace
}  // namespace chorus::coordinator
