// The store in SQLite; SQLiteCpp's exceptions stop in this file.
#include <array>
#include <limits>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "client/store/schema.hpp"
#include "client/store/statements.hpp"
#include "client/store/store.hpp"
#include "client/store/store_file.hpp"
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

namespace {

class SqliteStore final : public Store {
 public:
  // `file` empty: in memory.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& file, const StoreOptions& options);

  Result<PutCounts> put_ratings(std::span<const StoredRating> rows) override;
  Result<bool> remove_rating(std::string_view item) override;
  Result<StoredRatings> ratings() override;
  Result<RatingCounts> count_ratings() override;
  Result<std::optional<crypto::PublicKey>> coordinator_key() override;
  Status join(const crypto::PublicKey& coordinator, const protocol::Signed& job) override;
  Result<std::optional<protocol::Signed>> job() override { return header("job"); }
  Result<std::optional<protocol::Signed>> catalogue_header() override { return header("catalogue"); }
  Result<std::optional<StoredCatalogue>> catalogue() override;
  Status put_catalogue(const StoredCatalogue& catalogue) override;
  Result<std::optional<protocol::Signed>> model_header() override { return header("model"); }
  Result<std::optional<StoredModel>> model() override;
  Status put_model(const StoredModel& model) override;
  Status leave() override;
  Result<RoundId> highest_round() override;
  Result<std::uint32_t> attempts(const Digest& model_id, plan::Purpose purpose) override;
  Status reserve(const Participation& started) override;
  Status charge(RoundId round) override;
  Status vote(RoundId round, const Digest& survivors) override;
  Status finish(const Participation& ended) override;
  Result<std::vector<Participation>> history(std::size_t most) override;
  Status put_last_contact(const LastContact& contact) override;
  Result<std::optional<LastContact>> last_contact() override;
  Status begin_session() override;
  void end_session() noexcept override { session_ = SessionLock(); }

 private:
  SqliteStore(const std::filesystem::path& file, const StoreOptions& options)
      : file_(file),
        database_(file.empty() ? std::string(":memory:") : file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                  static_cast<int>(options.busy_timeout.count())) {}

  Status prepare(const StoreOptions& options);
  Use use(Sql which);
  Error translate(const SQLite::Exception& exception, std::string_view doing);
  // Runs `body`; an exception becomes an error that says what was being done.
  template <typename Body>
  auto guarded(std::string_view doing, Body&& body) -> std::invoke_result_t<Body> {
    try {
      return body();
    } catch (const SQLite::Exception& exception) {
      return fail(translate(exception, doing));
    } catch (const std::bad_alloc&) {
      return fail(ErrorCode::too_large, fmt::format("not enough memory to {}", doing), file_.string());
    }
  }
  SQLite::Transaction transaction() { return SQLite::Transaction(database_, SQLite::TransactionBehavior::IMMEDIATE); }
  Result<std::optional<protocol::Signed>> header(const char* name);
  struct Document {
    protocol::Signed header;
    std::uint32_t items = 0;
    Bytes content;
  };
  Result<std::optional<Document>> document(const char* name);
  Status put_document(const char* name, const protocol::Signed& header, std::uint32_t items, ByteView content);
  void write_document(const char* name, const protocol::Signed& header, std::uint32_t items, ByteView content);
  void write_round(Sql which, const Participation& line);

  std::filesystem::path file_;
  SQLite::Database database_;
  std::array<std::unique_ptr<SQLite::Statement>, kStatements> statements_;
  SessionLock session_;
};

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

Result<RoundId> SqliteStore::highest_round() {
  return guarded("read the highest round", [&]() -> Result<RoundId> {
    Use row = use(kFederation);
    if (!row->executeStep()) return RoundId(0);
    return RoundId(unsigned_of(row->getColumn(1)));
  });
}

Result<std::uint32_t> SqliteStore::attempts(const Digest& model_id, plan::Purpose purpose) {
  return guarded("read the attempts", [&]() -> Result<std::uint32_t> {
    Use row = use(kAttempts);
    row.blob(1, model_id);
    row->bind(2, static_cast<int>(purpose));
    return row->executeStep() ? row->getColumn(0).getUInt() : 0U;
  });
}

void SqliteStore::write_round(Sql which, const Participation& line) {
  Use put = use(which);
  put->bind(1, line.cohort.value());
  put->bind(2, static_cast<int>(line.purpose));
  put->bind(3, signed_of(line.model_version.value()));
  put.blob(4, line.model_id);
  put->bind(5, std::int64_t{line.when.time_since_epoch().count()});
  put->bind(6, line.members);
  put->bind(7, line.survivors);
  put->bind(8, signed_of(line.bytes_up));
  put->bind(9, signed_of(line.bytes_down));
  put->bind(10, static_cast<int>(line.ending));
  put->bind(11, line.reason);
  put->bind(12, signed_of(line.round.value()));
  put->exec();
}

Status SqliteStore::reserve(const Participation& started) {
  return guarded("reserve the round", [&]() -> Status {
    SQLite::Transaction change = transaction();
    CHORUS_TRY(const RoundId highest, highest_round());
    if (started.round <= highest || started.round.value() > std::uint64_t{1} << 62) {
      return fail(ErrorCode::stale_round, fmt::format("round {} is not above round {}, which this device took part in",
                                                      started.round.value(), highest.value()));
    }
    {
      Use raise = use(kRaiseRound);
      raise->bind(1, signed_of(started.round.value()));
      raise->exec();
    }
    Participation withheld = started;
    withheld.ending = Ending::withheld;
    write_round(kStartRound, withheld);
    change.commit();
    return {};
  });
}

Status SqliteStore::charge(RoundId round) {
  return guarded("charge the round", [&]() -> Status {
    SQLite::Transaction change = transaction();
    {
      Use charge = use(kCharge);
      charge->bind(1, static_cast<int>(Ending::lost));
      charge->bind(2, signed_of(round.value()));
      charge->bind(3, static_cast<int>(Ending::withheld));
      if (charge->exec() != 1) {
        return fail(ErrorCode::duplicate, fmt::format("round {} was charged, or never reserved", round.value()));
      }
    }
    {
      Use count = use(kCountAttempt);
      count->bind(1, signed_of(round.value()));
      count->exec();
    }
    change.commit();
    return {};
  });
}

Status SqliteStore::vote(RoundId round, const Digest& survivors) {
  return guarded("write a vote", [&]() -> Status {
    SQLite::Transaction change = transaction();
    {
      Use voted = use(kVoted);
      voted->bind(1, signed_of(round.value()));
      if (!voted->executeStep()) {
        return fail(ErrorCode::not_found, fmt::format("round {} was never reserved", round.value()));
      }
      if (!voted->getColumn(0).isNull()) {
        if (array_of<32>(voted->getColumn(0)) == survivors) return {};
        return fail(ErrorCode::already_signed,
                    fmt::format("this device voted for other survivors of round {}", round.value()));
      }
    }
    Use vote = use(kVote);
    vote.blob(1, survivors);
    vote->bind(2, signed_of(round.value()));
    vote->exec();
    change.commit();
    return {};
  });
}

Status SqliteStore::finish(const Participation& ended) {
  return guarded("write a round's outcome", [&]() -> Status {
    write_round(kFinishRound, ended);
    if (database_.getChanges() == 1) return {};
    return fail(ErrorCode::not_found, fmt::format("round {} was never reserved", ended.round.value()));
  });
}

Result<std::vector<Participation>> SqliteStore::history(std::size_t most) {
  return guarded("read the history", [&]() -> Result<std::vector<Participation>> {
    std::vector<Participation> out;
    Use rows = use(kHistory);
    rows->bind(1, signed_of(most));
    while (rows->executeStep()) {
      out.push_back({.round = RoundId(unsigned_of(rows->getColumn(11))),
                     .cohort = CohortId(rows->getColumn(0).getUInt()),
                     .purpose = static_cast<plan::Purpose>(rows->getColumn(1).getInt()),
                     .model_version = ModelVersion(unsigned_of(rows->getColumn(2))),
                     .model_id = array_of<32>(rows->getColumn(3)),
                     .when = WallTime(std::chrono::seconds(rows->getColumn(4).getInt64())),
                     .members = rows->getColumn(5).getUInt(),
                     .survivors = rows->getColumn(6).getUInt(),
                     .bytes_up = unsigned_of(rows->getColumn(7)),
                     .bytes_down = unsigned_of(rows->getColumn(8)),
                     .ending = static_cast<Ending>(rows->getColumn(9).getInt()),
                     .reason = rows->getColumn(10).getString()});
    }
    return out;
  });
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
  if (file_.empty() || session_.held()) return {};
  CHORUS_TRY(session_, SessionLock::take(file_.string() + ".session"));
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& file, const StoreOptions& options) {
  if (file.empty()) return fail(ErrorCode::invalid_argument, "a store needs a file");
  return SqliteStore::open(file, options);
}

Result<std::unique_ptr<Store>> open_memory_store() {
  return SqliteStore::open({}, {});
}

}  // namespace chorus::client
