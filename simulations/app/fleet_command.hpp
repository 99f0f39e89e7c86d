// `chorus-sim fleet`, and `chorus-sim fleet-worker`, which it starts.
#pragma once

#include <CLI/CLI.hpp>

namespace chorus::sim {

// Adds the subcommands; each sets `status` (the process's exit status) when it is the one that was asked for.
void add_fleet_command(CLI::App& app, int& status);
void add_fleet_worker_command(CLI::App& app, int& status);

}  // namespace chorus::sim
