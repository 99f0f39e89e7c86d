// The store in SQLite: opening, ratings, documents; sqlite_rounds.cpp has the rounds. SQLiteCpp's exceptions stop in
// this file.
#include "client/store/sqlite_store.hpp"

#include <limits>
#include <utility>

#include <sqlite3.h>

#include "client/store/schema.hpp"
#include "common/base/check.hpp"

namespace chorus::client {

std::string_view to_string(Ending ending) noexcept {
  switch (ending) {
    case Ending::lost:
      return "lost";
    case Ending::published:
      return "published";
    case Ending::measured:
      return "measured";
    case Ending::aborted:
      return "aborted";
    case Ending::withheld:
      return "withheld";
  }
  return "unknown";
}

Error SqliteStore::translate(const SQLite::Exception& exception, std::string_view doing) {
  const std::string where = file_.string();
  switch (exception.getErrorCode() & 0xff) {
    case SQLITE_FULL:
      return Error(ErrorCode::disk_full, fmt::format("cannot {}: the disk is full", doing), where);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Error(ErrorCode::unwritable, fmt::format("cannot {}: {}", doing, exception.what()), where);
    case SQLITE_NOTADB:
      return Error(ErrorCode::corrupt, "this file is not a device store of Chorus", where);
    case SQLITE_CORRUPT: {
      std::string finding = exception.what();
      try {
        SQLite::Statement check(database_, "PRAGMA quick_check(1)");
        if (check.executeStep()) finding = check.getColumn(0).getString();
      } catch (const SQLite::Exception&) {
        // The check itself could not read the file: the first message has to do.
      }
      return Error(ErrorCode::corrupt,
                   fmt::format("cannot {}: the store is damaged ({}); restore it from a copy, or move it away and "
                               "import the ratings again",
                               doing, finding),
                   where);
    }
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(ErrorCode::io, fmt::format("cannot {}: the store is in use by another process", doing), where);
    default:
      return Error(ErrorCode::io, fmt::format("cannot {}: {}", doing, exception.what()), where);
  }
}

Use SqliteStore::use(Sql which) {
  std::unique_ptr<SQLite::Statement>& statement = statements_[which];
  if (!statement) statement = std::make_unique<SQLite::Statement>(database_, kSql[which]);
  return Use(*statement);
}

Result<std::unique_ptr<Store>> SqliteStore::open(const std::filesystem::path& file, const StoreOptions& options) {
  if (!file.empty()) CHORUS_TRY_DO(prepare_private_file(file));
  std::unique_ptr<SqliteStore> store;
  try {
    store.reset(new SqliteStore(file, options));
  } catch (const SQLite::Exception& exception) {
    return fail(ErrorCode::unwritable, fmt::format("cannot open the store: {}", exception.what()), file.string());
  }
  CHORUS_TRY_DO(store->prepare(options));
  return store;
}

Status SqliteStore::prepare(const StoreOptions& options) {
  return guarded("open the store", [&]() -> Status {
    // Look before anything is written: another program's database must stay as it is.
    const int found_id = database_.execAndGet("PRAGMA application_id").getInt();
    const int found_version = database_.execAndGet("PRAGMA user_version").getInt();
    const int tables = database_.execAndGet("SELECT count(*) FROM sqlite_master").getInt();
    if (found_id != schema::kApplicationId && (found_id != 0 || found_version != 0 || tables != 0)) {
      return fail(ErrorCode::corrupt, "this file is another program's database, not a device store of Chorus",
                  file_.string());
    }
    if (found_version > schema::kVersion) {
      return fail(ErrorCode::unsupported_version,
                  fmt::format("this store has schema version {}; this Chorus knows versions up to {}: use a newer one",
                              found_version, schema::kVersion),
                  file_.string());
    }
    // Removed ratings are overwritten, and a promise survives a power cut.
    database_.exec(options.survives_power_loss ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
    database_.exec("PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY");
    database_.exec(fmt::format("PRAGMA cache_size = -{}", options.page_cache / 1024));
    if (found_version == schema::kVersion) return {};
    SQLite::Transaction change = transaction();
    // Another process may have done it in the meantime.
    int version = database_.execAndGet("PRAGMA user_version").getInt();
    for (; version < schema::kVersion; ++version)
      database_.exec(schema::kMigrations[static_cast<std::size_t>(version)]);
    database_.exec(
        fmt::format("PRAGMA user_version = {}; PRAGMA application_id = {}", schema::kVersion, schema::kApplicationId));
    change.commit();
    return {};
  });
}

Result<PutCounts> SqliteStore::put_ratings(std::span<const StoredRating> rows) {
  return guarded("write ratings", [&]() -> Result<PutCounts> {
    PutCounts counts;
    SQLite::Transaction change = transaction();
    for (const StoredRating& row : rows) {
      {
        Use has = use(kHasRating);
        has->bindNoCopy(1, row.item.c_str());
        ++(has->executeStep() ? counts.replaced : counts.added);
      }
      Use put = use(kPutRating);
      put->bindNoCopy(1, row.item.c_str());
      put->bind(2, row.value);
      put->bind(3, row.when);
      put->bind(4, row.held_out ? 1 : 0);
      put->exec();
    }
    change.commit();
    return counts;
  });
}

Result<bool> SqliteStore::remove_rating(std::string_view item) {
  return guarded("remove a rating", [&]() -> Result<bool> {
    const SecretText name(item);
    Use remove = use(kRemoveRating);
    remove->bindNoCopy(1, name.c_str());
    return remove->exec() > 0;
  });
}

Result<StoredRatings> SqliteStore::ratings() {
  return guarded("read the ratings", [&]() -> Result<StoredRatings> {
    StoredRatings out;
    CHORUS_TRY(const RatingCounts counts, count_ratings());
    out.reserve(counts.training + counts.held_out);
    Use all = use(kRatings);
    while (all->executeStep()) {
      out.push_back({.item = SecretText(all->getColumn(0).getText()),
                     .value = all->getColumn(1).getDouble(),
                     .when = all->getColumn(2).getInt64(),
                     .held_out = all->getColumn(3).getInt() != 0});
    }
    return out;
  });
}

Result<RatingCounts> SqliteStore::count_ratings() {
  return guarded("count the ratings", [&]() -> Result<RatingCounts> {
    Use count = use(kCountRatings);
    count->executeStep();
    const std::size_t held_out = unsigned_of(count->getColumn(1));
    return RatingCounts{.training = unsigned_of(count->getColumn(0)) - held_out, .held_out = held_out};
  });
}

Result<std::optional<crypto::PublicKey>> SqliteStore::coordinator_key() {
  return guarded("read the coordinator's key", [&]() -> Result<std::optional<crypto::PublicKey>> {
    Use row = use(kFederation);
    if (!row->executeStep() || row->isColumnNull(0)) return std::nullopt;
    return array_of<32>(row->getColumn(0));
  });
}

Status SqliteStore::join(const crypto::PublicKey& coordinator, const protocol::Signed& job) {
  return guarded("write the coordinator's key", [&]() -> Status {
    SQLite::Transaction change = transaction();
    CHORUS_TRY(const auto pinned, coordinator_key());
    if (pinned) return fail(ErrorCode::already_exists, "this store belongs to a coordinator already", file_.string());
    {
      Use pin = use(kPin);
      pin.blob(1, coordinator);
      pin->exec();
    }
    write_document("job", job, 0, {});
    change.commit();
    return {};
  });
}

Result<std::optional<protocol::Signed>> SqliteStore::header(const char* name) {
  return guarded("read a signed document", [&]() -> Result<std::optional<protocol::Signed>> {
    Use row = use(kHeader);
    row->bindNoCopy(1, name);
    if (!row->executeStep()) return std::nullopt;
    const ByteView bytes = blob_of(row->getColumn(0));
    return protocol::Signed{.document = Bytes(bytes.begin(), bytes.end()),
                            .signature = array_of<64>(row->getColumn(1))};
  });
}

Result<std::optional<SqliteStore::Document>> SqliteStore::document(const char* name) {
  return guarded(fmt::format("read the {}", name), [&]() -> Result<std::optional<Document>> {
    Use row = use(kContent);
    row->bindNoCopy(1, name);
    if (!row->executeStep()) return std::nullopt;
    const ByteView bytes = blob_of(row->getColumn(0));
    const ByteView content = blob_of(row->getColumn(3));
    return Document{
        .header = {.document = Bytes(bytes.begin(), bytes.end()), .signature = array_of<64>(row->getColumn(1))},
        .items = row->getColumn(2).getUInt(),
        .content = Bytes(content.begin(), content.end())};
  });
}

void SqliteStore::write_document(const char* name, const protocol::Signed& header, std::uint32_t items,
                                 ByteView content) {
  Use put = use(kPutDocument);
  put->bindNoCopy(1, name);
  put.blob(2, header.document);
  put.blob(3, header.signature);
  put->bind(4, items);
  put.blob(5, content);
  put->exec();
}

Status SqliteStore::put_document(const char* name, const protocol::Signed& header, std::uint32_t items,
                                 ByteView content) {
  if (content.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return fail(ErrorCode::too_large,
                fmt::format("a {} of {} bytes does not fit into the store", name, content.size()));
  }
  return guarded(fmt::format("write the {}", name), [&]() -> Status {
    write_document(name, header, items, content);  // one statement is one transaction
    return {};
  });
}

Result<std::optional<StoredCatalogue>> SqliteStore::catalogue() {
  CHORUS_TRY(auto found, document("catalogue"));
  if (!found) return std::nullopt;
  return StoredCatalogue{.header = std::move(found->header), .bytes = std::move(found->content)};
}

Status SqliteStore::put_catalogue(const StoredCatalogue& catalogue) {
  return put_document("catalogue", catalogue.header, 0, catalogue.bytes);
}

Result<std::optional<StoredModel>> SqliteStore::model() {
  CHORUS_TRY(auto found, document("model"));
  if (!found) return std::nullopt;
  return StoredModel{.header = std::move(found->header), .items = found->items, .tensors = std::move(found->content)};
}

Status SqliteStore::put_model(const StoredModel& model) {
  return put_document("model", model.header, model.items, model.tensors);
}

Status SqliteStore::leave() {
  return guarded("leave the federation", [&]() -> Status {
    SQLite::Transaction change = transaction();
    database_.exec(
        "DELETE FROM documents; DELETE FROM attempts; DELETE FROM rounds; DELETE FROM federation; "
        "INSERT INTO federation (only_row) VALUES (1)");
    change.commit();
    return {};
  });
}

Status SqliteStore::forget() {
  SessionLock alone;
  if (!file_.empty() && !session_.held()) {
    CHORUS_TRY(alone, SessionLock::take(file_.string() + ".session"));
  }
  return guarded("forget what the store knows", [&]() -> Status {
    SQLite::Transaction change = transaction();
    database_.exec(
        "INSERT OR IGNORE INTO stopped (only_row) VALUES (1); DELETE FROM ratings; DELETE FROM documents; "
        "DELETE FROM attempts; DELETE FROM rounds; DELETE FROM federation; INSERT INTO federation (only_row) VALUES "
        "(1)");
    change.commit();
    // secure_delete has zeroed what was freed; the file gets those pages, and the log with the older ones is emptied.
    SQLite::Statement checkpoint(database_, "PRAGMA wal_checkpoint(TRUNCATE)");
    if (checkpoint.executeStep() && checkpoint.getColumn(0).getInt() == 0) return {};
    return fail(
        ErrorCode::io,
        "everything is deleted and this device has stopped, but another process still reads the store and keeps "
        "old pages in its log: end it and forget again",
        file_.string());
  });
}

Result<bool> SqliteStore::is_stopped() {
  return guarded("read whether this device has stopped",
                 [&]() -> Result<bool> { return database_.execAndGet("SELECT count(*) FROM stopped").getInt() != 0; });
}

Status SqliteStore::put_last_contact(const LastContact& contact) {
  return guarded("write the last contact", [&]() -> Status {
    Use put = use(kContact);
    put->bind(1, std::int64_t{contact.when.time_since_epoch().count()});
    put->bind(2, contact.outcome);
    put->bind(3, contact.devices_ready);
    put->bind(4, contact.devices_needed);
    put->exec();
    return {};
  });
}

Result<std::optional<LastContact>> SqliteStore::last_contact() {
  return guarded("read the last contact", [&]() -> Result<std::optional<LastContact>> {
    Use row = use(kFederation);
    if (!row->executeStep() || row->isColumnNull(2)) return std::nullopt;
    return LastContact{.when = WallTime(std::chrono::seconds(row->getColumn(2).getInt64())),
                       .outcome = row->getColumn(3).getString(),
                       .devices_ready = row->getColumn(4).getUInt(),
                       .devices_needed = row->getColumn(5).getUInt()};
  });
}

Status SqliteStore::begin_session() {
  if (!file_.empty() && !session_.held()) {
    CHORUS_TRY(session_, SessionLock::take(file_.string() + ".session"));
  }
  // With the lock: who forgets holds it, too.
  auto stopped = is_stopped();
  if (stopped && !*stopped) return {};
  end_session();
  if (!stopped) return fail(std::move(stopped).error());
  return fail(ErrorCode::aborted, "this device has stopped for good (`forget`): it takes part in nothing",
              file_.string());
}

Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& file, const StoreOptions& options) {
  if (file.empty()) return fail(ErrorCode::invalid_argument, "a store needs a file");
  return SqliteStore::open(file, options);
}

Result<std::unique_ptr<Store>> open_memory_store() {
  return SqliteStore::open({}, {});
}

}  // namespace chorus::client
