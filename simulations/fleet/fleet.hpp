// A fleet: real devices in worker processes, started, watched and counted by one parent. Each device is one object with
// its own store, certificate, key, TLS connection and randomness; a worker process drives some hundred of them.
// The parent's side. Not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "simulations/fleet/members.hpp"
#include "simulations/fleet/supervisor.hpp"
#include "simulations/fleet/worker_event.hpp"

namespace chorus::sim {

struct FleetOptions {
  std::string host;
  std::uint16_t port = 0;
  std::string job;            // the job's name; empty: the coordinator's only one
  std::filesystem::path out;  // gets population.tsv and one store a device
  std::uint32_t processes = 1;
  std::uint64_t rounds = 0;       // a device leaves after so many completed rounds; 0: when the job is finished
  std::filesystem::path program;  // chorus-sim
};

struct DeviceRecord {
  std::size_t process = 0;   // which worker drives it
  bool welcomed = false;     // was connected at least once
  bool ended = false;        // told its totals
  bool finished = false;     // knows that the job is finished
  std::uint64_t rounds = 0;  // that ended while it took part
  std::uint64_t version = 0;
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint32_t recommendations = 0;
  bool explained = false;
};

struct WorkerRecord {
  pid_t pid = 0;
  std::size_t devices = 0;
  bool imported = false;
  bool ended = false;
  bool lost = false;  // ended otherwise than with status 0
  std::string how;    // "was killed by signal 9"
};

// The devices' side of a round: who told that it ended.
struct RoundRecord {
  std::map<std::string, std::uint64_t> outcomes;  // "published" -> devices
  double first_seconds = 0;                       // since the fleet's start
  double last_seconds = 0;
  std::uint64_t bytes_up = 0;  // of the devices that took part, since their round before
  std::uint64_t bytes_down = 0;

  // How many devices told of it.
  [[nodiscard]] std::uint64_t devices() const noexcept;
};

class Fleet {
 public:
  // Told of every event, after it was counted.
  using Listener = std::function<void(const WorkerEvent& event)>;

  Fleet(Supervisor& supervisor, FleetOptions options);

  // Writes population.tsv and starts the workers. REQUIRES: once.
  // Errors: unwritable, already_exists; those of Supervisor::start.
  [[nodiscard]] Status start(const FleetMembers& members, Listener listener = {});
  // SIGTERM; workers that still run after `grace` are killed.
  void stop(std::chrono::milliseconds grace);

  [[nodiscard]] bool ended() const noexcept;
  [[nodiscard]] std::size_t imported() const noexcept { return imported_; }
  [[nodiscard]] std::size_t welcomed() const noexcept { return welcomed_; }
  [[nodiscard]] std::size_t finished() const noexcept { return finished_; }
  // What its devices were told last while too few were ready for a round: so many are, so many are needed. 0: nothing.
  [[nodiscard]] std::uint32_t devices_ready() const noexcept { return ready_; }
  [[nodiscard]] std::uint32_t devices_needed() const noexcept { return needed_; }
  [[nodiscard]] std::size_t processes_lost() const noexcept;
  // Devices that had not ended when their process was lost.
  [[nodiscard]] std::size_t devices_lost() const noexcept;
  [[nodiscard]] const std::vector<DeviceRecord>& devices() const noexcept { return devices_; }
  [[nodiscard]] const std::vector<WorkerRecord>& workers() const noexcept { return workers_; }
  [[nodiscard]] const std::map<std::uint64_t, RoundRecord>& rounds() const noexcept { return rounds_; }
  // How many rounds ended with a result.
  [[nodiscard]] std::size_t rounds_completed() const noexcept;
  // "unreachable" -> how often.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& errors() const noexcept { return errors_; }
  // The first sentence of each error.
  [[nodiscard]] const std::map<std::string, std::string>& sentences() const noexcept { return sentences_; }

  // The report, as a JSON text: one object, without a line's end.
  [[nodiscard]] std::string report() const;

 private:
  void on_line(std::size_t worker, std::string_view line);
  void on_event(const WorkerEvent& event);
  void on_exit(std::size_t worker, const ExitStatus& status);
  [[nodiscard]] double seconds() const;

  Supervisor& supervisor_;
  FleetOptions options_;
  Listener listener_;
  std::chrono::steady_clock::time_point started_{};
  std::vector<DeviceRecord> devices_;
  std::vector<WorkerRecord> workers_;
  std::map<std::uint64_t, RoundRecord> rounds_;
  std::map<std::string, std::uint64_t> errors_;
  std::map<std::string, std::string> sentences_;
  std::size_t imported_ = 0;
  std::size_t welcomed_ = 0;
  std::size_t finished_ = 0;
  std::uint32_t ready_ = 0;
  std::uint32_t needed_ = 0;
};

}  // namespace chorus::sim
