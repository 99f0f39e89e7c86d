// A real coordinator process for a fleet: its files, its start on a free port, and what its trace says. The parent's
// side; not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"
#include "coordinator/publish/trace.hpp"
#include "simulations/fleet/supervisor.hpp"

namespace chorus::sim {

struct CoordinatorSetup {
  std::filesystem::path folder;        // gets coordinator.toml, job.toml, items.tsv and state/
  std::filesystem::path certificates;  // the coordinator's, as chorus-certs made them
  std::uint16_t port = 0;              // 0: any free one
  std::string job = "demo";
  std::uint32_t rounds = 10;
  std::uint32_t devices = 0;  // a round opens as soon as so many are ready; 0: no target
  std::uint32_t cohort_size = 128;
  std::chrono::milliseconds gather{5'000};
  std::chrono::milliseconds phase_deadline{60'000};  // of each phase of a secure sum
  std::chrono::milliseconds reconnect_grace{1'000};
  std::chrono::milliseconds shutdown_grace{5'000};
  dataset::DataContract contract;
  std::string family = "mf";
  model::Settings model;                      // besides the family's presets
  std::optional<double> device_epsilon = {};  // [privacy] device_epsilon
};

// Errors: already_exists, unwritable, disk_full, io.
[[nodiscard]] Status write_coordinator_files(const CoordinatorSetup& setup, const dataset::Catalogue& catalogue);

// coordinator.toml alone, over an earlier one: a restart on the port of before. Errors: unwritable.
[[nodiscard]] Status write_coordinator_config(const CoordinatorSetup& setup);

struct RunningCoordinator {
  pid_t pid = 0;
  std::string host;
  std::uint16_t port = 0;
};

// Starts `chorus-coordinator serve` on the files above and waits until it listens. `on_line` gets its log (JSON).
// Errors: those of Supervisor::start; aborted, with the coordinator's last words, if it ends instead; timeout.
[[nodiscard]] Result<RunningCoordinator> start_coordinator(Supervisor& supervisor, const CoordinatorSetup& setup,
                                                           const std::filesystem::path& program,
                                                           std::function<void(std::string_view)> on_line,
                                                           std::function<void(const ExitStatus&)> on_exit);

// The rounds that the trace of `folder` tells so far; a line that is being written is not read yet.
// Errors: not_found, malformed.
[[nodiscard]] Result<std::vector<coordinator::TraceRound>> read_rounds(const std::filesystem::path& folder);
[[nodiscard]] std::filesystem::path trace_file(const std::filesystem::path& folder);

}  // namespace chorus::sim
