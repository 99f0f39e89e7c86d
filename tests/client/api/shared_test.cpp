// What a device says that it shared, and how it stops.
#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "chorus/client.h"
#include "chorus/client.hpp"
#include "client/api/device.hpp"
#include "client/store/store.hpp"
#include "tests/client/store/temporary_folder.hpp"
#include "tests/e2e/town.hpp"

namespace chorus {
namespace {

using client::Ending;
using client::Participation;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::int64_t kNow = 1'700'000'000;
// z = 5: 69 rounds within ε = 8 at δ = 1e-5 by the exact accountant, .72 each.
const privacy::Cost kCost = privacy::Cost::of_noise_multiplier(5);

class Shared : public ::testing::Test {
 protected:
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  std::unique_ptr<client::Store> store() const { return client::open_store(path("me.db")).value(); }
  Client open(const PrivacyLimits& limits = {}) const {
    return Client::open({.store = path("me.db"), .credentials = path("device"), .privacy = limits}).value();
  }
  static void take_part(client::Store& store, std::uint64_t round, const client::RoundCharge& charge) {
    Participation line;
    line.round = RoundId(round);
    line.model_version = ModelVersion(round);
    line.when = charge.now;
    ASSERT_TRUE(store.reserve(line));
    ASSERT_TRUE(store.charge(line.round, charge));
  }
  static client::RoundCharge noisy(std::int64_t when) {
    return {.cost = kCost, .honest = 64, .now = WallTime(std::chrono::seconds(when))};
  }
  static client::RoundCharge bare(std::int64_t when) {
    client::RoundCharge charge = client::kWithoutNoise;
    charge.now = WallTime(std::chrono::seconds(when));
    return charge;
  }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(path(name).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
  }
  e2e::Ran run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin() + 1, {"--store", path("me.db").string()});
    return e2e::run_program("chorus-client", std::move(arguments));
  }

  client::TemporaryFolder folder_;
};

TEST_F(Shared, ALedgerSaysWhatWasSharedWhatItCostAndHowMuchIsLeft) {
  {
    const auto held = store();
    take_part(*held, 1, noisy(kNow));
    Participation published;
    published.round = RoundId(1);
    published.model_version = ModelVersion(1);
    published.when = WallTime(std::chrono::seconds(kNow));
    published.members = 100;
    published.survivors = 90;
    published.ending = Ending::published;
    ASSERT_TRUE(held->finish(published));
    take_part(*held, 2, noisy(kNow + 60));
  }
  Client client = open();
  const auto ledger = client.ledger();
  ASSERT_TRUE(ledger) << ledger.error().sentence;
  EXPECT_EQ(ledger->updates, 2U);
  EXPECT_EQ(ledger->unprotected, 0U);
  EXPECT_EQ(ledger->rounds_left, 67U);
  EXPECT_DOUBLE_EQ(ledger->spent, (2 * kCost).epsilon(1e-5).value());
  EXPECT_DOUBLE_EQ(ledger->spent + ledger->left, 8);
  ASSERT_THAT(ledger->shared, SizeIs(2));
  EXPECT_EQ(ledger->shared[0].ending, "lost");
  EXPECT_EQ(ledger->shared[0].others, std::nullopt);
  EXPECT_EQ(ledger->shared[0].honest, 64U);
  EXPECT_EQ(ledger->shared[1].when, kNow);
  EXPECT_EQ(ledger->shared[1].purpose, "train");
  EXPECT_EQ(ledger->shared[1].model_version, 1U);
  EXPECT_EQ(ledger->shared[1].others, 89U);
  EXPECT_DOUBLE_EQ(ledger->shared[1].epsilon.value(), kCost.epsilon(1e-5).value());

  const auto newest = client.ledger(1);
  EXPECT_THAT(newest->shared, SizeIs(1));
  EXPECT_EQ(newest->updates, 2U) << "those that are not listed count";
}

TEST_F(Shared, AnUpdateWithoutNoiseIsSaidToHaveNoProtection) {
  take_part(*store(), 1, bare(kNow));
  const auto ledger = open().ledger();
  ASSERT_TRUE(ledger);
  EXPECT_EQ(ledger->unprotected, 1U);
  EXPECT_EQ(ledger->rounds_left, std::nullopt);
  EXPECT_EQ(ledger->shared.at(0).epsilon, std::nullopt);
  EXPECT_THAT(run({"ledger"}).out, HasSubstr("without noise: NO DIFFERENCING PROTECTION"));
}

TEST_F(Shared, ARoundOfAJobThatWasLeftIsNotTakenForALaterOneOfTheSameNumber) {
  const auto held = store();
  take_part(*held, 1, noisy(kNow));
  ASSERT_TRUE(held->leave());
  take_part(*held, 1, noisy(kNow + 60));
  const auto ledger = open().ledger();
  ASSERT_THAT(ledger->shared, SizeIs(2));
  EXPECT_EQ(ledger->shared[0].model_version, 1U);
  EXPECT_EQ(ledger->shared[1].model_version, std::nullopt);
  EXPECT_EQ(ledger->shared[1].purpose, "");
}

TEST_F(Shared, AnEarlierJobsRoundIsNotTakenForOneThatWasWithheldNorSortedByAClockThatWentBack) {
  const auto held = store();
  take_part(*held, 1, noisy(kNow));
  take_part(*held, 2, noisy(kNow));
  ASSERT_TRUE(held->leave());
  take_part(*held, 1, noisy(kNow - 86'400));  // the clock went back a day
  Participation withheld;
  withheld.round = RoundId(2);
  withheld.when = WallTime(std::chrono::seconds(kNow - 86'400));
  ASSERT_TRUE(held->reserve(withheld));
  const auto ledger = open().ledger();
  ASSERT_THAT(ledger->shared, SizeIs(3));
  EXPECT_EQ(ledger->shared[0].when, kNow - 86'400) << "newest first is as they were charged, whatever the clock said";
  EXPECT_EQ(ledger->shared[0].model_version, 1U);
  EXPECT_EQ(ledger->shared[1].model_version, std::nullopt);
  EXPECT_EQ(ledger->shared[2].model_version, std::nullopt);
}

TEST_F(Shared, LimitsThatMeanNothingAreRefusedByName) {
  const auto refusal = [&](const PrivacyLimits& limits) {
    Client client = open(limits);
    const auto ledger = client.ledger();
    const auto synced = client.sync({.coordinators = {"localhost:1"}, .job = {}});
    EXPECT_FALSE(ledger);
    EXPECT_FALSE(synced);
    EXPECT_EQ(ledger.error().kind, ClientErrorKind::usage);
    EXPECT_EQ(synced.error().sentence, ledger.error().sentence);
    return ledger.error().where;
  };
  EXPECT_EQ(refusal({.delta = 0}), "privacy.delta");
  EXPECT_EQ(refusal({.delta = 1}), "privacy.delta");
  EXPECT_EQ(refusal({.epsilon = 0}), "privacy.epsilon");
  EXPECT_EQ(refusal({.epsilon = std::numeric_limits<double>::quiet_NaN()}), "privacy.epsilon");
  EXPECT_EQ(refusal({.most_round_epsilon = -1}), "privacy.most_round_epsilon");
  EXPECT_EQ(refusal({.least_interval = std::chrono::seconds(-1)}), "privacy.least_interval");
  for (const char* option : {"--delta", "--epsilon", "--most-round-epsilon"}) {
    const e2e::Ran ran = run({"ledger", option, "0"});
    EXPECT_EQ(ran.status, 2) << option;
    EXPECT_THAT(ran.err, Not(IsEmpty())) << option;
  }
}

TEST(Consent, IsWhatTheUserSaidLimitByLimit) {
  SyncOptions options;
  options.without_noise = true;
  options.least_identity_age = std::chrono::days(3);
  const client::Policy policy(plan::kProductionFloors,
                              api::consent_of(options, {.epsilon = 4,
                                                        .delta = 1e-6,
                                                        .most_round_epsilon = 2,
                                                        .least_interval = std::chrono::hours(5),
                                                        .least_cohort = 200}));
  EXPECT_TRUE(policy.consent().without_noise);
  EXPECT_EQ(policy.consent().least_identity_age, std::chrono::days(3));
  EXPECT_EQ(policy.consent().least_cohort, 200U);
  const privacy::LedgerLimits limits = policy.ledger_limits();
  EXPECT_EQ(limits.budget.epsilon, 4);
  EXPECT_EQ(limits.budget.delta, 1e-6);
  EXPECT_EQ(limits.most_round_epsilon, 2);
  EXPECT_EQ(limits.least_interval, std::chrono::hours(5));
  EXPECT_TRUE(limits.without_noise);
  // And without a word the presets of both are the same.
  const client::Consent preset = api::consent_of({}, {});
  EXPECT_FALSE(preset.without_noise);
  EXPECT_EQ(preset.budget.epsilon, client::Consent().budget.epsilon);
  EXPECT_EQ(preset.budget.delta, client::Consent().budget.delta);
  EXPECT_EQ(preset.most_round_epsilon, client::Consent().most_round_epsilon);
  EXPECT_EQ(preset.least_identity_age, client::Consent().least_identity_age);
}

TEST_F(Shared, TheProgramTellsTheLedgerInWordsAndInJson) {
  take_part(*store(), 1, noisy(kNow));
  const e2e::Ran words = run({"ledger"});
  EXPECT_EQ(words.status, 0);
  EXPECT_THAT(words.out, AllOf(HasSubstr("shared   1 update\n"), HasSubstr("of 8 (delta 1e-05)"),
                               HasSubstr("68 left at the last cost"), HasSubstr("2023-11-14 22:13:20 UTC  round 1"),
                               HasSubstr("hidden among 64 at least, cost epsilon 0.7")));
  const json object = json::parse(run({"ledger", "--json", "--epsilon", "4"}).out);
  EXPECT_EQ(object["epsilon"], 4);
  EXPECT_GT(object["rounds_left"], 0);
  EXPECT_LT(object["rounds_left"], 68);
  EXPECT_EQ(json::parse(run({"ledger", "--json", "--most-round-epsilon", "0.5"}).out)["rounds_left"], 0);
  EXPECT_EQ(object["shared"][0]["protected"], true);
}

TEST_F(Shared, ForgettingDeletesWhatIsPrivateAndKeepsWhatWasSpent) {
  for (const char* name : {"device.key", "device.crt", "identity.statement", "authority.crt"}) {
    write(std::string("device/") + name, "SECRET");
  }
  take_part(*store(), 1, noisy(kNow));
  Client client = open();
  ASSERT_TRUE(client.rate("a film that nobody may know of", 5));
  const auto report = client.forget();
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_EQ(report->ratings, 1U);
  EXPECT_EQ(report->updates, 1U);
  EXPECT_THAT(report->deleted,
              ElementsAre(path("device/device.key"), path("device/device.crt"), path("device/identity.statement")));
  EXPECT_FALSE(std::filesystem::exists(path("device/device.key")));
  EXPECT_TRUE(std::filesystem::exists(path("device/authority.crt"))) << "that one is public";
  EXPECT_EQ(client.status()->ratings, 0U);
  EXPECT_THAT(client.status()->history, IsEmpty());
  EXPECT_EQ(client.ledger()->updates, 1U);
  for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
    if (!file.is_regular_file()) continue;
    std::ifstream in(file.path(), std::ios::binary);
    EXPECT_THAT(std::string(std::istreambuf_iterator<char>(in), {}), Not(HasSubstr("nobody may know"))) << file;
  }
  EXPECT_TRUE(client.forget()) << "again";
}

TEST_F(Shared, ADeviceThatForgotTakesPartInNothing) {
  ASSERT_TRUE(open().forget());
  const auto again = store();  // a process later
  const Status session = again->begin_session();
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code(), ErrorCode::aborted);
  EXPECT_FALSE(again->begin_session()) << "nor when asked again";
  EXPECT_EQ(open().leave().error().kind, ClientErrorKind::refused);
  EXPECT_EQ(open().sync({.coordinators = {"localhost:1"}, .job = {}}).error().kind, ClientErrorKind::refused);
  EXPECT_EQ(run({"sync", "--coordinator", "localhost:1", "--fetch-only"}).status, 7);
}

TEST_F(Shared, NothingIsForgottenWhileAnotherProcessSyncs) {
  write("device/device.key", "SECRET");
  Client client = open();
  ASSERT_TRUE(client.rate("a", 5));
  const auto syncing = store();
  ASSERT_TRUE(syncing->begin_session());
  EXPECT_EQ(client.forget().error().kind, ClientErrorKind::busy);
  EXPECT_EQ(run({"forget", "--yes", "--credentials", path("device").string()}).status, 4);
  EXPECT_EQ(client.status()->ratings, 1U);
  EXPECT_TRUE(std::filesystem::exists(path("device/device.key")));
}

TEST_F(Shared, ForgettingWithoutATerminalNeedsAYes) {
  ASSERT_TRUE(open().rate("a", 5));
  const std::string device = path("device").string();
  const e2e::Ran asked = run({"forget", "--credentials", device});
  EXPECT_EQ(asked.status, 2);
  EXPECT_THAT(asked.err, HasSubstr("--yes"));
  EXPECT_EQ(open().status()->ratings, 1U);
  const e2e::Ran done = run({"forget", "--credentials", device, "--yes"});
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_THAT(done.out, AllOf(HasSubstr("1 rating,"), HasSubstr("cannot be taken back"), HasSubstr("stays spent")));
  EXPECT_EQ(open().status()->ratings, 0U);
}

TEST_F(Shared, TheCFaceTellsTheLedgerHoldsTheLimitsAndForgets) {
  write("device/device.key", "SECRET");
  {
    const auto held = store();
    take_part(*held, 1, noisy(kNow));
    take_part(*held, 2, bare(kNow + 60));
  }
  chorus_client* client = nullptr;
  chorus_privacy_limits bad{};
  bad.epsilon = -1;
  ASSERT_EQ(chorus_client_open_limited(path("me.db").c_str(), nullptr, &bad, &client), CHORUS_OK);
  chorus_ledger* ledger = nullptr;
  EXPECT_EQ(chorus_client_read_ledger(client, 10, &ledger), CHORUS_USAGE);
  EXPECT_THAT(chorus_error_message(), HasSubstr("privacy.epsilon"));
  chorus_client_close(client);

  chorus_privacy_limits limits{};
  limits.epsilon = 4;
  ASSERT_EQ(chorus_client_open_limited(path("me.db").c_str(), path("device").c_str(), &limits, &client), CHORUS_OK);
  ASSERT_EQ(chorus_client_read_ledger(client, 10, &ledger), CHORUS_OK);
  const chorus_ledger_totals totals = chorus_ledger_get_totals(ledger);
  EXPECT_EQ(totals.updates, 2U);
  EXPECT_EQ(totals.unprotected, 1U);
  EXPECT_DOUBLE_EQ(totals.epsilon_spent + totals.epsilon_left, 4);
  EXPECT_EQ(totals.has_rounds_left, 1);
  EXPECT_EQ(totals.rounds_left, 0U) << "with an update without noise no budget holds";
  ASSERT_EQ(chorus_ledger_count(ledger), 2U);
  chorus_shared_update update{};
  ASSERT_EQ(chorus_ledger_get_update(ledger, 0, &update), CHORUS_OK);
  EXPECT_TRUE(std::isinf(update.epsilon));
  ASSERT_EQ(chorus_ledger_get_update(ledger, 1, &update), CHORUS_OK);
  EXPECT_EQ(update.when, kNow);
  EXPECT_EQ(update.in_history, 1);
  EXPECT_STREQ(update.ending, "lost");
  EXPECT_EQ(update.others, 0U);
  EXPECT_EQ(update.honest, 64U);
  EXPECT_DOUBLE_EQ(update.epsilon, kCost.epsilon(1e-5).value());
  EXPECT_EQ(chorus_ledger_get_update(ledger, 2, &update), CHORUS_USAGE);
  chorus_ledger_free(ledger);

  EXPECT_EQ(chorus_client_forget(client), CHORUS_OK);
  EXPECT_FALSE(std::filesystem::exists(path("device/device.key")));
  EXPECT_EQ(chorus_client_forget(nullptr), CHORUS_USAGE);
  chorus_client_close(client);
  chorus_ledger_free(nullptr);
  EXPECT_EQ(chorus_ledger_count(nullptr), 0U);
  EXPECT_EQ(chorus_ledger_get_totals(nullptr).updates, 0U);
}

}  // namespace
}  // namespace chorus
