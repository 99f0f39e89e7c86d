// A whole system for one test: an authority, a coordinator process and fleets of devices on loopback, over a generated
// population that lies in a file. Everything is in a folder of its own, and no process outlives the test.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "certs/io/authority.hpp"
#include "common/crypto/random_source.hpp"
#include "common/net/tls_context.hpp"
#include "simulations/fleet/coordinator_process.hpp"
#include "simulations/fleet/demo_data.hpp"
#include "simulations/fleet/fleet.hpp"
#include "simulations/fleet/members.hpp"
#include "simulations/fleet/supervisor.hpp"

namespace chorus::e2e {

// What a cohort needs at the least with the preset dropout, under the production floors.
inline constexpr std::uint32_t kLeastCohort = 76;

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
// Its value, or an exception that says why: the fixture cannot go on, and the test shows the sentence.
template <typename T>
[[nodiscard]] T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return std::move(result).value();
}

// A program run to its end.
struct Ran {
  int status = -1;  // 128 + signal if it was killed
  std::string out;
  std::string err;
};
[[nodiscard]] Ran run_program(const std::string& name, std::vector<std::string> arguments,
                              std::chrono::seconds longest = std::chrono::seconds(60));
// Beside what the supervisor watches already.
[[nodiscard]] Ran run_program(sim::Supervisor& supervisor, const std::filesystem::path& path,
                              std::vector<std::string> arguments,
                              std::chrono::seconds longest = std::chrono::seconds(60));
[[nodiscard]] std::string last_line(const std::string& text);

struct TownOptions {
  std::uint32_t devices = 100;
  std::uint32_t enrolled = 0;  // 0: as many as devices
  std::uint32_t items = 150;
  std::uint32_t rounds = 2;
  std::uint32_t cohort_size = 128;
  std::uint32_t wanted = 0;  // devices that a round opens with at once; 0: all
  // With fewer, but enough for a cohort. By default longer than any test: a round opens when all are ready.
  std::chrono::milliseconds gather = std::chrono::minutes(5);
  std::chrono::milliseconds phase_deadline = std::chrono::minutes(5);
  std::chrono::milliseconds shutdown_grace = std::chrono::minutes(5);
  std::string family = "mf";                  // one of events gets the ratings as events
  model::Settings model = {};                 // besides the family's presets
  std::optional<double> device_epsilon = {};  // what the job lets a device pay; absent: the preset
};

class Town {
 public:
  explicit Town(TownOptions options);

  // All fail the test if they cannot.
  void start_coordinator();
  // All devices, in two processes.
  sim::Fleet& start_fleet();
  // The devices [first, last), which are a fleet of their own.
  sim::Fleet& start_fleet(std::uint32_t first, std::uint32_t last, std::uint32_t processes);
  // Two fleets of 70 and 30 devices that take part in one round, which stays open, since ten of its members are a
  // stopped process; that process. The others have delivered, or are about to.
  [[nodiscard]] pid_t open_a_round_that_stays_open();

  // Handles events until `done()` holds. False after `longest`, or if everything has ended before.
  [[nodiscard]] bool until(const std::function<bool()>& done,
                           std::chrono::milliseconds longest = std::chrono::seconds(120));
  // Until the coordinator's log tells of this event `times` times.
  // To the process of this device of the fleet.
  void signal(const sim::Fleet& fleet, std::uint32_t device, int number);
  [[nodiscard]] bool until_logged(const std::string& event, std::size_t times = 1);
  // The coordinator's log lines of this event, since the last call of forget().
  [[nodiscard]] std::vector<nlohmann::json> logged(const std::string& event) const;
  // How many devices the fleets were told last that are ready, while too few are; 0 since the last call of forget().
  [[nodiscard]] std::uint32_t ready() const noexcept { return ready_; }
  // What was logged and told so far.
  void forget() {
    log_.clear();
    ready_ = 0;
  }
  [[nodiscard]] std::string log() const;

  void kill_coordinator();
  // SIGTERM; how it ended.
  [[nodiscard]] sim::ExitStatus stop_coordinator();
  // How it ended by itself, or upon a signal that was sent before.
  [[nodiscard]] sim::ExitStatus await_coordinator();
  // The next start takes the port of this one: the devices come back to it.
  void keep_port();
  [[nodiscard]] std::vector<coordinator::TraceRound> trace() const;
  // What `chorus-sim train --replay` says to the trace, given the fleets' devices.
  [[nodiscard]] Ran replay();
  [[nodiscard]] net::TlsCredentials credentials(std::size_t device) const;

  sim::CoordinatorSetup setup;
  TownOptions options;
  TemporaryFolder folder;
  sim::DemoData data;
  std::unique_ptr<crypto::RandomSource> random;
  std::optional<certs::Authority> authority;
  std::vector<sim::Enrolled> enrolled;
  std::unique_ptr<sim::Supervisor> supervisor;
  sim::RunningCoordinator coordinator;
  std::optional<sim::ExitStatus> coordinator_end;
  std::list<sim::Fleet> fleets;
  // Told of each step that a device has sent.
  std::function<void(sim::Fleet& fleet, const sim::WorkerEvent& step)> on_step;

 private:
  void learn_from_events_if_the_family_does();

  std::vector<std::string> log_;
  std::uint32_t ready_ = 0;
};

}  // namespace chorus::e2e
