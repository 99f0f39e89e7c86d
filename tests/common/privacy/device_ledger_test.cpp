#include "common/privacy/device_ledger.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/privacy/gaussian_accountant.hpp"

namespace chorus::privacy {
namespace {

using ::testing::HasSubstr;

constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};
const LedgerLimits kLimits{.budget = {.epsilon = 8, .delta = 1e-5}};
const Cost kRound = Cost::of_noise_multiplier(5);

// A ledger with its storage, as a device has them.
struct Book {
  std::vector<LedgerEntry> entries;
  DeviceLedger ledger;
  Status charge(std::uint64_t round, Cost cost = kRound, const LedgerLimits& limits = kLimits, WallTime now = kNow) {
    CHORUS_TRY(const LedgerEntry entry, ledger.charge(RoundId(round), cost, 80, limits, now));
    entries.push_back(entry);
    ledger.append(entry);
    return {};
  }
};

TEST(Cost, OfARoundIsTheSquaredSensitivityOverTheNoiseOfTheHonest) {
  EXPECT_NEAR(Cost::of_round(1'000'000, 64, 625).mu(), 0.2, 1e-13);  // z = 8 · 625 / 1000
  EXPECT_NEAR(Cost::of_noise_multiplier(5).mu(), 0.2, 1e-12);
  EXPECT_GE(Cost::of_round(3, 7, 4.1).mu(), std::sqrt(3 / (7 * 4.1 * 4.1))) << "rounded up";
  EXPECT_TRUE(Cost::of_round(0, 64, 625).is_unbounded());
  EXPECT_TRUE(Cost::of_round(1, 0, 625).is_unbounded());
  EXPECT_TRUE(Cost::of_round(1, 64, 0).is_unbounded());
  EXPECT_TRUE(Cost::of_round(1, 64, std::nan("")).is_unbounded());
  EXPECT_TRUE(Cost::of_noise_multiplier(1e-9).is_unbounded()) << "too large for a number is unbounded too";
  EXPECT_TRUE((Cost::unbounded() + kRound).is_unbounded());
  EXPECT_TRUE(std::isinf(*Cost::unbounded().epsilon(1e-5)));
  EXPECT_EQ(*Cost().epsilon(1e-5), 0);
}

TEST(Cost, AFaintRoundStillCostsSomething) {
  EXPECT_GT(Cost::of_noise_multiplier(1e12), Cost());
}

// The show: z = 5, ε = 8, δ = 1e-5.
TEST(DeviceLedger, TakesPartInSixtyNineRoundsAndRefusesTheSeventieth) {
  Book book;
  EXPECT_EQ(*book.ledger.rounds_left(kRound, kLimits), 69U);
  for (std::uint64_t round = 1; round <= 69; ++round) {
    ASSERT_TRUE(book.charge(round).has_value()) << round;
  }
  const Status seventieth = book.charge(70);
  ASSERT_FALSE(seventieth.has_value());
  EXPECT_EQ(seventieth.error().code(), ErrorCode::budget_exhausted);
  EXPECT_THAT(seventieth.error().sentence(), HasSubstr("69 rounds"));
  EXPECT_EQ(book.entries.size(), 69U);
  EXPECT_LE(*book.ledger.epsilon(1e-5), 8);
  EXPECT_EQ(*book.ledger.rounds_left(kRound, kLimits), 0U);
  // Less may still fit: a round with ten times the noise.
  EXPECT_TRUE(book.charge(71, Cost::of_noise_multiplier(50)).has_value());
  EXPECT_LE(*book.ledger.epsilon(1e-5), 8);
}

TEST(DeviceLedger, AllowsWhatTheExactAccountantAllows) {
  for (const double z : {5.0, 8.0, 10.0, 20.0}) {
    for (const double epsilon : {1.0, 2.0, 4.0, 8.0}) {
      const Budget budget{.epsilon = epsilon, .delta = 1e-5};
      EXPECT_EQ(DeviceLedger().rounds_left(Cost::of_noise_multiplier(z), {.budget = budget}),
                gaussian_rounds(z, budget))
          << z << " " << epsilon;
    }
  }
}

TEST(DeviceLedger, TheOrderOfRoundsDoesNotChangeWhatTheyCost) {
  Book one;
  Book two;
  const std::vector<double> multipliers{5, 17.3, 8, 40.4, 123.4};
  for (std::size_t i = 0; i < multipliers.size(); ++i) {
    ASSERT_TRUE(one.charge(i + 1, Cost::of_noise_multiplier(multipliers[i])).has_value());
    ASSERT_TRUE(two.charge(i + 1, Cost::of_noise_multiplier(multipliers[multipliers.size() - 1 - i])).has_value());
  }
  EXPECT_EQ(one.ledger.spent(), two.ledger.spent());
}

TEST(DeviceLedger, ARoundAboveTheUsersOwnLimitIsRefusedWhateverIsLeft) {
  LedgerLimits careful = kLimits;
  careful.most_round_epsilon = 0.5;
  Book book;
  EXPECT_EQ(book.charge(1, kRound, careful).error().code(), ErrorCode::cost_above_policy);  // ε = 0.72
  EXPECT_TRUE(book.charge(1, Cost::of_noise_multiplier(8), careful).has_value());
}

TEST(DeviceLedger, RoundsWithoutNoiseNeedConsentAndEndEveryBudget) {
  Book book;
  EXPECT_EQ(book.charge(1, Cost::unbounded()).error().code(), ErrorCode::parameter_below_floor);
  LedgerLimits agreed = kLimits;
  agreed.without_noise = true;
  EXPECT_TRUE(book.charge(1, Cost::unbounded(), agreed).has_value());
  EXPECT_TRUE(book.charge(2, kRound, agreed).has_value());
  EXPECT_TRUE(std::isinf(*book.ledger.epsilon(1e-5)));
  EXPECT_EQ(book.ledger.unprotected(), 1U);
  EXPECT_EQ(book.ledger.spent(), kRound);
  EXPECT_EQ(book.charge(3).error().code(), ErrorCode::budget_exhausted) << "its promise could not be kept";
}

TEST(DeviceLedger, HoldsTheLeastIntervalAlsoAgainstAClockThatGoesBack) {
  LedgerLimits daily = kLimits;
  daily.least_interval = std::chrono::hours(24);
  Book book;
  ASSERT_TRUE(book.charge(1, kRound, daily, kNow).has_value());
  EXPECT_EQ(book.charge(2, kRound, daily, kNow + 23h).error().code(), ErrorCode::cost_above_policy);
  const Status back = book.charge(2, kRound, daily, kNow - 48h);
  EXPECT_EQ(back.error().code(), ErrorCode::cost_above_policy);
  EXPECT_THAT(back.error().sentence(), HasSubstr("clock"));
  EXPECT_TRUE(book.charge(2, kRound, daily, kNow + 24h).has_value());
  // Without an interval the clock decides nothing, and the latest time stays the latest.
  EXPECT_TRUE(book.charge(3, kRound, kLimits, kNow - 48h).has_value());
  EXPECT_EQ(book.ledger.latest(), kNow + 24h);
}

TEST(DeviceLedger, MeaninglessLimitsAllowNothing) {
  for (const double delta : {0.0, 1.0}) {
    EXPECT_EQ(DeviceLedger().afford(kRound, {.budget = {8, delta}}, kNow).error().where(), "privacy.delta");
  }
  EXPECT_EQ(DeviceLedger().afford(kRound, {.budget = {-1, 1e-5}}, kNow).error().where(), "privacy.epsilon");
  EXPECT_EQ(DeviceLedger().afford(kRound, {.budget = {0, 1e-5}}, kNow).error().code(), ErrorCode::budget_exhausted);
}

class LoadedLedger : public ::testing::Test {
 protected:
  LoadedLedger() {
    for (std::uint64_t round = 1; round <= 5; ++round) EXPECT_TRUE(book_.charge(round).has_value());
  }
  Result<DeviceLedger> load(std::size_t entries, const std::optional<LedgerSeal>& seal) const {
    return DeviceLedger::load(std::span(book_.entries).first(entries), seal);
  }
  LedgerSeal seal_after(std::size_t entries) const {
    return entries == 0 ? LedgerSeal() : LedgerSeal{entries, book_.entries[entries - 1].chain};
  }
  Book book_;
};

TEST_F(LoadedLedger, IsWhatItWas) {
  const auto loaded = load(5, seal_after(5));
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->spent(), book_.ledger.spent());
  EXPECT_EQ(loaded->seal(), book_.ledger.seal());
  EXPECT_TRUE(DeviceLedger::load({}, std::nullopt).has_value());
  EXPECT_TRUE(DeviceLedger::load({}, LedgerSeal()).has_value());
}

TEST_F(LoadedLedger, MayBeLongerThanItsSealAndNeverShorter) {
  for (std::size_t sealed = 0; sealed <= 5; ++sealed) {
    for (std::size_t entries = 0; entries <= 5; ++entries) {
      const auto loaded = load(entries, seal_after(sealed));
      EXPECT_EQ(loaded.has_value(), entries >= sealed) << entries << " entries, " << sealed << " sealed";
      if (!loaded) {
        EXPECT_EQ(loaded.error().code(), ErrorCode::corrupt);
        EXPECT_THAT(loaded.error().sentence(), HasSubstr("rolled back"));
      }
    }
  }
}

TEST_F(LoadedLedger, WithoutItsSealIsNotBelieved) {
  EXPECT_EQ(load(5, std::nullopt).error().code(), ErrorCode::corrupt);
}

TEST_F(LoadedLedger, EveryChangedFieldIsFound) {
  const auto changed = [&](auto&& change) {
    std::vector<LedgerEntry> entries = book_.entries;
    change(entries[2]);
    return DeviceLedger::load(entries, seal_after(5)).error().code();
  };
  EXPECT_EQ(changed([](LedgerEntry& e) { e.cost = Cost::of_noise_multiplier(500); }), ErrorCode::corrupt);
  EXPECT_EQ(changed([](LedgerEntry& e) { e.round = RoundId(9); }), ErrorCode::corrupt);
  EXPECT_EQ(changed([](LedgerEntry& e) { e.honest = 81; }), ErrorCode::corrupt);
  EXPECT_EQ(changed([](LedgerEntry& e) { e.when += 1s; }), ErrorCode::corrupt);
  EXPECT_EQ(changed([](LedgerEntry& e) { e.sequence = 4; }), ErrorCode::corrupt);
  EXPECT_EQ(changed([](LedgerEntry& e) { e.chain[0] ^= 1; }), ErrorCode::corrupt);
  std::vector<LedgerEntry> without = book_.entries;
  without.erase(without.begin() + 1);
  EXPECT_EQ(DeviceLedger::load(without, seal_after(5)).error().code(), ErrorCode::corrupt);
  // Another history of the same length.
  Book other;
  for (std::uint64_t round = 1; round <= 5; ++round) EXPECT_TRUE(other.charge(round, Cost::of_noise_multiplier(99)));
  EXPECT_EQ(DeviceLedger::load(other.entries, seal_after(5)).error().code(), ErrorCode::corrupt);
}

TEST_F(LoadedLedger, ASealIsReadBackOrRefused) {
  const Bytes bytes = seal_after(5).encode();
  EXPECT_EQ(LedgerSeal::decode(bytes), seal_after(5));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes damaged = bytes;
    damaged[i] ^= 1;
    EXPECT_FALSE(LedgerSeal::decode(damaged).has_value()) << i;
    EXPECT_FALSE(LedgerSeal::decode(ByteView(bytes).first(i)).has_value()) << i;
  }
}

}  // namespace
}  // namespace chorus::privacy
