// The SQLite store. SQLite's exceptions stop in this file. Every commit is one transaction with synchronous = FULL:
// after a return of success the bytes are on disk, after anything else nothing has changed.
#include <algorithm>
#include <array>

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "common/crypto/hash.hpp"
#include "common/log/log.hpp"
#include "coordinator/store/state_folder.hpp"
#include "coordinator/store/store.hpp"

namespace chorus::coordinator {

namespace {

constexpr int kApplicationId = 0x43484f52;  // "CHOR", for file(1)
// Older versions keep their header and digest; their numbers are dropped, as nothing reads them again.
constexpr std::uint64_t kVersionsKept = 4;
constexpr std::size_t kMaxBlob = 1'000'000'000;  // SQLITE_MAX_LENGTH as it is built

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
)"};
constexpr int kSchemaVersion = static_cast<int>(kMigrations.size());

Error to_error(const SQLite::Exception& exception, const std::filesystem::path& folder) {
  const int extended = exception.getExtendedErrorCode();
  const std::string place = folder.string();
  if (extended == SQLITE_IOERR_SHMSIZE) return Error(ErrorCode::disk_full, "the disk is full", place);
  switch (exception.getErrorCode() & 0xff) {
    case SQLITE_FULL:
      return Error(ErrorCode::disk_full, "the disk is full", place);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(ErrorCode::corrupt,
                   "coordinator.db is damaged; put a backup in its place, or start again with an empty state folder",
                   place);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Error(ErrorCode::unwritable, fmt::format("coordinator.db cannot be written: {}", exception.what()), place);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(ErrorCode::already_exists, "coordinator.db is in use by another process", place);
    case SQLITE_TOOBIG:
      return Error(ErrorCode::too_large, "the model is larger than one row of coordinator.db can be", place);
    default:
      return Error(ErrorCode::io, fmt::format("coordinator.db: {}", exception.what()), place);
  }
}

void bind_blob(SQLite::Statement& statement, int index, ByteView bytes) {
  // SQLite's own bound, asked before the size becomes an int.
  if (bytes.size() > kMaxBlob) throw SQLite::Exception("a blob is too large", SQLITE_TOOBIG);
  // Not a copy: the bytes outlive the statement's execution. An empty blob is not NULL.
  static constexpr std::uint8_t kNothing = 0;
  statement.bindNoCopy(index, bytes.empty() ? &kNothing : bytes.data(), static_cast<int>(bytes.size()));
}

Bytes blob(const SQLite::Column& column) {
  const auto* data = static_cast<const std::uint8_t*>(column.getBlob());
  return data == nullptr ? Bytes() : Bytes(data, data + column.getBytes());
}

class SqliteStore final : public Store {
 public:
  SqliteStore(std::filesystem::path folder, FileHandle lock, LineCopy trace)
      : folder_(std::move(folder)),
        lock_(std::move(lock)),
        trace_(std::move(trace)),
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
    database_.exec("PRAGMA foreign_keys = ON");
    if (version == 0 && database_.execAndGet("SELECT count(*) FROM sqlite_master").getInt() != 0) {
      return fail(ErrorCode::corrupt, "coordinator.db is not a coordinator's", folder_.string());
    }
    if (version < kSchemaVersion) {
      SQLite::Transaction transaction(database_);
      for (int next = version; next < kSchemaVersion; ++next) {
        database_.exec(kMigrations[static_cast<std::size_t>(next)]);
      }
      database_.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
      database_.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
      transaction.commit();
    }
    return copy_trace();
  }

  [[nodiscard]] Result<std::optional<StoredJob>> load() override {
    return guarded<std::optional<StoredJob>>([this] { return load_job(); });
  }

  [[nodiscard]] Status begin(const protocol::JobDescription& job, const CataloguePublication& catalogue,
                             const Version& initial, const std::string& trace_line) override {
    return guarded<void>([&]() -> Status {
      SQLite::Transaction transaction(database_);
      const Bytes description = job.encode();
      SQLite::Statement insert(database_, "INSERT INTO job VALUES (1, ?, ?, 0, 0, 0, NULL, NULL)");
      const Digest digest = crypto::sha256(description);
      bind_blob(insert, 1, description);
      bind_blob(insert, 2, digest);
      insert.exec();
      write_catalogue(catalogue);
      write_version(initial);
      write_trace(trace_line);
      transaction.commit();
      // What is committed stays committed: a copy that lags behind is brought up to date by the next commit or start.
      if (const Status copied = copy_trace(); !copied) {
        log::warning("trace.jsonl is behind the store", {{"reason", copied.error().to_string()}});
      }
      return {};
    });
  }

  [[nodiscard]] Status reserve_round(RoundId round, const privacy::PublishedLedger& ledger) override {
    return guarded<void>([&]() -> Status {
      const Bytes charged = ledger.encode();
      const Digest digest = crypto::sha256(charged);
      SQLite::Statement update(database_,
                               "UPDATE job SET last_round = max(last_round, ?), ledger = ?, ledger_sha256 = ?");
      update.bind(1, static_cast<std::int64_t>(round.value()));
      bind_blob(update, 2, charged);
      bind_blob(update, 3, digest);
      update.exec();
      return {};
    });
  }

  [[nodiscard]] Status commit(const Commit& commit) override {
    return guarded<void>([&]() -> Status {
      SQLite::Transaction transaction(database_);
      if (commit.catalogue) write_catalogue(*commit.catalogue);
      if (commit.version) write_version(*commit.version);
      const Bytes charged = commit.ledger.encode();
      const Digest digest = crypto::sha256(charged);
      SQLite::Statement update(database_, "UPDATE job SET surveyed = ?, measured = ?, ledger = ?, ledger_sha256 = ?");
      update.bind(1, commit.surveyed ? 1 : 0);
      update.bind(2, commit.measured ? 1 : 0);
      bind_blob(update, 3, charged);
      bind_blob(update, 4, digest);
      update.exec();
      write_trace(commit.trace_line);
      transaction.commit();
      // What is committed stays committed: a copy that lags behind is brought up to date by the next commit or start.
      if (const Status copied = copy_trace(); !copied) {
        log::warning("trace.jsonl is behind the store", {{"reason", copied.error().to_string()}});
      }
      return {};
    });
  }

 private:
  template <typename T, typename Work>
  [[nodiscard]] Result<T> guarded(Work work) {
    try {
      return work();
    } catch (const SQLite::Exception& exception) {
      return fail(to_error(exception, folder_));
    }
  }

  [[nodiscard]] std::unexpected<Error> corrupt(std::string_view what) const {
    return fail(ErrorCode::corrupt,
                fmt::format("the {} in coordinator.db fails its checksum; put a backup in its place, or start again "
                            "with an empty state folder",
                            what),
                folder_.string());
  }

  // A blob that has the digest stored beside it.
  [[nodiscard]] Result<Bytes> checked(const SQLite::Column& bytes, const SQLite::Column& digest,
                                      std::string_view what) const {
    Bytes value = blob(bytes);
    const Digest actual = crypto::sha256(value);
    const Bytes stored = blob(digest);
    if (!std::equal(actual.begin(), actual.end(), stored.begin(), stored.end())) return corrupt(what);
    return value;
  }

  Result<std::optional<StoredJob>> load_job() {
    StoredJob stored;
    SQLite::Statement job(database_,
                          "SELECT description, sha256, last_round, surveyed, measured, ledger, ledger_sha256 FROM job");
    if (!job.executeStep()) return std::nullopt;
    CHORUS_TRY(const Bytes description, checked(job.getColumn(0), job.getColumn(1), "job"));
    CHORUS_TRY(stored.job, protocol::JobDescription::decode(description));
    stored.progress = {.last_round = RoundId(static_cast<std::uint64_t>(job.getColumn(2).getInt64())),
                       .surveyed = job.getColumn(3).getInt() != 0,
                       .measured = job.getColumn(4).getInt() != 0,
                       .ledger = {}};
    if (!job.getColumn(5).isNull()) {
      CHORUS_TRY(const Bytes charged, checked(job.getColumn(5), job.getColumn(6), "privacy ledger"));
      CHORUS_TRY(stored.progress.ledger, privacy::PublishedLedger::decode(charged));
    }

    SQLite::Statement catalogue(database_, "SELECT encoded, sha256 FROM catalogue ORDER BY version DESC LIMIT 1");
    if (!catalogue.executeStep()) return corrupt("catalogue");
    CHORUS_TRY(const Bytes encoded, checked(catalogue.getColumn(0), catalogue.getColumn(1), "catalogue"));
    CHORUS_TRY(stored.catalogue, dataset::Catalogue::decode(encoded));

    SQLite::Statement model(database_,
                            "SELECT header, header_sha256, tensors, tensors_sha256, hidden, hidden_sha256 FROM model "
                            "ORDER BY version DESC LIMIT 1");
    if (!model.executeStep()) return corrupt("model");
    CHORUS_TRY(const Bytes header, checked(model.getColumn(0), model.getColumn(1), "model's header"));
    CHORUS_TRY(stored.header, protocol::ModelHeader::decode(header));
    CHORUS_TRY(stored.tensors, checked(model.getColumn(2), model.getColumn(3), "model"));
    CHORUS_TRY(stored.hidden, checked(model.getColumn(4), model.getColumn(5), "model's server state"));
    return stored;
  }

  void write_catalogue(const CataloguePublication& catalogue) {
    SQLite::Statement insert(database_, "INSERT INTO catalogue VALUES (?, ?, ?)");
    insert.bind(1, static_cast<std::int64_t>(catalogue.header.version));
    bind_blob(insert, 2, *catalogue.bytes);
    bind_blob(insert, 3, catalogue.header.digest);
    insert.exec();
  }

  void write_version(const Version& version) {
    const Bytes header = version.header.encode();
    const Digest header_digest = crypto::sha256(header);
    const Bytes hidden = version.state->encode_hidden();
    const Digest hidden_digest = crypto::sha256(hidden);
    SQLite::Statement insert(database_, "INSERT INTO model VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    insert.bind(1, static_cast<std::int64_t>(version.header.version.value()));
    insert.bind(2, static_cast<std::int64_t>(version.header.round.value()));
    bind_blob(insert, 3, header);
    bind_blob(insert, 4, header_digest);
    bind_blob(insert, 5, *version.tensors);
    bind_blob(insert, 6, version.header.tensors);
    bind_blob(insert, 7, hidden);
    bind_blob(insert, 8, hidden_digest);
    insert.exec();
    if (version.header.version.value() >= kVersionsKept) {
      SQLite::Statement prune(database_,
                              "UPDATE model SET tensors = NULL, hidden = NULL "
                              "WHERE version <= ? AND tensors IS NOT NULL");
      prune.bind(1, static_cast<std::int64_t>(version.header.version.value() - kVersionsKept));
      prune.exec();
    }
  }

  void write_trace(const std::string& line) {
    SQLite::Statement insert(database_, "INSERT INTO trace (record, sha256) VALUES (?, ?)");
    const Digest digest = crypto::sha256(as_bytes(line));
    insert.bind(1, line);
    bind_blob(insert, 2, digest);
    insert.exec();
  }

  // Brings trace.jsonl up to date with the table, from the first line that was not copied yet.
  Status copy_trace() {
    SQLite::Statement rows(database_, "SELECT line, record, sha256 FROM trace WHERE line > ? ORDER BY line");
    rows.bind(1, copied_line_);
    while (rows.executeStep()) {
      const std::string record = rows.getColumn(1).getString();
      const Digest actual = crypto::sha256(as_bytes(record));
      const Bytes stored = blob(rows.getColumn(2));
      if (!std::equal(actual.begin(), actual.end(), stored.begin(), stored.end())) return corrupt("trace");
      CHORUS_TRY_DO(trace_.next(record));
      copied_line_ = rows.getColumn(0).getInt64();
    }
    return trace_.end();
  }

  std::filesystem::path folder_;
  FileHandle lock_;
  LineCopy trace_;
  std::int64_t copied_line_ = 0;
  SQLite::Database database_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& folder) {
  CHORUS_TRY(auto lock, lock_state_folder(folder));
  CHORUS_TRY(auto trace, LineCopy::open(folder / "trace.jsonl"));
  try {
    auto store = std::make_unique<SqliteStore>(folder, std::move(lock), std::move(trace));
    CHORUS_TRY_DO(store->prepare());
    return std::unique_ptr<Store>(std::move(store));
  } catch (const SQLite::Exception& exception) {
    return fail(to_error(exception, folder));
  }
}

}  // namespace chorus::coordinator
