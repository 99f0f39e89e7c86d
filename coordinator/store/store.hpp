// The coordinator's durable state: what survives kill -9. A round in progress is not part of it; a published version
// is, whole or not at all. Used by one thread at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "common/base/id.hpp"
#include "common/dataset/catalogue.hpp"
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

// What one transaction writes.
struct Commit {
  std::optional<Version> version;                 // absent after a measuring round
  std::optional<CataloguePublication> catalogue;  // if it grew
  bool surveyed = false;
  bool measured = false;
  privacy::PublishedLedger ledger;
  std::string trace_line;
};

class Store {
 public:
  virtual ~Store() = default;
  // Nothing, if the store holds no job. Errors: corrupt, io.
  [[nodiscard]] virtual Result<std::optional<StoredJob>> load() = 0;
  // The job, its first catalogue and version 0. REQUIRES: load() found nothing.
  // Errors here and below: disk_full, unwritable, corrupt, io; nothing is then written.
  [[nodiscard]] virtual Status begin(const protocol::JobDescription& job, const CataloguePublication& catalogue,
                                     const Version& initial, const std::string& trace_line) = 0;
  // From now on no round gets this number or a lower one, whatever happens; `ledger` has its charge.
  [[nodiscard]] virtual Status reserve_round(RoundId round, const privacy::PublishedLedger& ledger) = 0;
  [[nodiscard]] virtual Status commit(const Commit& commit) = 0;
};

// SQLite in <folder>/coordinator.db, with <folder>/trace.jsonl as a readable copy of its trace. The folder is made if
// it is missing and locked as long as the store lives.
// Errors: already_exists (another process uses the folder), unwritable, disk_full, corrupt, unsupported_version (made
// by a later program), io; each names the folder.
[[nodiscard]] Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& folder);

}  // namespace chorus::coordinator
