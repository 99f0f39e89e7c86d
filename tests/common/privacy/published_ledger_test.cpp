#include "common/privacy/published_ledger.hpp"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/privacy/gaussian_accountant.hpp"
#include "common/privacy/pld_accountant.hpp"
#include "common/privacy/rdp_accountant.hpp"

namespace chorus::privacy {
namespace {

using ::testing::HasSubstr;

const Budget kBudget{.epsilon = 8, .delta = 1e-5};

// z = 5 against the coordinator, and √12 times as much against readers.
PublishedRound round(std::uint64_t number, double sampling = 1) {
  return {.round = RoundId(number),
          .squared_sensitivity = 1'000'000,
          .local_noise = 625,
          .cohort_honest = 64,
          .total_honest = std::uint64_t{12} * 64,
          .sampling = sampling};
}

TEST(PublishedLedger, RefusesTheRoundThatIsOneTooMany) {
  PublishedLedger ledger;
  for (std::uint64_t number = 1; number <= 69; ++number) {
    ASSERT_TRUE(ledger.charge(round(number), kBudget).has_value()) << number;
  }
  EXPECT_EQ(ledger.charge(round(70), kBudget).error().code(), ErrorCode::budget_exhausted);
  EXPECT_EQ(ledger.rounds(), 69U);
  EXPECT_TRUE(ledger.afford(round(70), std::nullopt).has_value()) << "a job without a budget goes on";
}

TEST(PublishedLedger, ARoundThatIsChargedAgainAfterARestartIsChargedOnce) {
  PublishedLedger ledger;
  ASSERT_TRUE(ledger.charge(round(3), kBudget).has_value());
  auto restarted = PublishedLedger::decode(ledger.encode());
  ASSERT_TRUE(restarted.has_value());
  EXPECT_TRUE(restarted->charge(round(3), kBudget).has_value());
  EXPECT_EQ(restarted->rounds(), 1U);
  PublishedRound other = round(3);
  other.local_noise = 6'250;
  EXPECT_EQ(restarted->charge(other, kBudget).error().code(), ErrorCode::duplicate);
  EXPECT_EQ(restarted->charge(round(2), kBudget).error().code(), ErrorCode::duplicate);
}

TEST(PublishedLedger, ReportsBothReadersAndCoordinatorByName) {
  PublishedLedger ledger;
  for (std::uint64_t number = 1; number <= 10; ++number) ASSERT_TRUE(ledger.charge(round(number), kBudget));
  const auto report = ledger.report(1e-5, kBudget, 741, 1e-27);
  ASSERT_TRUE(report.has_value());
  EXPECT_NEAR(report->coordinator.exact, 2.5943833805276073, 1e-9);  // tests/vectors/accountant.json: z = 5, 10 rounds
  EXPECT_NEAR(report->readers.exact, *exact_epsilon({.noise_multiplier = 5 * std::sqrt(12.0), .rounds = 10}, 1e-5),
              1e-9);
  EXPECT_EQ(report->coordinator.sampled, report->coordinator.exact) << "nobody was sampled";
  EXPECT_EQ(report->rounds_left, 59U);
  EXPECT_DOUBLE_EQ(report->noise_multiplier, 5);
  EXPECT_EQ(report->assumed_honest, 64U);
  EXPECT_EQ(report->survivors, 741U);
  EXPECT_DOUBLE_EQ(report->noise_delta, 1e-26);
}

TEST(PublishedLedger, SamplingIsACreditBesideTheExactFigure) {
  PublishedLedger ledger;
  for (std::uint64_t number = 1; number <= 50; ++number) ASSERT_TRUE(ledger.charge(round(number, 0.5), {}));
  const auto report = ledger.report(1e-5, {}, 700, 0);
  ASSERT_TRUE(report.has_value());
  const Mechanism mechanism{.noise_multiplier = 5, .rounds = 50, .sampling = 0.5};
  EXPECT_NEAR(report->coordinator.sampled, *pld_epsilon(mechanism, 1e-5), 1e-9);
  EXPECT_LT(report->coordinator.sampled, rdp_epsilon(mechanism, 1e-5)->epsilon);
  EXPECT_NEAR(report->coordinator.exact, *exact_epsilon(mechanism, 1e-5), 1e-9);
  EXPECT_LT(report->coordinator.sampled, report->coordinator.exact);
  EXPECT_LT(report->readers.sampled, report->coordinator.sampled);

  // Rounds that are not alike: by Rényi orders, and never worse than without the credit.
  ASSERT_TRUE(ledger.charge(round(51, 0.25), {}));
  const auto mixed = ledger.report(1e-5, {}, 700, 0);
  EXPECT_GT(mixed->coordinator.sampled, report->coordinator.sampled);
  EXPECT_LE(mixed->coordinator.sampled, mixed->coordinator.exact);
}

TEST(PublishedLedger, ARoundWithoutNoiseMakesEveryEpsilonInfiniteAndSaysSo) {
  PublishedLedger ledger;
  ASSERT_TRUE(ledger.charge(round(1), {}));
  ASSERT_TRUE(ledger.charge({.round = RoundId(2)}, {}));
  const auto report = ledger.report(1e-5, kBudget, 100, 0);
  EXPECT_TRUE(std::isinf(report->coordinator.exact));
  EXPECT_TRUE(std::isinf(report->readers.sampled));
  EXPECT_EQ(report->rounds_left, 0U);
  EXPECT_THAT(to_words(*report), HasSubstr("NO DIFFERENCING PROTECTION"));
  const auto json = nlohmann::json::parse(to_json(*report));
  EXPECT_EQ(json["protected"], false);
  EXPECT_TRUE(json["epsilon_coordinator"]["exact"].is_null());
  EXPECT_EQ(ledger.charge({.round = RoundId(3)}, kBudget).error().code(), ErrorCode::budget_exhausted);
}

TEST(PublishedLedger, ItsReportIsReadByMachinesAndByPeople) {
  PublishedLedger ledger;
  EXPECT_THAT(to_words(*ledger.report(1e-5, {}, 0, 0)), HasSubstr("No round"));
  for (std::uint64_t number = 1; number <= 10; ++number) ASSERT_TRUE(ledger.charge(round(number, 0.1), kBudget));
  const auto report = ledger.report(1e-5, kBudget, 741, 0);
  const auto json = nlohmann::json::parse(to_json(*report));
  EXPECT_EQ(json["protected"], true);
  EXPECT_EQ(json["unit"], "user");
  EXPECT_EQ(json["adjacency"], "add or remove one user");
  EXPECT_EQ(json["delta"], 1e-5);
  EXPECT_EQ(json["noise_multiplier"], report->noise_multiplier);
  EXPECT_EQ(json["assumed_honest"], 64);
  EXPECT_EQ(json["survivors"], 741);
  EXPECT_EQ(json["epsilon_coordinator"]["exact"], report->coordinator.exact);
  EXPECT_EQ(json["epsilon_readers"]["sampled"], report->readers.sampled);
  EXPECT_THAT(json["sampling_assumption"], HasSubstr("independently"));
  EXPECT_EQ(json["rounds_left"], 59);
  const std::string words = to_words(*report);
  EXPECT_THAT(words, HasSubstr("Against the coordinator"));
  EXPECT_THAT(words, HasSubstr("epsilon 2.59 after 10 rounds"));
  EXPECT_THAT(words, HasSubstr("59 more such rounds"));
}

TEST(PublishedLedger, RefusesWhatMeansNothing) {
  PublishedLedger ledger;
  PublishedRound bad = round(1);
  bad.local_noise = 3.9;
  EXPECT_EQ(ledger.charge(bad, {}).error().where(), "local_noise");
  bad = round(1);
  bad.sampling = 0;
  EXPECT_EQ(ledger.charge(bad, {}).error().where(), "sampling");
  bad = round(1);
  bad.total_honest = 63;
  EXPECT_EQ(ledger.charge(bad, {}).error().where(), "cohort_honest");
  EXPECT_EQ(ledger.report(0, {}, 0, 0).error().where(), "privacy.delta");
  EXPECT_EQ(ledger.charge(round(1), Budget{8, 0}).error().where(), "privacy.delta");
}

TEST(PublishedLedger, DamagedBytesAreRefused) {
  PublishedLedger ledger;
  ASSERT_TRUE(ledger.charge(round(5), {}));
  ASSERT_TRUE(ledger.charge(round(6, 0.5), {}));
  const Bytes bytes = ledger.encode();
  EXPECT_EQ(PublishedLedger::decode(bytes)->encode(), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(PublishedLedger::decode(ByteView(bytes).first(size)).has_value()) << size;
  }
  Bytes swapped = bytes;
  std::rotate(swapped.end() - 104, swapped.end() - 52, swapped.end());
  EXPECT_FALSE(PublishedLedger::decode(swapped).has_value());
}

TEST(PublishedLedger, ARoundThatEndedCheaperThanItsWorstIsSettledAndOneThatDidNotIsRefused) {
  PublishedLedger ledger;
  for (std::uint64_t number = 1; number <= 3; ++number) ASSERT_TRUE(ledger.charge(round(number), kBudget));
  const double before = ledger.report(1e-5, kBudget, 0, 0)->coordinator.exact;
  PublishedRound better = round(3);
  better.cohort_honest = 96;
  PublishedRound worse = round(3);
  worse.cohort_honest = 63;
  EXPECT_EQ(ledger.settle(worse).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(ledger.settle(round(2)).error().code(), ErrorCode::invalid_argument);
  PublishedRound open = round(3);
  open.local_noise = 0;
  EXPECT_EQ(ledger.settle(open).error().code(), ErrorCode::invalid_argument);
  ASSERT_TRUE(ledger.settle(better).has_value());
  EXPECT_EQ(ledger.rounds(), 3U);
  EXPECT_LT(ledger.report(1e-5, kBudget, 0, 0)->coordinator.exact, before);
  EXPECT_EQ(PublishedLedger::decode(ledger.encode()).value(), ledger);
  ASSERT_TRUE(ledger.charge(round(4), kBudget).has_value());
  EXPECT_EQ(PublishedLedger::decode(ledger.encode()).value(), ledger);
}

TEST(PrivacyReport, ComesBackFromItsBytesAndRefusesWhatCannotBe) {
  PublishedLedger ledger;
  for (std::uint64_t number = 1; number <= 3; ++number) ASSERT_TRUE(ledger.charge(round(number), kBudget));
  for (const auto& budget : {std::optional<Budget>(kBudget), std::optional<Budget>()}) {
    const PrivacyReport report = ledger.report(1e-5, budget, 741, 1e-27).value();
    const Bytes bytes = report.encode();
    EXPECT_EQ(bytes.size(), PrivacyReport::kSize);
    EXPECT_EQ(PrivacyReport::decode(bytes).value(), report);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(PrivacyReport::decode(ByteView(bytes).first(size)).has_value()) << size;
    }
  }
  const auto refused = [&](auto change) {
    PrivacyReport report = ledger.report(1e-5, kBudget, 741, 1e-27).value();
    change(report);
    return !PrivacyReport::decode(report.encode()).has_value();
  };
  EXPECT_TRUE(refused([](auto& report) { report.delta = 0; }));
  EXPECT_TRUE(refused([](auto& report) { report.delta = std::nan(""); }));
  EXPECT_TRUE(refused([](auto& report) { report.unprotected = 4; }));
  EXPECT_TRUE(refused([](auto& report) { report.coordinator.exact = -1; }));
  EXPECT_TRUE(refused([](auto& report) { report.readers.sampled = std::nan(""); }));
  EXPECT_TRUE(refused([](auto& report) { report.sampling = 0; }));
  EXPECT_TRUE(refused([](auto& report) { report.budget = std::numeric_limits<double>::infinity(); }));
  EXPECT_FALSE(refused([](auto& report) { report.coordinator.exact = std::numeric_limits<double>::infinity(); }));
}

}  // namespace
}  // namespace chorus::privacy
