// What an operator sees of a running job: counts, durations and qualities, gathered from what Federation says of
// itself. No device is named, and nothing that one contributed is here. Pure: the daemon tells the time and serves the
// text.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/federation/actions.hpp"

namespace chorus::coordinator {

// One round that ended.
struct RoundLine {
  std::uint64_t round = 0;
  std::string purpose;
  std::int64_t when = 0;  // seconds since 1970
  double seconds = 0;
  std::uint32_t cohorts = 0;
  std::uint32_t cohorts_aborted = 0;
  std::uint32_t members = 0;              // invited
  SecureSum::Funnel funnel{};             // of them
  std::uint32_t survivors = 0;            // whose updates are in the sum
  std::uint64_t from = 0;                 // the version that it started from
  std::string reason;                     // why it was aborted; empty: it was not
  std::optional<model::Quality> quality;  // of the version that it started from
};

struct VersionLine {
  std::uint64_t version = 0;
  std::int64_t when = 0;
  std::uint64_t training_rounds = 0;
  std::uint32_t items = 0;
  std::uint64_t bytes = 0;
  std::optional<privacy::PrivacyReport> privacy;
  std::optional<model::Quality> quality{};  // once a round that started from it has measured it
};

// A version whose numbers are still there, to download or compare.
struct KeptModel {
  std::uint64_t version = 0;
  std::shared_ptr<const Bytes> tensors;  // TensorSet::encode()
};

// What the observatory is not told of, at the moment of a snapshot.
struct DaemonView {
  std::string phase;  // "gathering", "collecting", …
  bool paused = false;
  bool stopping = false;
  std::uint64_t connections = 0;
  std::uint64_t devices_ready = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t bytes_in = 0;  // of all devices, since the start
  std::uint64_t bytes_out = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t store_bytes = 0;
  std::int64_t started = 0;  // seconds since 1970
};

// A moment's picture; immutable once it is shared with the admin server's threads.
struct Picture {
  std::string job;
  std::string family;
  std::uint64_t goal = 0;  // training rounds; 0: no end
  std::int64_t started = 0;
  DaemonView daemon;
  std::uint64_t version = 0;
  std::uint64_t training_rounds = 0;
  std::uint32_t items = 0;
  std::deque<KeptModel> models;                         // the latest, oldest first; never empty
  std::shared_ptr<const dataset::Catalogue> catalogue;  // what items are called
  std::uint32_t devices_needed = 0;                     // that a round waits for, while too few are ready; 0: none
  // The round in progress; 0: none.
  std::uint64_t open_round = 0;
  std::uint32_t open_cohorts = 0;
  std::uint32_t open_members = 0;
  std::deque<RoundLine> rounds;                          // the latest, oldest first
  std::deque<VersionLine> versions;                      // likewise
  std::map<std::string, std::uint64_t> declined;         // members that would not take part, by reason
  std::map<std::string, std::uint64_t> cohorts_aborted;  // by reason
  std::uint64_t convicted = 0;
  std::uint64_t rounds_published = 0;
  std::uint64_t rounds_measured = 0;
  std::uint64_t rounds_aborted = 0;
  std::uint64_t members = 0;  // of all rounds
  std::uint64_t survivors = 0;
  static constexpr std::array<double, 8> kBuckets{0.5, 1, 2, 5, 10, 30, 60, 120};  // seconds
  std::array<std::uint64_t, kBuckets.size()> took{};                               // rounds within each
  double seconds = 0;                                                              // of all rounds
};

// Owned by the daemon's thread. Not thread-safe.
class Observatory {
 public:
  static constexpr std::size_t kMostLines = 256;
  static constexpr std::size_t kMostModels = 4;

  Observatory(const protocol::JobDescription& job, const Version& version, const dataset::Catalogue& catalogue,
              std::int64_t now);
  // What the store remembers of the time before: lines of rounds and versions, oldest first. Counters start at zero.
  // To be called once, first.
  void recall(const std::vector<RoundRecord>& rounds, const std::vector<protocol::ModelHeader>& versions);
  // Everything that Federation logs goes through here. `now`: seconds since 1970.
  void observe(const Log& event, std::int64_t now);
  // After VersionPublished was observed; the catalogue is the version's.
  void publish(const Version& version, const dataset::Catalogue& catalogue);
  [[nodiscard]] Picture picture(DaemonView daemon) const;

 private:
  Picture picture_;
};

// One JSON object (coordinator/OPERATIONS.md lists the keys).
[[nodiscard]] std::string to_json(const Picture& picture);
// The version's tensors, if it is kept; nullptr otherwise.
[[nodiscard]] std::shared_ptr<const Bytes> kept_tensors(const Picture& picture, std::uint64_t version);
// Two of the versions that are kept, compared: one JSON object. Reads every number of both.
// Errors: not_found (one of them is not kept).
[[nodiscard]] Result<std::string> difference_json(const Picture& picture, std::uint64_t from, std::uint64_t to);
// All jobs at one moment, by name.
struct Pictures {
  DaemonView daemon;  // without what only a job knows
  std::vector<Picture> jobs;
};
// One JSON array: a line for each job.
[[nodiscard]] std::string job_list_json(const Pictures& pictures);
// One JSON array, oldest first.
[[nodiscard]] std::string to_json(const std::vector<AuditEntry>& audit);
// Prometheus' text format, version 0.0.4. What concerns one job has its name as a label.
[[nodiscard]] std::string to_prometheus(const Pictures& pictures);

}  // namespace chorus::coordinator
