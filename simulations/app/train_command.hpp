// `chorus-sim train`: a training run in one process, measured on test ratings; or the replay of a run's trace.
#pragma once

#include <CLI/CLI.hpp>

namespace chorus::sim {

// Adds the subcommand; it sets `status` (the process's exit status) when it is the one that was asked for.
void add_train_command(CLI::App& app, int& status);

}  // namespace chorus::sim
