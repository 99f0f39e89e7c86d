// chorus-sim: training runs and fleets, in one place. Options and wiring alone.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "common/crypto/private_memory.hpp"
#include "simulations/app/audit_command.hpp"
#include "simulations/app/demo_command.hpp"
#include "simulations/app/fleet_command.hpp"
#include "simulations/app/town_command.hpp"
#include "simulations/app/train_command.hpp"
#include "simulations/app/tune_command.hpp"

int main(int argc, char** argv) {
  // Its workers are people's devices.
  if (const auto kept = chorus::crypto::keep_memory_private(argv); !kept) {
    std::fprintf(stderr, "chorus-sim: %s\n", kept.error().to_string().c_str());
    return 1;
  }
  CLI::App app("Simulates Chorus: trains models in one process, and runs fleets of real devices", "chorus-sim");
  app.set_version_flag("--version", std::string("chorus-sim ") + CHORUS_VERSION);
  app.require_subcommand(1);
  int status = 0;
  chorus::sim::add_train_command(app, status);
  chorus::sim::add_tune_command(app, status);
  chorus::sim::add_audit_command(app, status);
  chorus::sim::add_fleet_command(app, status);
  chorus::sim::add_fleet_worker_command(app, status);
  chorus::sim::add_demo_command(app, status);
  chorus::sim::add_town_command(app, status);
  CLI11_PARSE(app, argc, argv);
  return status;
}
