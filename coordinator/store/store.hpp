// The coordinator's durable state: what survives kill -9. A round in progress is not part of it; a published version
// is, whole or not at all. Masks and shares never are. Used by one thread at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/id.hpp"
#include "common/base/time.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/identity/device_id.hpp"
#include "common/plan/round_plan.hpp"
#include "common/privacy/published_ledger.hpp"
#include "common/protocol/documents.hpp"
#include "common/protocol/job_description.hpp"
#include "coordinator/publish/publisher.hpp"

namespace chorus::coordinator {

// How far the job is, beside what the model's header says.
struct Progress {
  RoundId last_round;     // the highest round number that was ever reserved
  bool surveyed = false;  // the survey's sum is in the model
  bool measured = false;  // the finished model's quality is known
  privacy::PublishedLedger ledger;

  friend bool operator==(const Progress&, const Progress&) = default;
};

struct StoredJob {
  protocol::JobDescription job;
  dataset::Catalogue catalogue;  // the latest
  protocol::ModelHeader header;  // of the latest version
  Bytes tensors;                 // TensorSet::encode()
  Bytes hidden;                  // ServerState::encode_hidden()
  Progress progress;
};

// How a round ended, for people; nothing is computed from it.
struct RoundRecord {
  struct Cohort {
    std::uint32_t members = 0;    // invited
    std::uint32_t survivors = 0;  // whose updates are in its sum; 0: it gave none
    std::string reason;           // why it gave none

    friend bool operator==(const Cohort&, const Cohort&) = default;
  };

  RoundId round;
  std::string purpose;  // plan::to_string
  std::string outcome;  // "published", "measured", "aborted"; "lost" if the coordinator was killed in it
  std::string reason;   // why it was aborted
  Duration took{};      // kept to the millisecond
  ModelVersion from{};  // that it started from
  std::optional<model::Quality> quality{};  // of that version
  // How many members came how far: sent their keys, sent a whole masked update, helped to remove the masks.
  std::uint32_t keys = 0;
  std::uint32_t masked = 0;
  std::uint32_t unmasked = 0;
  std::vector<Cohort> cohorts;
  WallTime ended{};  // told to the store

  friend bool operator==(const RoundRecord&, const RoundRecord&) = default;
};

// What one transaction writes.
struct Commit {
  std::optional<Version> version;                 // absent after a measuring round
  std::optional<CataloguePublication> catalogue;  // if it grew
  bool surveyed = false;
  bool measured = false;
  privacy::PublishedLedger ledger;
  std::string trace_line;
  std::optional<RoundRecord> round{};  // absent when the catalogue grew between two rounds
};

// A round's number, before a device sees it.
struct Reservation {
  RoundId round;
  plan::Purpose purpose = plan::Purpose::train;
  privacy::PublishedLedger ledger;          // with its charge
  std::vector<identity::DeviceId> drawn{};  // they have taken part, whatever becomes of it
};

// A device that was drawn for rounds of a job, whether or not its update came.
struct Participation {
  identity::DeviceId device;
  RoundId last_round;
  WallTime when{};           // of the last one
  std::uint64_t rounds = 0;  // so far

  friend bool operator==(const Participation&, const Participation&) = default;
};

// One job's part of the store. Errors: disk_full, unwritable, corrupt, io; nothing is then written.
class JobStore {
 public:
  virtual ~JobStore() = default;
  // Nothing, if the job has not begun.
  [[nodiscard]] virtual Result<std::optional<StoredJob>> load() = 0;
  // The job, its first catalogue and version 0. REQUIRES: load() found nothing.
  [[nodiscard]] virtual Status begin(const protocol::JobDescription& job, const CataloguePublication& catalogue,
                                     const Version& initial, const std::string& trace_line) = 0;
  // From now on no round gets this number or a lower one, whatever happens.
  [[nodiscard]] virtual Status reserve_round(const Reservation& reservation, WallTime now) = 0;
  [[nodiscard]] virtual Status commit(const Commit& commit, WallTime now) = 0;
  // A round that gave nothing.
  [[nodiscard]] virtual Status round_aborted(const RoundRecord& round, WallTime now) = 0;

  // The latest rounds that ended, at most so many, oldest first.
  [[nodiscard]] virtual Result<std::vector<RoundRecord>> rounds(std::size_t most) = 0;
  // The headers of the latest versions, at most so many, oldest first.
  [[nodiscard]] virtual Result<std::vector<protocol::ModelHeader>> headers(std::size_t most) = 0;
  // In order of their ids.
  [[nodiscard]] virtual Result<std::vector<Participation>> participation() = 0;
  // TensorSet::encode() of a version that is still kept (the latest four are); nothing, if it is not.
  [[nodiscard]] virtual Result<std::optional<Bytes>> tensors(ModelVersion version) = 0;
};

// What an operator wants of a job.
enum class Standing { open, paused, stopped };
[[nodiscard]] std::string_view to_string(Standing standing) noexcept;  // "open", …

struct JobEntry {
  std::string name;
  std::string file;    // the job file's text, if it was submitted; empty: the command line names its file
  std::string folder;  // that relative paths in `file` are relative to
  Standing standing = Standing::open;

  friend bool operator==(const JobEntry&, const JobEntry&) = default;
};

// What somebody told the coordinator to do.
struct AuditEntry {
  WallTime when{};
  std::string who;     // "admin" (the token's holder), "signal", "settings"
  std::string action;  // "submit", "pause", …
  std::string job;     // empty: the coordinator as a whole
  std::string detail;

  friend bool operator==(const AuditEntry&, const AuditEntry&) = default;
};

// Errors as above.
class Store {
 public:
  virtual ~Store() = default;
  // All that were ever entered, in that order.
  [[nodiscard]] virtual Result<std::vector<JobEntry>> jobs() = 0;
  // A new one, or its new standing, file and folder.
  [[nodiscard]] virtual Status put_job(const JobEntry& job) = 0;
  // Its part; entered as open if it is new. Does not outlive the store. Makes <folder>/<name>.trace.jsonl.
  [[nodiscard]] virtual Result<std::unique_ptr<JobStore>> job(const std::string& name) = 0;
  [[nodiscard]] virtual Status append_audit(const AuditEntry& entry) = 0;
  // The latest, at most so many, oldest first.
  [[nodiscard]] virtual Result<std::vector<AuditEntry>> audit(std::size_t most) = 0;
};

// Where the readable copy of a job's trace lies.
[[nodiscard]] std::filesystem::path trace_path(const std::filesystem::path& folder, const std::string& job);

// SQLite in <folder>/coordinator.db. The folder is made if it is missing and locked as long as the store lives.
// Errors: already_exists (another process uses the folder), unwritable, disk_full, corrupt, unsupported_version (made
// by a later program), io; each names the folder.
[[nodiscard]] Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& folder);

}  // namespace chorus::coordinator
