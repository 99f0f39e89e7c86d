// `chorus-coordinator job …`: what an operator asks of a running coordinator.
#pragma once

#include <CLI/CLI.hpp>

namespace chorus::coordinator {

// `status` is set when one of its commands ran.
void add_job_command(CLI::App& app, int& status);

}  // namespace chorus::coordinator
