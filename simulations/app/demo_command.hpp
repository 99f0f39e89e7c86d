// `chorus-sim demo`: the whole system on one machine, for somebody who sees it for the first time.
#pragma once

#include <CLI/CLI.hpp>

namespace chorus::sim {

// Adds the subcommand; it sets `status` (the process's exit status) when it is the one that was asked for.
void add_demo_command(CLI::App& app, int& status);

}  // namespace chorus::sim
