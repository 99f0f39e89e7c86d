// `chorus-sim tune`: searches a family's settings on validation ratings.
#pragma once

#include <CLI/CLI.hpp>

namespace chorus::sim {

// Adds the subcommand; it sets `status` (the process's exit status) when it is the one that was asked for.
void add_tune_command(CLI::App& app, int& status);

}  // namespace chorus::sim
