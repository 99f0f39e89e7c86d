// What an operator is shown of a job: what Federation said, counted, and nothing of anybody.
#include "coordinator/admin/observatory.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "coordinator/admin/dashboard.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;
using ::testing::HasSubstr;
using ::testing::Not;

class ObservatoryTest : public ::testing::Test {
 protected:
  ObservatoryTest()
      : start_(new_job(make_job(3), make_items(20), make_key()).value()),
        observatory_(start_.publisher->job(), start_.version, start_.publisher->catalogue().catalogue, 1'700'000'000) {}
  Picture picture() const {
    return observatory_.picture({.phase = "collecting", .connections = 7, .devices_ready = 5, .resident_bytes = 1'000});
  }
  std::string metrics() const { return to_prometheus({.daemon = {}, .jobs = {picture()}}); }
  nlohmann::json json() const { return nlohmann::json::parse(to_json(picture())); }

  JobStart start_;
  Observatory observatory_;
};

TEST_F(ObservatoryTest, TellsOfAFreshJob) {
  const auto status = json();
  EXPECT_EQ(status["job"]["name"], "town");
  EXPECT_EQ(status["version"], 0);
  EXPECT_EQ(status["items"], 20);
  EXPECT_TRUE(status["open_round"].is_null());
  EXPECT_EQ(status["devices"]["connected"], 7);
  EXPECT_TRUE(status["rounds"].empty());
  EXPECT_EQ(status["versions"].size(), 1U);
  const std::string text = metrics();
  EXPECT_THAT(text, HasSubstr("chorus_phase{job=\"town\",phase=\"collecting\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("chorus_phase{job=\"town\",phase=\"gathering\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("chorus_connections{job=\"town\"} 7\n"));
}

TEST_F(ObservatoryTest, CountsRoundsByHowTheyEndedAndMembersByWhatBecameOfThem) {
  observatory_.observe(RoundOpened{.round = RoundId(1), .cohorts = 2, .members = 200}, 1);
  EXPECT_EQ(json()["open_round"]["members"], 200);
  observatory_.observe(
      MembersDeclined{.round = RoundId(1), .cohort = CohortId(0), .reason = ErrorCode::budget_exhausted, .members = 3},
      2);
  observatory_.observe(
      CohortAborted{.round = RoundId(1), .cohort = CohortId(0), .reason = Error(ErrorCode::below_threshold, "few")}, 2);
  observatory_.observe(RoundClosed{.round = RoundId(1),
                                   .purpose = plan::Purpose::train,
                                   .cohorts = 2,
                                   .cohorts_aborted = 1,
                                   .members = 200,
                                   .funnel = {.keys = 190, .masked = 98, .unmasked = 60},
                                   .survivors = 97,
                                   .took = 4s,
                                   .quality = model::Quality{.held_out_ratings = 9, .held_out_rmse = 0.91}},
                       3);
  observatory_.observe(
      RoundAborted{.round = RoundId(2), .members = 100, .took = 1s, .reason = Error(ErrorCode::below_threshold, "few")},
      4);
  const auto status = json();
  EXPECT_TRUE(status["open_round"].is_null());
  EXPECT_EQ(status["rounds_published"], 1);
  EXPECT_EQ(status["rounds_aborted"], 1);
  EXPECT_EQ(status["members"], 300);
  EXPECT_EQ(status["survivors"], 97);
  EXPECT_EQ(status["declined"]["budget_exhausted"], 3);
  EXPECT_EQ(status["cohorts_aborted"]["below_threshold"], 1);
  EXPECT_EQ(status["rounds"][0]["quality"]["rmse"], 0.91);
  EXPECT_EQ(status["rounds"][0]["keys"], 190);
  EXPECT_EQ(status["rounds"][0]["masked"], 98);
  EXPECT_EQ(status["rounds"][0]["unmasked"], 60);
  EXPECT_THAT(status["rounds"][1]["reason"].get<std::string>(), HasSubstr("few"));
  const std::string text = metrics();
  EXPECT_THAT(text, HasSubstr("chorus_rounds_total{job=\"town\",outcome=\"published\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("chorus_rounds_total{job=\"town\",outcome=\"aborted\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("chorus_declined_total{job=\"town\",reason=\"budget_exhausted\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("chorus_round_seconds_bucket{job=\"town\",le=\"2\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("chorus_round_seconds_bucket{job=\"town\",le=\"5\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("chorus_round_seconds_count{job=\"town\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("chorus_held_out_rmse{job=\"town\"} 0.91\n"));
}

TEST_F(ObservatoryTest, ShowsEpsilonAgainstBothAndInfinityAsPrometheusWritesIt) {
  privacy::PrivacyReport report{.delta = 1e-5,
                                .rounds = 1,
                                .coordinator = {.exact = 3.5, .sampled = 3.5},
                                .readers = {.exact = 1.25, .sampled = 1.25}};
  observatory_.observe(VersionPublished{.version = ModelVersion(1), .items = 20, .privacy = report}, 1);
  EXPECT_THAT(metrics(), HasSubstr("chorus_epsilon{job=\"town\",against=\"coordinator\"} 3.5\n"));
  EXPECT_EQ(json()["versions"][1]["privacy"]["epsilon_readers"]["exact"], 1.25);
  report.unprotected = 1;
  report.coordinator.exact = std::numeric_limits<double>::infinity();
  observatory_.observe(VersionPublished{.version = ModelVersion(2), .items = 20, .privacy = report}, 1);
  EXPECT_THAT(metrics(), HasSubstr("chorus_epsilon{job=\"town\",against=\"coordinator\"} +Inf\n"));
  EXPECT_EQ(json()["versions"][2]["privacy"]["protected"], false);
}

TEST_F(ObservatoryTest, KeepsABoundedHistory) {
  for (std::uint64_t round = 1; round <= 2 * Observatory::kMostLines; ++round) {
    observatory_.observe(RoundClosed{.round = RoundId(round), .took = 1s, .quality = {}}, 1);
    observatory_.observe(VersionPublished{.version = ModelVersion(round), .privacy = {}}, 1);
  }
  EXPECT_EQ(picture().rounds.size(), Observatory::kMostLines);
  EXPECT_EQ(picture().versions.size(), Observatory::kMostLines);
  EXPECT_EQ(picture().rounds.back().round, 2 * Observatory::kMostLines);
  EXPECT_EQ(picture().rounds_published, 2 * Observatory::kMostLines);
}

TEST_F(ObservatoryTest, TellsHowManyDevicesARoundWaitsForUntilItOpens) {
  EXPECT_EQ(json()["devices"]["needed"], 0);
  observatory_.observe(WaitingForDevices{.ready = 5, .needed = 76}, 1);
  EXPECT_EQ(json()["devices"]["needed"], 76);
  observatory_.observe(RoundOpened{.round = RoundId(1), .cohorts = 1, .members = 80}, 2);
  EXPECT_EQ(json()["devices"]["needed"], 0);
}

class VersionsTest : public ObservatoryTest {
 protected:
  // As a round does: it measures the version that it began with, and publishes the next.
  void publish(std::uint64_t number, std::optional<double> rmse_before) {
    std::optional<model::Quality> quality;
    if (rmse_before) quality = model::Quality{.held_out_ratings = 9, .held_out_rmse = *rmse_before};
    observatory_.observe(RoundClosed{.round = RoundId(number), .took = 1s, .quality = quality}, 1);
    observatory_.observe(VersionPublished{.version = ModelVersion(number), .items = 20, .bytes = 100, .privacy = {}},
                         1);
    Version version = start_.version;
    version.header.version = ModelVersion(number);
    model::TensorSet tensors{{{.name = "p", .rows = 20, .columns = 2, .values = std::vector<float>(40, 1.0F)}}};
    tensors.tensors[0].values[2 * number] += static_cast<float>(3 * number);  // of item `number`
    version.tensors = std::make_shared<const Bytes>(tensors.encode());
    observatory_.publish(version, start_.publisher->catalogue().catalogue);
  }
};

TEST_F(VersionsTest, TheLatestAreKeptToDownload) {
  for (std::uint64_t number = 1; number <= 5; ++number) publish(number, {});
  const auto versions = json()["versions"];
  ASSERT_EQ(versions.size(), 6U);
  for (std::size_t line = 0; line < 6; ++line) EXPECT_EQ(versions[line]["kept"], line >= 2) << line;
  EXPECT_EQ(kept_tensors(picture(), 1), nullptr);
  ASSERT_NE(kept_tensors(picture(), 5), nullptr);
  EXPECT_EQ(kept_tensors(picture(), 5), picture().models.back().tensors);
}

TEST_F(VersionsTest, EachHasTheQualityThatTheNextRoundMeasured) {
  publish(1, {});
  publish(2, 0.9);
  const auto versions = json()["versions"];
  EXPECT_TRUE(versions[0]["quality"].is_null());
  EXPECT_EQ(versions[1]["quality"]["rmse"], 0.9);
  EXPECT_TRUE(versions[2]["quality"].is_null());
}

TEST_F(VersionsTest, TwoAreCompared) {
  publish(1, {});
  publish(2, 0.9);
  const auto difference = nlohmann::json::parse(difference_json(picture(), 1, 2).value());
  EXPECT_EQ(difference["from"], 1);
  EXPECT_EQ(difference["quality_from"]["rmse"], 0.9);
  EXPECT_TRUE(difference["quality_to"].is_null());
  ASSERT_EQ(difference["tensors"].size(), 1U);
  EXPECT_EQ(difference["tensors"][0]["shape"], (std::vector<int>{20, 2}));
  EXPECT_NEAR(difference["change"].get<double>(), std::sqrt(9.0 + 36.0), 1e-12);
  // Item 2 went up by 6, item 1 down by 3; no other moved.
  ASSERT_EQ(difference["items"].size(), 2U);
  EXPECT_EQ(difference["items"][0]["title"], "i2");
  EXPECT_EQ(difference["items"][0]["change"], 6.0);
  EXPECT_EQ(difference["items"][1]["title"], "i1");
}

TEST_F(VersionsTest, WhatIsNotKeptIsNotCompared) {
  publish(1, {});
  const auto refused = difference_json(picture(), 1, 7);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::not_found);
  EXPECT_THAT(refused.error().sentence(), HasSubstr("version 7"));
}

TEST_F(ObservatoryTest, NamesNoDevice) {
  observatory_.observe(
      MemberConvicted{.round = RoundId(1), .device = device_id(77), .reason = Error(ErrorCode::bad_dealer, "a lie")},
      1);
  const std::string device = identity::to_string(device_id(77));
  EXPECT_THAT(to_json(picture()), Not(HasSubstr(device)));
  EXPECT_THAT(metrics(), Not(HasSubstr(device)));
  EXPECT_EQ(json()["convicted"], 1);
}

TEST(Dashboard, AsksNobodyElseForAnything) {
  const std::string page =
      std::string(dashboard_page()) + std::string(dashboard_style()) + std::string(dashboard_script());
  EXPECT_THAT(page, HasSubstr("<html lang=\"en\">"));
  for (const char* elsewhere : {"src=\"http", "href=\"http", "url(http", "import(", "@import"}) {
    EXPECT_THAT(page, Not(HasSubstr(elsewhere)));
  }
}

TEST_F(ObservatoryTest, RemembersRoundsAndVersionsOfBeforeARestartAndCountsThemNot) {
  const protocol::ModelHeader first = start_.version.header;
  protocol::ModelHeader second = first;
  second.version = ModelVersion(1);
  second.round = RoundId(4);
  RoundRecord published;
  published.round = RoundId(4);
  published.purpose = "train";
  published.outcome = "published";
  published.took = 3s;
  published.quality = model::Quality{.held_out_ratings = 5, .devices = 80, .held_out_rmse = .9};
  published.cohorts = {{.members = 100, .survivors = 88, .reason = {}}};
  published.ended = WallTime(std::chrono::seconds(1'600'000'000));
  observatory_.recall({published}, {first, second});
  const auto status = json();
  ASSERT_EQ(status["rounds"].size(), 1U);
  EXPECT_EQ(status["rounds"][0]["survivors"], 88);
  EXPECT_EQ(status["rounds"][0]["quality"]["rmse"], .9);
  EXPECT_EQ(status["rounds_published"], 0);
  ASSERT_EQ(status["versions"].size(), 2U);
  EXPECT_EQ(status["versions"][1]["when"], 1'600'000'000);
}

}  // namespace
}  // namespace chorus::coordinator
