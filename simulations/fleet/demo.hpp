// The demo's run: a coordinator process, a fleet of devices with people's ratings, a job from its first round to its
// last, and what came of it. The parent's side; not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "simulations/fleet/coordinator_process.hpp"
#include "simulations/fleet/demo_data.hpp"
#include "simulations/fleet/demo_rounds.hpp"
#include "simulations/fleet/fleet.hpp"
#include "simulations/fleet/members.hpp"
#include "simulations/fleet/supervisor.hpp"

namespace chorus::sim {

struct DemoOptions {
  std::filesystem::path out;                  // an empty or new folder
  std::filesystem::path sim_program;          // chorus-sim
  std::filesystem::path coordinator_program;  // chorus-coordinator
  std::filesystem::path coordinator_credentials;
  std::uint32_t rounds = 10;
  std::uint32_t devices_per_process = 120;
  bool terminal = false;  // progress on one line that moves, else a line a round
};

struct DemoOutcome {
  std::vector<DemoRound> rounds;
  double baseline = 0;  // RMSE of predicting the mean
  double seconds = 0;   // from the coordinator's start to the end of the job
  std::string fleet;    // Fleet::report()
  std::uint64_t devices_finished = 0;
  std::uint64_t processes_lost = 0;
  std::uint64_t devices_lost = 0;  // with those processes
};

// Runs the job to its end. `members` are over `data`. Progress goes to standard error. Whatever happens, no process is
// left running. Errors: those of the coordinator's and the fleet's start; aborted (a signal to stop came:
// supervisor.stop_signal() says which; the coordinator or the whole fleet ended too soon).
[[nodiscard]] Result<DemoOutcome> run_demo(Supervisor& supervisor, const DemoOptions& options,
                                           const FleetMembers& members, const DemoData& data);

}  // namespace chorus::sim
