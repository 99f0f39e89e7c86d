// The library against a coordinator of this process, over TLS: syncing, waiting, giving up, and what is not trusted.
#include <atomic>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "certs/io/clock.hpp"
#include "chorus/client.hpp"
#include "tests/coordinator/io/running_coordinator.hpp"

namespace chorus {
namespace {

using coordinator::test::RunningCoordinator;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = SyncProgress::Kind;
using Ending = SyncReport::Ending;

// Far beyond what anything here takes.
constexpr seconds kLong{60};

class SyncTest : public ::testing::Test {
 protected:
  SyncTest() {
    town_.start({});
    enrol(town_, "device");
  }
  void enrol(RunningCoordinator& town, const std::string& name) {
    ASSERT_TRUE(town.authority().issue_device(town_.folder() / "library" / name, certs::wall_clock()).has_value());
  }
  Client open(const std::string& name = "device") {
    const auto folder = town_.folder() / "library";
    return Client::open({.store = folder / (name + ".db"), .credentials = folder / name}).value();
  }
  std::vector<std::string> here() { return {"127.0.0.1:" + std::to_string(town_.port())}; }
  ClientResult<SyncReport> fetch(Client& client) {
    return client.sync({.coordinators = here(), .job = {}, .rounds = 0, .until_finished = false, .patience = kLong, .without_noise = true, .least_identity_age = {}});
  }

  RunningCoordinator town_;
};

TEST_F(SyncTest, AFetchBringsCatalogueAndModelAndTakesPartInNothing) {
  Client client = open();
  ASSERT_TRUE(client.rate("i3", 5));
  const auto report = fetch(client);
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_EQ(report->ending, Ending::complete);
  EXPECT_EQ(report->rounds, 0U);
  EXPECT_EQ(report->model_version, 0U);
  EXPECT_GT(report->bytes_down, 0U);

  const auto status = client.status();
  EXPECT_EQ(status->job, "town");
  EXPECT_EQ(status->minimum, 1);
  EXPECT_EQ(status->maximum, 5);
  EXPECT_EQ(status->catalogue_items, 20U);
  EXPECT_EQ(status->unknown, 0U);
  EXPECT_THAT(status->coordinator_key, SizeIs(64));
  EXPECT_TRUE(status->last_contact.has_value());
  EXPECT_THAT(status->history, SizeIs(0));

  const auto best = client.recommend(3);
  ASSERT_TRUE(best) << best.error().sentence;
  EXPECT_EQ(best->basis, "catalogue");
  ASSERT_THAT(best->items, SizeIs(3));
  EXPECT_EQ(best->items[0].item, "i0");
}

TEST_F(SyncTest, OnceTheJobIsKnownItsScaleIsRequiredAndItsItemsAreKnown) {
  Client client = open();
  ASSERT_TRUE(fetch(client));
  EXPECT_EQ(client.rate("i1", 6).error().kind, ClientErrorKind::input);
  EXPECT_EQ(client.rate("i1", 4.5).error().kind, ClientErrorKind::input);
  EXPECT_EQ(client.rate("i1", 4)->in_catalogue, true);
  EXPECT_EQ(client.rate("elsewhere", 4)->in_catalogue, false);
  const auto file = town_.folder() / "ratings.csv";
  std::ofstream(file) << "item,rating\ni2,3\ni4,3.5\nnew,5\ni5,6\n";
  const auto refused = client.import_ratings(file);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().sentence, HasSubstr("between 1 and 5"));
  EXPECT_THAT(refused.error().where, HasSubstr("ratings.csv:5"));
  std::ofstream(file) << "item,rating\ni2,3\ni4,3.5\nnew,5\n";
  const auto report = client.import_ratings(file);
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_EQ(report->ratings, 3U);
  EXPECT_EQ(report->unknown, 1U);
  EXPECT_EQ(report->off_scale, 1U);
  EXPECT_EQ(client.status()->unknown, 2U);
  EXPECT_EQ(client.status()->off_scale, 1U);
}

TEST_F(SyncTest, WithTooFewDevicesItWaitsAndSaysHowManyAreReady) {
  Client client = open();
  std::vector<std::string> waited;
  const auto report =
      client.sync({.coordinators = here(), .job = {}, .rounds = 1, .until_finished = false, .patience = kLong, .without_noise = true, .least_identity_age = {}},
                  [&](const SyncProgress& progress) {
                    if (progress.kind != Kind::waiting) return;
                    waited.push_back(progress.sentence);
                    EXPECT_EQ(progress.done, 1U);
                    EXPECT_EQ(progress.total, 4U);
                    client.cancel();  // from the callback
                  });
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_EQ(report->ending, Ending::cancelled);
  EXPECT_EQ(report->devices_ready, 1U);
  EXPECT_EQ(report->devices_needed, 4U);
  ASSERT_THAT(waited, SizeIs(1));
  EXPECT_EQ(waited[0], "waiting: 1 of 4 devices ready");
  EXPECT_EQ(client.status()->devices_needed, 4U);
  // The cancellation is used up.
  EXPECT_EQ(fetch(client)->ending, Ending::complete);
}

TEST_F(SyncTest, ItGivesUpWhenItsPatienceIsOver) {
  Client client = open();
  const auto report = client.sync(
      {.coordinators = here(), .job = {}, .rounds = 1, .until_finished = false, .patience = milliseconds(300), .without_noise = true, .least_identity_age = {}});
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_EQ(report->ending, Ending::impatient);
  EXPECT_EQ(report->model_version, 0U);
}

TEST_F(SyncTest, AnotherThreadMayCancel) {
  Client client = open();
  std::atomic<bool> waiting{false};
  std::thread other([&] {
    waiting.wait(false);
    client.cancel();
  });
  const auto report =
      client.sync({.coordinators = here(), .job = {}, .rounds = 1, .until_finished = false, .patience = kLong, .without_noise = true, .least_identity_age = {}},
                  [&](const SyncProgress& progress) {
                    if (progress.kind != Kind::waiting) return;
                    waiting = true;
                    waiting.notify_one();
                  });
  waiting = true;
  waiting.notify_one();
  other.join();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->ending, Ending::cancelled);
}

TEST_F(SyncTest, WhileOneClientSyncsAnotherOneOfTheStoreReadsAndRates) {
  Client client = open();
  const auto report =
      client.sync({.coordinators = here(), .job = {}, .rounds = 1, .until_finished = false, .patience = kLong, .without_noise = true, .least_identity_age = {}},
                  [&](const SyncProgress& progress) {
                    if (progress.kind != Kind::waiting) return;
                    Client second = open();
                    EXPECT_TRUE(second.rate("i7", 2));
                    EXPECT_TRUE(second.recommend(1));
                    const auto busy = fetch(second);
                    ASSERT_FALSE(busy.has_value());
                    EXPECT_EQ(busy.error().kind, ClientErrorKind::busy);
                    EXPECT_EQ(second.leave().error().kind, ClientErrorKind::busy);
                    client.cancel();
                  });
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_EQ(client.status()->ratings, 1U);
}

// The town's coordinator sums cohorts of four; the library agrees to none that small, and nothing turns that off.
TEST_F(SyncTest, ARoundOfACohortBelowTheProductionFloorIsDeclined) {
  std::vector<std::thread> others;
  std::vector<net::TlsCredentials> credentials;
  for (int i = 0; i < 3; ++i) credentials.push_back(town_.enrol());
  Client client = open();
  std::string declined;
  bool started = false;
  const auto report =
      client.sync({.coordinators = here(), .job = {}, .rounds = 1, .until_finished = false, .patience = kLong, .without_noise = true, .least_identity_age = {}},
                  [&](const SyncProgress& progress) {
                    if (progress.kind == Kind::waiting && others.empty()) {
                      for (std::uint32_t i = 0; i < 3; ++i) {
                        others.emplace_back(
                            [&, i] { static_cast<void>(coordinator::test::live(credentials[i], town_.port(), i)); });
                      }
                    }
                    started = started || progress.kind == Kind::round_started;
                    if (progress.kind != Kind::declined) return;
                    declined = progress.sentence;
                    client.cancel();
                  });
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_EQ(report->rounds, 0U);
  EXPECT_FALSE(started);
  EXPECT_THAT(declined, HasSubstr("declined round 1"));
  EXPECT_THAT(client.status()->history, SizeIs(0));
  EXPECT_THAT(client.status()->last_outcome, HasSubstr("declined"));
  static_cast<void>(town_.stop());
  for (std::thread& other : others) other.join();
}

TEST_F(SyncTest, AForeignAuthoritysDeviceIsAnErrorOfTrust) {
  RunningCoordinator elsewhere(11);
  enrol(elsewhere, "stranger");
  Client client = open("stranger");
  const auto report = fetch(client);
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().kind, ClientErrorKind::trust) << report.error().sentence;
}

TEST_F(SyncTest, AnotherCoordinatorUnderTheSameNameIsNotTrustedUntilTheJobIsLeft) {
  Client client = open();
  ASSERT_TRUE(client.rate("i1", 4));
  ASSERT_TRUE(fetch(client));
  static_cast<void>(town_.stop());
  // A new certificate and a new state: somebody else, with the authority's blessing.
  std::filesystem::remove_all(town_.coordinator_folder());
  std::filesystem::remove_all(town_.folder() / "state");
  const std::vector<std::string> hosts = {"127.0.0.1"};
  ASSERT_TRUE(town_.authority().issue_coordinator(hosts, town_.coordinator_folder(), certs::wall_clock()).has_value());
  town_.start({});
  const auto refused = fetch(client);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ClientErrorKind::trust);
  EXPECT_THAT(refused.error().sentence, HasSubstr("leave the job"));
  ASSERT_TRUE(client.leave());
  EXPECT_EQ(client.status()->ratings, 1U);
  const auto again = fetch(client);
  EXPECT_TRUE(again) << again.error().sentence;
}

TEST_F(SyncTest, AJobThatIsNotThereIsRefused) {
  Client client = open();
  const auto report =
      client.sync({.coordinators = here(), .job = "books", .rounds = 0, .until_finished = false, .patience = kLong, .without_noise = true, .least_identity_age = {}});
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().kind, ClientErrorKind::refused);
}

TEST_F(SyncTest, WithoutACoordinatorItRetriesUntilItsPatienceIsOver) {
  const auto place = here();
  static_cast<void>(town_.stop());
  Client client = open();
  std::size_t retries = 0;
  const auto report =
      client.sync({.coordinators = place, .job = {}, .rounds = 0, .until_finished = false, .patience = kLong, .without_noise = true, .least_identity_age = {}},
                  [&](const SyncProgress& progress) {
                    if (progress.kind == Kind::retrying && ++retries == 2) client.cancel();
                  });
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_EQ(report->ending, Ending::cancelled);
  EXPECT_EQ(retries, 2U);
  EXPECT_THAT(report->trouble, HasSubstr("unreachable"));
  EXPECT_EQ(client.status()->last_contact, std::nullopt);
}

}  // namespace
}  // namespace chorus
