// What the store keeps beside a job's model: other jobs, rounds, participation, the audit log, and older schemas.
#include <SQLiteCpp/SQLiteCpp.h>

#include "tests/coordinator/store_fixture.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

// Takes a folder of one job back to what an earlier program left there.
void take_back(const fs::path& folder, int schema) {
  fs::rename(folder / "town.trace.jsonl", folder / "trace.jsonl");
  SQLite::Database old((folder / "coordinator.db").string(), SQLite::OPEN_READWRITE);
  old.exec(R"(
    CREATE TABLE job (
      only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
      description BLOB NOT NULL, sha256 BLOB NOT NULL,
      last_round INTEGER NOT NULL, surveyed INTEGER NOT NULL, measured INTEGER NOT NULL,
      ledger BLOB, ledger_sha256 BLOB);
    INSERT INTO job SELECT 1, description, sha256, last_round, surveyed, measured, NULL, NULL FROM jobs;
    DROP TABLE audit; DROP TABLE participation; DROP TABLE cohort; DROP TABLE round; DROP INDEX trace_of_job;
    ALTER TABLE catalogue RENAME TO later_catalogue;
    CREATE TABLE catalogue (version INTEGER PRIMARY KEY, encoded BLOB NOT NULL, sha256 BLOB NOT NULL);
    INSERT INTO catalogue SELECT version, encoded, sha256 FROM later_catalogue;
    ALTER TABLE model RENAME TO later_model;
    CREATE TABLE model (
      version INTEGER PRIMARY KEY, round INTEGER NOT NULL,
      header BLOB NOT NULL, header_sha256 BLOB NOT NULL,
      tensors BLOB, tensors_sha256 BLOB NOT NULL,
      hidden BLOB, hidden_sha256 BLOB NOT NULL);
    INSERT INTO model SELECT version, round, header, header_sha256, tensors, tensors_sha256, hidden, hidden_sha256
      FROM later_model;
    ALTER TABLE trace RENAME TO later_trace;
    CREATE TABLE trace (line INTEGER PRIMARY KEY, record TEXT NOT NULL, sha256 BLOB NOT NULL);
    INSERT INTO trace SELECT line, record, sha256 FROM later_trace;
    DROP TABLE later_trace; DROP TABLE later_model; DROP TABLE later_catalogue; DROP TABLE jobs;
    PRAGMA user_version = 2)");
  if (schema > 1) return;
  old.exec("ALTER TABLE job DROP COLUMN ledger; ALTER TABLE job DROP COLUMN ledger_sha256; PRAGMA user_version = 1");
}

TEST_F(StoreTest, AFolderOfAnEarlierSchemaIsTakenOver) {
  for (const int schema : {1, 2}) {
    const fs::path folder = folder_ / std::to_string(schema);
    std::string trace;
    Version latest;
    {
      auto store = open_job(folder);
      const auto start = start_job(*store, make_job(9), make_items(20), make_key()).value();
      const auto commit = next_commit(start, start.version, 1);
      ASSERT_TRUE(store->commit(commit, kToday).has_value());
      ASSERT_TRUE(store->reserve_round({.round = RoundId(3), .ledger = {}}, kToday).has_value());
      latest = *commit.version;
      trace = contents(folder / "town.trace.jsonl");
    }
    take_back(folder, schema);
    auto store = open_job(folder);
    EXPECT_EQ(store.whole().jobs().value(), std::vector{entered("town")});
    const auto stored = store->load().value();
    ASSERT_TRUE(stored.has_value());
    EXPECT_EQ(stored->progress.last_round, RoundId(3));
    EXPECT_EQ(stored->progress.ledger, privacy::PublishedLedger{});
    EXPECT_EQ(stored->header, latest.header);
    EXPECT_EQ(contents(folder / "town.trace.jsonl"), trace);
    EXPECT_FALSE(fs::exists(folder / "trace.jsonl"));
    ASSERT_TRUE(store->reserve_round({.round = RoundId(4), .ledger = charged_ledger(4)}, kToday).has_value());
    EXPECT_EQ(store->load().value()->progress.ledger, charged_ledger(4));
  }
}

TEST_F(StoreTest, SeveralJobsKeepTheirStateApart) {
  auto store = open_sqlite_store(folder_).value();
  auto one = store->job("one").value();
  auto two = store->job("two").value();
  protocol::JobDescription first = make_job(3);
  first.name = "one";
  protocol::JobDescription second = make_job(9);
  second.name = "two";
  const auto start = start_job(*one, first, make_items(20), make_key()).value();
  EXPECT_FALSE(two->load().value().has_value());
  ASSERT_TRUE(start_job(*two, second, make_items(30), make_key()).has_value());
  const auto commit = next_commit(start, start.version, 1);
  ASSERT_TRUE(one->reserve_round({.round = RoundId(1), .ledger = charged_ledger(1)}, kToday).has_value());
  ASSERT_TRUE(one->commit(commit, kToday).has_value());
  EXPECT_EQ(one->load().value()->header, commit.version->header);
  const auto other = two->load().value();
  EXPECT_EQ(other->header.version, ModelVersion(0));
  EXPECT_EQ(other->progress, Progress{});
  EXPECT_EQ(other->catalogue.size(), 30U);
  EXPECT_EQ(lines(folder_ / "one.trace.jsonl").size(), 2U);
  EXPECT_EQ(lines(folder_ / "two.trace.jsonl").size(), 1U);
}

TEST_F(StoreTest, TheRegisterOfJobsOutlivesTheProcess) {
  const JobEntry submitted{.name = "one", .file = "name = \"one\"", .folder = "/etc", .standing = Standing::paused};
  {
    auto store = open_sqlite_store(folder_).value();
    ASSERT_TRUE(store->put_job({.name = "one", .file = "name = \"one\"", .folder = "/etc"}).has_value());
    ASSERT_TRUE(store->job("two").has_value());
    ASSERT_TRUE(store->put_job(submitted).has_value());
  }
  auto store = open_sqlite_store(folder_).value();
  EXPECT_EQ(store->jobs().value(), (std::vector<JobEntry>{submitted, entered("two")}));
}

TEST_F(StoreTest, RoundsAreKeptWithTheirCohortsAndOneThatWasCutOffIsLost) {
  const RoundRecord aborted{
      .round = RoundId(1),
      .purpose = "train",
      .outcome = "aborted",
      .reason = "below_threshold: why",
      .took = 1500ms,
      .from = ModelVersion(7),
      .quality = {},
      .keys = 70,
      .masked = 60,
      .unmasked = 50,
      .cohorts = {{.members = 80, .survivors = 0, .reason = "why"}, {.members = 79, .survivors = 0, .reason = {}}},
      .ended = kToday + 60s};
  {
    auto store = open_job(folder_);
    const auto start = start_job(*store, make_job(9), make_items(20), make_key()).value();
    ASSERT_TRUE(store->reserve_round({.round = RoundId(1), .ledger = {}}, kToday).has_value());
    ASSERT_TRUE(store->round_aborted(aborted, kToday + 60s).has_value());
    ASSERT_TRUE(store->reserve_round({.round = RoundId(2), .ledger = {}}, kToday).has_value());
    auto commit = next_commit(start, start.version, 2);
    commit.round = RoundRecord{.round = RoundId(2),
                               .purpose = "train",
                               .outcome = "published",
                               .reason = {},
                               .took = 2s,
                               .quality = model::Quality{.held_out_ratings = 10, .held_out_rmse = .1 + .2},
                               .cohorts = {{.members = 90, .survivors = 88, .reason = {}}}};
    ASSERT_TRUE(store->commit(commit, kToday + 90s).has_value());
    ASSERT_TRUE(store->reserve_round({.round = RoundId(3), .purpose = plan::Purpose::measure, .ledger = {}}, kToday)
                    .has_value());
  }
  auto store = open_job(folder_);
  const auto rounds = store->rounds(10).value();
  ASSERT_EQ(rounds.size(), 3U);
  EXPECT_EQ(rounds[0], aborted);
  EXPECT_EQ(rounds[1].outcome, "published");
  EXPECT_EQ(rounds[1].quality, (model::Quality{.held_out_ratings = 10, .held_out_rmse = .1 + .2}));
  EXPECT_EQ(rounds[1].ended, kToday + 90s);
  EXPECT_EQ(rounds[1].cohorts.at(0).survivors, 88U);
  EXPECT_EQ(rounds[2].outcome, "lost");
  EXPECT_EQ(rounds[2].purpose, "measure");
  const auto latest = store->rounds(1).value();
  ASSERT_EQ(latest.size(), 1U);
  EXPECT_EQ(latest[0].round, RoundId(3));
}

TEST_F(StoreTest, WhoWasDrawnIsCountedWithTheReservation) {
  const identity::DeviceId a{{1}};
  const identity::DeviceId b{{2}};
  auto store = open_job(folder_);
  ASSERT_TRUE(start_job(*store, make_job(9), make_items(20), make_key()).has_value());
  ASSERT_TRUE(store->reserve_round({.round = RoundId(1), .ledger = {}, .drawn = {a, b}}, kToday).has_value());
  ASSERT_TRUE(store->reserve_round({.round = RoundId(2), .ledger = {}, .drawn = {b}}, kToday + 1h).has_value());
  const std::vector<Participation> expected{{.device = a, .last_round = RoundId(1), .when = kToday, .rounds = 1},
                                            {.device = b, .last_round = RoundId(2), .when = kToday + 1h, .rounds = 2}};
  EXPECT_EQ(store->participation().value(), expected);
}

TEST_F(StoreTest, TheAuditLogKeepsItsOrder) {
  const AuditEntry first{.when = kToday, .who = "admin", .action = "pause", .job = "town", .detail = {}};
  const AuditEntry second{.when = kToday, .who = "signal", .action = "stop", .job = {}, .detail = "SIGTERM"};
  {
    auto store = open_sqlite_store(folder_).value();
    ASSERT_TRUE(store->append_audit(first).has_value());
    ASSERT_TRUE(store->append_audit(second).has_value());
  }
  auto store = open_sqlite_store(folder_).value();
  EXPECT_EQ(store->audit(10).value(), (std::vector{first, second}));
  EXPECT_EQ(store->audit(1).value(), std::vector{second});
}

TEST_F(StoreTest, TheLatestFourVersionsCanBeRead) {
  auto store = open_job(folder_);
  const auto start = start_job(*store, make_job(9), make_items(20), make_key()).value();
  Version latest = start.version;
  for (std::uint64_t round = 1; round <= 5; ++round) {
    const auto commit = next_commit(start, latest, round);
    ASSERT_TRUE(store->commit(commit, kToday).has_value());
    latest = *commit.version;
  }
  EXPECT_EQ(store->tensors(ModelVersion(5)).value(), *latest.tensors);
  const auto headers = store->headers(3).value();
  ASSERT_EQ(headers.size(), 3U);
  EXPECT_EQ(headers.back(), latest.header);
  EXPECT_EQ(headers.front().version, ModelVersion(3));
  EXPECT_TRUE(store->tensors(ModelVersion(2)).value().has_value());
  EXPECT_FALSE(store->tensors(ModelVersion(1)).value().has_value());
  EXPECT_FALSE(store->tensors(ModelVersion(6)).value().has_value());
}

}  // namespace
}  // namespace chorus::coordinator
