// `chorus-sim audit`: attacks a training, with positive controls, and says what each attack gained.
#pragma once

#include <CLI/CLI.hpp>

namespace chorus::sim {

// Adds the subcommand; it sets `status` (the process's exit status) when it is the one that was asked for: 1 if a
// positive control failed, or the audit could not be run.
void add_audit_command(CLI::App& app, int& status);

}  // namespace chorus::sim
