// Every commit is one transaction with synchronous = FULL: after a return of success the bytes are on disk, after
// anything else nothing has changed.
#include "coordinator/store/sqlite_job_store.hpp"

#include <algorithm>
#include <functional>

#include <nlohmann/json.hpp>

#include "common/crypto/hash.hpp"
#include "common/log/log.hpp"

namespace chorus::coordinator::sqlite {

namespace {

// Older versions keep their header and digest; their numbers are dropped, as nothing reads them again.
constexpr std::uint64_t kVersionsKept = 4;

// Every number of it, in the order of the fields.
std::string to_text(const model::Quality& quality) {
  return nlohmann::json::array({quality.held_out_ratings, quality.training_ratings, quality.devices,
                                quality.held_out_rmse, quality.training_rmse, quality.ranked_devices, quality.hit_at_10,
                                quality.ndcg_at_10})
      .dump();
}

// Nothing, where there is none or it is damaged: nothing is computed from it.
std::optional<model::Quality> quality_of(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array() || json.size() != 8) return std::nullopt;
  if (!std::all_of(json.begin(), json.end(), [](const auto& number) { return number.is_number(); }))
    return std::nullopt;
  return model::Quality{.held_out_ratings = json[0],
                        .training_ratings = json[1],
                        .devices = json[2],
                        .held_out_rmse = json[3],
                        .training_rmse = json[4],
                        .ranked_devices = json[5],
                        .hit_at_10 = json[6],
                        .ndcg_at_10 = json[7]};
}

class SqliteJobStore final : public JobStore {
 public:
  SqliteJobStore(SQLite::Database& database, std::filesystem::path folder, std::int64_t id, LineCopy trace)
      : database_(database), folder_(std::move(folder)), id_(id), trace_(std::move(trace)) {}

  [[nodiscard]] Result<std::optional<StoredJob>> load() override {
    return guarded<std::optional<StoredJob>>(folder_, [this] { return load_job(); });
  }

  [[nodiscard]] Status begin(const protocol::JobDescription& job, const CataloguePublication& catalogue,
                             const Version& initial, const std::string& trace_line) override {
    return guarded<void>(folder_, [&]() -> Status {
      SQLite::Transaction transaction(database_);
      const Bytes description = job.encode();
      const Digest digest = crypto::sha256(description);
      SQLite::Statement update(database_,
                               "UPDATE jobs SET description = ?, sha256 = ?, progress_sha256 = ? WHERE job = ?");
      bind_blob(update, 1, description);
      bind_blob(update, 2, digest);
      const Digest progress = progress_digest(0, false, false, {});
      bind_blob(update, 3, progress);
      update.bind(4, id_);
      update.exec();
      write_catalogue(catalogue);
      write_version(initial);
      write_trace(trace_line);
      transaction.commit();
      bring_trace_up_to_date();
      return {};
    });
  }

  [[nodiscard]] Status reserve_round(const Reservation& reservation, WallTime now) override {
    return guarded<void>(folder_, [&]() -> Status {
      SQLite::Transaction transaction(database_);
      CHORUS_TRY_DO(write_progress([&](Progress& progress) {
        progress.last_round = std::max(progress.last_round, reservation.round);
        progress.ledger = reservation.ledger;
      }));
      // So it stays, unless its end is heard of.
      write_round({.round = reservation.round,
                   .purpose = std::string(plan::to_string(reservation.purpose)),
                   .outcome = "lost",
                   .reason = "the coordinator was killed in it",
                   .cohorts = {}},
                  now);
      SQLite::Statement taken(database_,
                              "INSERT INTO participation VALUES (?, ?, ?, ?, 1) ON CONFLICT (job, device) DO UPDATE "
                              "SET last_round = excluded.last_round, at = excluded.at, rounds = rounds + 1");
      for (const identity::DeviceId& device : reservation.drawn) {
        taken.bind(1, id_);
        bind_blob(taken, 2, device.bytes);
        taken.bind(3, static_cast<std::int64_t>(reservation.round.value()));
        bind_time(taken, 4, now);
        taken.exec();
        taken.reset();
      }
      transaction.commit();
      return {};
    });
  }

  [[nodiscard]] Status commit(const Commit& commit, WallTime now) override {
    return guarded<void>(folder_, [&]() -> Status {
      SQLite::Transaction transaction(database_);
      if (commit.catalogue) write_catalogue(*commit.catalogue);
      if (commit.version) write_version(*commit.version);
      CHORUS_TRY_DO(write_progress([&](Progress& progress) {
        progress.surveyed = commit.surveyed;
        progress.measured = commit.measured;
        progress.ledger = commit.ledger;
      }));
      if (commit.round) write_round(*commit.round, now);
      write_trace(commit.trace_line);
      transaction.commit();
      bring_trace_up_to_date();
      return {};
    });
  }

  [[nodiscard]] Status round_aborted(const RoundRecord& round, WallTime now) override {
    return guarded<void>(folder_, [&]() -> Status {
      SQLite::Transaction transaction(database_);
      write_round(round, now);
      transaction.commit();
      return {};
    });
  }

  [[nodiscard]] Result<std::vector<RoundRecord>> rounds(std::size_t most) override {
    return guarded<std::vector<RoundRecord>>(folder_, [&]() -> Result<std::vector<RoundRecord>> {
      std::vector<RoundRecord> found;
      SQLite::Statement rows(database_,
                             "SELECT round, purpose, outcome, reason, milliseconds, ended, started_from, quality, "
                             "keys, masked, unmasked FROM round WHERE job = ? ORDER BY round DESC LIMIT ?");
      rows.bind(1, id_);
      rows.bind(2, static_cast<std::int64_t>(most));
      while (rows.executeStep()) {
        found.push_back({.round = RoundId(whole(rows.getColumn(0))),
                         .purpose = rows.getColumn(1).getString(),
                         .outcome = rows.getColumn(2).getString(),
                         .reason = rows.getColumn(3).getString(),
                         .took = std::chrono::milliseconds(rows.getColumn(4).getInt64()),
                         .from = ModelVersion(whole(rows.getColumn(6))),
                         .quality = quality_of(rows.getColumn(7).getString()),
                         .keys = rows.getColumn(8).getUInt(),
                         .masked = rows.getColumn(9).getUInt(),
                         .unmasked = rows.getColumn(10).getUInt(),
                         .cohorts = {},
                         .ended = time_of(rows.getColumn(5))});
      }
      std::reverse(found.begin(), found.end());
      SQLite::Statement cohorts(
          database_, "SELECT members, survivors, reason FROM cohort WHERE job = ? AND round = ? ORDER BY cohort");
      for (RoundRecord& record : found) {
        cohorts.bind(1, id_);
        cohorts.bind(2, static_cast<std::int64_t>(record.round.value()));
        while (cohorts.executeStep()) {
          record.cohorts.push_back({.members = cohorts.getColumn(0).getUInt(),
                                    .survivors = cohorts.getColumn(1).getUInt(),
                                    .reason = cohorts.getColumn(2).getString()});
        }
        cohorts.reset();
      }
      return found;
    });
  }

  [[nodiscard]] Result<std::vector<protocol::ModelHeader>> headers(std::size_t most) override {
    return guarded<std::vector<protocol::ModelHeader>>(folder_, [&]() -> Result<std::vector<protocol::ModelHeader>> {
      std::vector<protocol::ModelHeader> found;
      SQLite::Statement rows(database_,
                             "SELECT header, header_sha256 FROM model WHERE job = ? ORDER BY version DESC LIMIT ?");
      rows.bind(1, id_);
      rows.bind(2, static_cast<std::int64_t>(most));
      while (rows.executeStep()) {
        CHORUS_TRY(const Bytes header, checked(rows.getColumn(0), rows.getColumn(1), "model's header", folder_));
        CHORUS_TRY(auto decoded, protocol::ModelHeader::decode(header));
        found.push_back(std::move(decoded));
      }
      std::reverse(found.begin(), found.end());
      return found;
    });
  }

  [[nodiscard]] Result<std::vector<Participation>> participation() override {
    return guarded<std::vector<Participation>>(folder_, [&]() -> Result<std::vector<Participation>> {
      std::vector<Participation> found;
      SQLite::Statement rows(database_,
                             "SELECT device, last_round, at, rounds FROM participation WHERE job = ? ORDER BY device");
      rows.bind(1, id_);
      while (rows.executeStep()) {
        const Bytes device = blob(rows.getColumn(0));
        Participation& row = found.emplace_back(Participation{.device = {},
                                                              .last_round = RoundId(whole(rows.getColumn(1))),
                                                              .when = time_of(rows.getColumn(2)),
                                                              .rounds = whole(rows.getColumn(3))});
        if (device.size() != row.device.bytes.size()) return corrupt("participation", folder_);
        std::copy(device.begin(), device.end(), row.device.bytes.begin());
      }
      return found;
    });
  }

  [[nodiscard]] Result<std::optional<Bytes>> tensors(ModelVersion version) override {
    return guarded<std::optional<Bytes>>(folder_, [&]() -> Result<std::optional<Bytes>> {
      SQLite::Statement row(database_, "SELECT tensors, tensors_sha256 FROM model WHERE job = ? AND version = ?");
      row.bind(1, id_);
      row.bind(2, static_cast<std::int64_t>(version.value()));
      if (!row.executeStep() || row.getColumn(0).isNull()) return std::nullopt;
      CHORUS_TRY(auto bytes, checked(row.getColumn(0), row.getColumn(1), "model", folder_));
      return bytes;
    });
  }

  // From the first line that was not copied yet. May throw SQLite::Exception, as all private functions.
  Status copy_trace() {
    SQLite::Statement rows(database_,
                           "SELECT line, record, sha256 FROM trace WHERE job = ? AND line > ? ORDER BY line");
    rows.bind(1, id_);
    rows.bind(2, copied_line_);
    while (rows.executeStep()) {
      const std::string record = rows.getColumn(1).getString();
      const Digest actual = crypto::sha256(as_bytes(record));
      const Bytes stored = blob(rows.getColumn(2));
      if (!std::equal(actual.begin(), actual.end(), stored.begin(), stored.end())) return corrupt("trace", folder_);
      CHORUS_TRY_DO(trace_.next(record));
      copied_line_ = rows.getColumn(0).getInt64();
    }
    return trace_.end();
  }

 private:
  // What is committed stays committed: a copy that lags behind is brought up to date by the next commit or start.
  void bring_trace_up_to_date() {
    if (const Status copied = copy_trace(); !copied) {
      log::warning("the trace's file is behind the store", {{"reason", copied.error().to_string()}});
    }
  }

  Result<std::optional<StoredJob>> load_job() {
    StoredJob stored;
    SQLite::Statement job(database_, "SELECT description, sha256 FROM jobs WHERE job = ?");
    job.bind(1, id_);
    if (!job.executeStep() || job.getColumn(0).isNull()) return std::nullopt;
    CHORUS_TRY(const Bytes description, checked(job.getColumn(0), job.getColumn(1), "job", folder_));
    CHORUS_TRY(stored.job, protocol::JobDescription::decode(description));
    CHORUS_TRY(stored.progress, read_progress());

    SQLite::Statement catalogue(database_,
                                "SELECT encoded, sha256 FROM catalogue WHERE job = ? ORDER BY version DESC LIMIT 1");
    catalogue.bind(1, id_);
    if (!catalogue.executeStep()) return corrupt("catalogue", folder_);
    CHORUS_TRY(const Bytes encoded, checked(catalogue.getColumn(0), catalogue.getColumn(1), "catalogue", folder_));
    CHORUS_TRY(stored.catalogue, dataset::Catalogue::decode(encoded));

    SQLite::Statement model(database_,
                            "SELECT header, header_sha256, tensors, tensors_sha256, hidden, hidden_sha256 FROM model "
                            "WHERE job = ? ORDER BY version DESC LIMIT 1");
    model.bind(1, id_);
    if (!model.executeStep()) return corrupt("model", folder_);
    CHORUS_TRY(const Bytes header, checked(model.getColumn(0), model.getColumn(1), "model's header", folder_));
    CHORUS_TRY(stored.header, protocol::ModelHeader::decode(header));
    CHORUS_TRY(stored.tensors, checked(model.getColumn(2), model.getColumn(3), "model", folder_));
    CHORUS_TRY(stored.hidden, checked(model.getColumn(4), model.getColumn(5), "model's server state", folder_));
    return stored;
  }

  Result<Progress> read_progress() {
    SQLite::Statement row(database_,
                          "SELECT last_round, surveyed, measured, ledger, progress_sha256 FROM jobs WHERE job = ?");
    row.bind(1, id_);
    if (!row.executeStep()) return corrupt("job", folder_);
    Progress progress{.last_round = RoundId(whole(row.getColumn(0))),
                      .surveyed = row.getColumn(1).getInt() != 0,
                      .measured = row.getColumn(2).getInt() != 0,
                      .ledger = {}};
    const Bytes ledger = blob(row.getColumn(3));
    const Digest actual = progress_digest(progress.last_round.value(), progress.surveyed, progress.measured, ledger);
    const Bytes stored = blob(row.getColumn(4));
    if (!std::equal(actual.begin(), actual.end(), stored.begin(), stored.end())) {
      return corrupt("job's progress", folder_);
    }
    if (!ledger.empty()) {
      CHORUS_TRY(progress.ledger, privacy::PublishedLedger::decode(ledger));
    }
    return progress;
  }

  Status write_progress(const std::function<void(Progress&)>& change) {
    CHORUS_TRY(Progress progress, read_progress());
    change(progress);
    const Bytes ledger = progress.ledger.encode();
    const Digest digest = progress_digest(progress.last_round.value(), progress.surveyed, progress.measured, ledger);
    SQLite::Statement update(database_,
                             "UPDATE jobs SET last_round = ?, surveyed = ?, measured = ?, ledger = ?, "
                             "progress_sha256 = ? WHERE job = ?");
    update.bind(1, static_cast<std::int64_t>(progress.last_round.value()));
    update.bind(2, progress.surveyed ? 1 : 0);
    update.bind(3, progress.measured ? 1 : 0);
    bind_blob(update, 4, ledger);
    bind_blob(update, 5, digest);
    update.bind(6, id_);
    update.exec();
    return {};
  }

  void write_catalogue(const CataloguePublication& catalogue) {
    SQLite::Statement insert(database_, "INSERT INTO catalogue VALUES (?, ?, ?, ?)");
    insert.bind(1, id_);
    insert.bind(2, static_cast<std::int64_t>(catalogue.header.version));
    bind_blob(insert, 3, *catalogue.bytes);
    bind_blob(insert, 4, catalogue.header.digest);
    insert.exec();
  }

  void write_version(const Version& version) {
    const Bytes header = version.header.encode();
    const Digest header_digest = crypto::sha256(header);
    const Bytes hidden = version.state->encode_hidden();
    const Digest hidden_digest = crypto::sha256(hidden);
    SQLite::Statement insert(database_, "INSERT INTO model VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert.bind(1, id_);
    insert.bind(2, static_cast<std::int64_t>(version.header.version.value()));
    insert.bind(3, static_cast<std::int64_t>(version.header.round.value()));
    bind_blob(insert, 4, header);
    bind_blob(insert, 5, header_digest);
    bind_blob(insert, 6, *version.tensors);
    bind_blob(insert, 7, version.header.tensors);
    bind_blob(insert, 8, hidden);
    bind_blob(insert, 9, hidden_digest);
    insert.exec();
    if (version.header.version.value() >= kVersionsKept) {
      SQLite::Statement prune(database_,
                              "UPDATE model SET tensors = NULL, hidden = NULL "
                              "WHERE job = ? AND version <= ? AND tensors IS NOT NULL");
      prune.bind(1, id_);
      prune.bind(2, static_cast<std::int64_t>(version.header.version.value() - kVersionsKept));
      prune.exec();
    }
  }

  void write_round(const RoundRecord& record, WallTime now) {
    SQLite::Statement insert(database_,
                             "INSERT INTO round VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                             "ON CONFLICT (job, round) DO UPDATE SET started_from = excluded.started_from, "
                             "quality = excluded.quality, keys = excluded.keys, masked = excluded.masked, "
                             "unmasked = excluded.unmasked, "
                             "outcome = excluded.outcome, reason = excluded.reason, "
                             "milliseconds = excluded.milliseconds, ended = excluded.ended");
    insert.bind(1, id_);
    insert.bind(2, static_cast<std::int64_t>(record.round.value()));
    insert.bind(3, record.purpose);
    insert.bind(4, record.outcome);
    insert.bind(5, record.reason);
    insert.bind(6, std::int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(record.took).count()});
    bind_time(insert, 7, now);
    insert.bind(8, static_cast<std::int64_t>(record.from.value()));
    if (record.quality) insert.bind(9, to_text(*record.quality));
    insert.bind(10, record.keys);
    insert.bind(11, record.masked);
    insert.bind(12, record.unmasked);
    insert.exec();
    SQLite::Statement cohort(database_, "INSERT OR REPLACE INTO cohort VALUES (?, ?, ?, ?, ?, ?)");
    for (std::size_t i = 0; i < record.cohorts.size(); ++i) {
      cohort.bind(1, id_);
      cohort.bind(2, static_cast<std::int64_t>(record.round.value()));
      cohort.bind(3, static_cast<std::int64_t>(i));
      cohort.bind(4, record.cohorts[i].members);
      cohort.bind(5, record.cohorts[i].survivors);
      cohort.bind(6, record.cohorts[i].reason);
      cohort.exec();
      cohort.reset();
    }
  }

  void write_trace(const std::string& line) {
    SQLite::Statement insert(database_, "INSERT INTO trace (job, record, sha256) VALUES (?, ?, ?)");
    const Digest digest = crypto::sha256(as_bytes(line));
    insert.bind(1, id_);
    insert.bind(2, line);
    bind_blob(insert, 3, digest);
    insert.exec();
  }

  SQLite::Database& database_;
  std::filesystem::path folder_;
  std::int64_t id_;
  LineCopy trace_;
  std::int64_t copied_line_ = 0;
};

}  // namespace

Result<std::unique_ptr<JobStore>> open_job_store(SQLite::Database& database, const std::filesystem::path& folder,
                                                 std::int64_t id, const std::string& name) {
  CHORUS_TRY(auto trace, LineCopy::open(trace_path(folder, name)));
  auto store = std::make_unique<SqliteJobStore>(database, folder, id, std::move(trace));
  CHORUS_TRY_DO(guarded<void>(folder, [&] { return store->copy_trace(); }));
  return std::unique_ptr<JobStore>(std::move(store));
}

}  // namespace chorus::coordinator::sqlite
