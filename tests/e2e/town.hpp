// A whole system for one test: an authority, a coordinator process and a fleet of devices on loopback, over a generated
// population. Everything lies in a folder of its own, and no process outlives the test.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "certs/io/authority.hpp"
#include "common/crypto/random_source.hpp"
#include "simulations/fleet/coordinator_process.hpp"
#include "simulations/fleet/demo_data.hpp"
#include "simulations/fleet/fleet.hpp"
#include "simulations/fleet/members.hpp"
#include "simulations/fleet/supervisor.hpp"

namespace chorus::e2e {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

// One of the programs under test.
[[nodiscard]] std::filesystem::path program(const std::string& name);

// A program run to its end, in `folder`.
struct Ran {
  int status = -1;  // 128 + signal if it was killed
  std::string out;
  std::string err;
};
[[nodiscard]] Ran run_program(const std::string& name, std::vector<std::string> arguments,
                              std::chrono::seconds longest = std::chrono::seconds(60));

struct TownOptions {
  std::uint32_t devices = 100;
  std::uint32_t enrolled = 0;  // 0: as many as devices
  std::uint32_t items = 150;
  std::uint32_t processes = 2;
  std::uint32_t rounds = 3;
  std::uint32_t wanted = 0;  // devices that a round opens with at once; 0: all
  std::chrono::milliseconds gather{500};
  std::chrono::milliseconds upload_deadline{20'000};
};

class Town {
 public:
  explicit Town(TownOptions options);

  // Both fail the test if they cannot.
  void start_coordinator();
  void start_fleet();
  // Handles events until `done()` holds. False after `longest`, or if everything has ended before.
  [[nodiscard]] bool until(const std::function<bool()>& done, std::chrono::seconds longest = std::chrono::seconds(60));
  // Whether the coordinator's log has told of this event, since the last call of forget_log().
  [[nodiscard]] bool logged(const std::string& event) const;
  void forget_log() { log_.clear(); }
  [[nodiscard]] std::string log() const;

  void kill_coordinator();
  // SIGTERM; how it ended.
  [[nodiscard]] sim::ExitStatus stop_coordinator();
  [[nodiscard]] std::vector<coordinator::TraceRound> trace() const;

  sim::CoordinatorSetup setup;
  TownOptions options;
  TemporaryFolder folder;
  sim::DemoData data;
  std::unique_ptr<crypto::RandomSource> random;
  std::optional<certs::Authority> authority;
  std::optional<sim::FleetMembers> members;
  std::unique_ptr<sim::Supervisor> supervisor;
  sim::RunningCoordinator coordinator;
  std::optional<sim::ExitStatus> coordinator_end;
  std::optional<sim::Fleet> fleet;

 private:
  std::vector<std::string> log_;
};

}  // namespace chorus::e2e
