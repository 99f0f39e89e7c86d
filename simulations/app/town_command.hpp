// `chorus-sim town`: the data of a small town, to try the programs by hand with.
#pragma once

#include <CLI/CLI.hpp>

namespace chorus::sim {

// `status` is the exit status, set when the command has run.
void add_town_command(CLI::App& app, int& status);

}  // namespace chorus::sim
