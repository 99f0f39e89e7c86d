// The SQLite store: its schema, the register of jobs and the audit log; a job's own rows are in sqlite_job_store.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sqlite3.h>

#include "coordinator/store/sqlite_job_store.hpp"
#include "coordinator/store/sqlite_support.hpp"
#include "coordinator/store/state_folder.hpp"
#include "coordinator/store/store.hpp"

namespace chorus::coordinator {

namespace {

using namespace sqlite;

constexpr int kApplicationId = 0x43484f52;  // "CHOR", for file(1)
constexpr std::array<std::string_view, 3> kStandings{"open", "paused", "stopped"};

// What makes schema n + 1 of schema n; what was released is never changed.
constexpr std::array kMigrations{
    R"(
  CREATE TABLE job (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    description BLOB NOT NULL, sha256 BLOB NOT NULL,
    last_round INTEGER NOT NULL, surveyed INTEGER NOT NULL, measured INTEGER NOT NULL);
  CREATE TABLE catalogue (version INTEGER PRIMARY KEY, encoded BLOB NOT NULL, sha256 BLOB NOT NULL);
  CREATE TABLE model (
    version INTEGER PRIMARY KEY, round INTEGER NOT NULL,
    header BLOB NOT NULL, header_sha256 BLOB NOT NULL,
    tensors BLOB, tensors_sha256 BLOB NOT NULL,
    hidden BLOB, hidden_sha256 BLOB NOT NULL);
  CREATE TABLE trace (line INTEGER PRIMARY KEY, record TEXT NOT NULL, sha256 BLOB NOT NULL);
)",
    // The published privacy ledger; null before the first charge.
    R"(
  ALTER TABLE job ADD COLUMN ledger BLOB;
  ALTER TABLE job ADD COLUMN ledger_sha256 BLOB;
)",
    // Several jobs; what ended and who took part; who told the coordinator what. The name of a job that was there
    // before is in its description, and its numbers get a checksum (take_over_the_first_job).
    R"(
  CREATE TABLE jobs (
    job INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    file TEXT NOT NULL DEFAULT '', folder TEXT NOT NULL DEFAULT '', standing INTEGER NOT NULL DEFAULT 0,
    description BLOB, sha256 BLOB,
    last_round INTEGER NOT NULL DEFAULT 0, surveyed INTEGER NOT NULL DEFAULT 0, measured INTEGER NOT NULL DEFAULT 0,
    ledger BLOB NOT NULL DEFAULT x'', progress_sha256 BLOB);
  INSERT INTO jobs (job, name, description, sha256, last_round, surveyed, measured, ledger, progress_sha256)
    SELECT 1, '', description, sha256, last_round, surveyed, measured, ifnull(ledger, x''), ledger_sha256 FROM job;
  DROP TABLE job;
  ALTER TABLE catalogue RENAME TO catalogue_before;
  CREATE TABLE catalogue (
    job INTEGER NOT NULL REFERENCES jobs, version INTEGER NOT NULL,
    encoded BLOB NOT NULL, sha256 BLOB NOT NULL, PRIMARY KEY (job, version));
  INSERT INTO catalogue SELECT 1, version, encoded, sha256 FROM catalogue_before;
  DROP TABLE catalogue_before;
  ALTER TABLE model RENAME TO model_before;
  CREATE TABLE model (
    job INTEGER NOT NULL REFERENCES jobs, version INTEGER NOT NULL, round INTEGER NOT NULL,
    header BLOB NOT NULL, header_sha256 BLOB NOT NULL,
    tensors BLOB, tensors_sha256 BLOB NOT NULL,
    hidden BLOB, hidden_sha256 BLOB NOT NULL, PRIMARY KEY (job, version));
  INSERT INTO model SELECT 1, version, round, header, header_sha256, tensors, tensors_sha256, hidden, hidden_sha256
    FROM model_before;
  DROP TABLE model_before;
  ALTER TABLE trace RENAME TO trace_before;
  CREATE TABLE trace (
    line INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES jobs, record TEXT NOT NULL, sha256 BLOB NOT NULL);
  INSERT INTO trace SELECT line, 1, record, sha256 FROM trace_before;
  DROP TABLE trace_before;
  CREATE INDEX trace_of_job ON trace (job, line);
  CREATE TABLE round (
    job INTEGER NOT NULL REFERENCES jobs, round INTEGER NOT NULL, purpose TEXT NOT NULL, outcome TEXT NOT NULL,
    reason TEXT NOT NULL, milliseconds INTEGER NOT NULL, ended INTEGER NOT NULL,
    started_from INTEGER NOT NULL, quality TEXT, keys INTEGER NOT NULL, masked INTEGER NOT NULL,
    unmasked INTEGER NOT NULL, PRIMARY KEY (job, round));
  CREATE TABLE cohort (
    job INTEGER NOT NULL, round INTEGER NOT NULL, cohort INTEGER NOT NULL, members INTEGER NOT NULL,
    survivors INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (job, round, cohort),
    FOREIGN KEY (job, round) REFERENCES round);
  CREATE TABLE participation (
    job INTEGER NOT NULL REFERENCES jobs, device BLOB NOT NULL, last_round INTEGER NOT NULL, at INTEGER NOT NULL,
    rounds INTEGER NOT NULL, PRIMARY KEY (job, device)) WITHOUT ROWID;
  CREATE TABLE audit (
    entry INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, job TEXT NOT NULL,
    detail TEXT NOT NULL);
)"};
constexpr int kSchemaVersion = static_cast<int>(kMigrations.size());
constexpr int kFirstWithNames = 3;

class SqliteStore final : public Store {
 public:
  SqliteStore(std::filesystem::path folder, FileHandle lock)
      : folder_(std::move(folder)),
        lock_(std::move(lock)),
        database_((folder_ / "coordinator.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {}

  // May throw SQLite::Exception, as all private functions.
  Status prepare() {
    const int version = database_.execAndGet("PRAGMA user_version").getInt();
    if (version > kSchemaVersion) {
      return fail(ErrorCode::unsupported_version,
                  fmt::format("coordinator.db has schema {}, this program knows {}: use the later program", version,
                              kSchemaVersion),
                  folder_.string());
    }
    database_.exec("PRAGMA journal_mode = WAL");
    database_.exec("PRAGMA synchronous = FULL");
    // In KiB. The preset of 2 MiB fills with pages of the trace that nobody reads again.
    database_.exec("PRAGMA cache_size = -256");
    if (version == 0 && database_.execAndGet("SELECT count(*) FROM sqlite_master").getInt() != 0) {
      return fail(ErrorCode::corrupt, "coordinator.db is not a coordinator's", folder_.string());
    }
    if (version < kSchemaVersion) CHORUS_TRY_DO(migrate(version));
    database_.exec("PRAGMA foreign_keys = ON");
    // Checksums guard what rows hold; this, that no row or entry of an index is missing or under another key. It reads
    // the database once.
    if (database_.execAndGet("PRAGMA integrity_check(1)").getString() != "ok") {
      throw SQLite::Exception("integrity_check", SQLITE_CORRUPT);
    }
    return {};
  }

  [[nodiscard]] Result<std::vector<JobEntry>> jobs() override {
    return guarded<std::vector<JobEntry>>(folder_, [&]() -> Result<std::vector<JobEntry>> {
      std::vector<JobEntry> found;
      SQLite::Statement rows(database_, "SELECT name, file, folder, standing FROM jobs ORDER BY job");
      while (rows.executeStep()) {
        const std::uint64_t standing = whole(rows.getColumn(3));
        if (standing >= kStandings.size()) return corrupt("register of jobs", folder_);
        found.push_back({.name = rows.getColumn(0).getString(),
                         .file = rows.getColumn(1).getString(),
                         .folder = rows.getColumn(2).getString(),
                         .standing = static_cast<Standing>(standing)});
      }
      return found;
    });
  }

  [[nodiscard]] Status put_job(const JobEntry& job) override {
    return guarded<void>(folder_, [&]() -> Status {
      SQLite::Statement put(database_,
                            "INSERT INTO jobs (name, file, folder, standing) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO "
                            "UPDATE SET file = excluded.file, folder = excluded.folder, standing = excluded.standing");
      put.bind(1, job.name);
      put.bind(2, job.file);
      put.bind(3, job.folder);
      put.bind(4, static_cast<int>(job.standing));
      put.exec();
      return {};
    });
  }

  [[nodiscard]] Result<std::unique_ptr<JobStore>> job(const std::string& name) override {
    return guarded<std::unique_ptr<JobStore>>(folder_, [&]() -> Result<std::unique_ptr<JobStore>> {
      SQLite::Statement enter(database_, "INSERT OR IGNORE INTO jobs (name) VALUES (?)");
      enter.bind(1, name);
      enter.exec();
      SQLite::Statement row(database_, "SELECT job FROM jobs WHERE name = ?");
      row.bind(1, name);
      if (!row.executeStep()) return corrupt("register of jobs", folder_);
      return open_job_store(database_, folder_, row.getColumn(0).getInt64(), name);
    });
  }

  [[nodiscard]] Status append_audit(const AuditEntry& entry) override {
    return guarded<void>(folder_, [&]() -> Status {
      SQLite::Statement insert(database_, "INSERT INTO audit (at, who, action, job, detail) VALUES (?, ?, ?, ?, ?)");
      bind_time(insert, 1, entry.when);
      insert.bind(2, entry.who);
      insert.bind(3, entry.action);
      insert.bind(4, entry.job);
      insert.bind(5, entry.detail);
      insert.exec();
      return {};
    });
  }

  [[nodiscard]] Result<std::vector<AuditEntry>> audit(std::size_t most) override {
    return guarded<std::vector<AuditEntry>>(folder_, [&]() -> Result<std::vector<AuditEntry>> {
      std::vector<AuditEntry> found;
      SQLite::Statement rows(database_, "SELECT at, who, action, job, detail FROM audit ORDER BY entry DESC LIMIT ?");
      rows.bind(1, static_cast<std::int64_t>(most));
      while (rows.executeStep()) {
        found.push_back({.when = time_of(rows.getColumn(0)),
                         .who = rows.getColumn(1).getString(),
                         .action = rows.getColumn(2).getString(),
                         .job = rows.getColumn(3).getString(),
                         .detail = rows.getColumn(4).getString()});
      }
      std::reverse(found.begin(), found.end());
      return found;
    });
  }

 private:
  Status migrate(int version) {
    SQLite::Transaction transaction(database_);
    for (int next = version; next < kSchemaVersion; ++next) {
      database_.exec(kMigrations[static_cast<std::size_t>(next)]);
    }
    std::string name;
    if (version != 0 && version < kFirstWithNames) CHORUS_TRY_DO(take_over_the_first_job(name));
    database_.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
    database_.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
    transaction.commit();
    std::error_code ignored;  // the copy is written again under its new name
    if (!name.empty()) std::filesystem::rename(folder_ / "trace.jsonl", trace_path(folder_, name), ignored);
    return {};
  }

  Status take_over_the_first_job(std::string& name) {
    SQLite::Statement job(
        database_,
        "SELECT description, sha256, ledger, progress_sha256, last_round, surveyed, measured FROM jobs WHERE job = 1");
    if (!job.executeStep()) return {};
    CHORUS_TRY(const Bytes description, checked(job.getColumn(0), job.getColumn(1), "job", folder_));
    Bytes ledger;
    if (!job.getColumn(3).isNull()) {
      CHORUS_TRY(ledger, checked(job.getColumn(2), job.getColumn(3), "privacy ledger", folder_));
    }
    const Digest digest = progress_digest(whole(job.getColumn(4)), job.getColumn(5).getInt() != 0,
                                          job.getColumn(6).getInt() != 0, ledger);
    CHORUS_TRY(const auto described, protocol::JobDescription::decode(description));
    name = described.name;
    job.reset();
    SQLite::Statement update(database_, "UPDATE jobs SET name = ?, progress_sha256 = ? WHERE job = 1");
    update.bind(1, name);
    bind_blob(update, 2, digest);
    update.exec();
    return {};
  }

  std::filesystem::path folder_;
  FileHandle lock_;
  SQLite::Database database_;
};

}  // namespace

std::string_view to_string(Standing standing) noexcept {
  return kStandings[static_cast<std::size_t>(standing)];
}

std::filesystem::path trace_path(const std::filesystem::path& folder, const std::string& job) {
  return folder / (job + ".trace.jsonl");
}

Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& folder) {
  CHORUS_TRY(auto lock, lock_state_folder(folder));
  return guarded<std::unique_ptr<Store>>(folder, [&]() -> Result<std::unique_ptr<Store>> {
    auto store = std::make_unique<SqliteStore>(folder, std::move(lock));
    CHORUS_TRY_DO(store->prepare());
    return std::unique_ptr<Store>(std::move(store));
  });
}

}  // namespace chorus::coordinator
