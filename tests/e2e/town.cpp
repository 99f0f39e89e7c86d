#include "tests/e2e/town.hpp"

#include <algorithm>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "certs/io/clock.hpp"

namespace chorus::e2e {
namespace {

namespace fs = std::filesystem;

// The error's sentence in the test's report instead of a bare "false".
template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return std::move(result).value();
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "chorus-e2e-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path program(const std::string& name) {
  return fs::path(CHORUS_BIN_DIR) / name;
}

Ran run_program(const std::string& name, std::vector<std::string> arguments, std::chrono::seconds longest) {
  auto supervisor = value_of(sim::Supervisor::create());
  Ran ran;
  sim::Supervisor::Watch watch;
  watch.on_output = [&](std::string_view line) { ran.out.append(line).append("\n"); };
  watch.on_error = [&](std::string_view line) { ran.err.append(line).append("\n"); };
  watch.on_exit = [&](const sim::ExitStatus& status) {
    ran.status = status.signal != 0 ? 128 + status.signal : status.status;
  };
  sim::ProcessOptions options;
  options.program = program(name);
  options.arguments = std::move(arguments);
  value_of(supervisor->start(options, watch));
  const auto reason = supervisor->run([] { return false; }, std::chrono::steady_clock::now() + longest);
  if (reason == sim::Supervisor::Reason::timeout) ADD_FAILURE() << name << " still runs\n" << ran.out << ran.err;
  return ran;
}

Town::Town(TownOptions wanted) : options(wanted) {
  if (options.enrolled == 0) options.enrolled = options.devices;
  data = value_of(sim::generate_demo_data(options.devices, options.items, 7));
  random = crypto::make_system_random();
  const WallTime now = certs::wall_clock();
  const fs::path certificates = folder.path() / "certificates";
  authority.emplace(value_of(certs::Authority::create(certificates / "authority", now, *random)));
  const std::vector<std::string> hosts{"127.0.0.1"};
  setup.certificates = value_of(authority->issue_coordinator(hosts, certificates / "coordinator", now)).folder;
  value_of(authority->issue_fleet(options.enrolled, certificates / "fleet", now));
  members.emplace(value_of(sim::FleetMembers::create(
      data.training, data.held_out, value_of(sim::read_fleet(certificates / "fleet")), options.devices)));
  setup.folder = folder.path() / "coordinator";
  setup.rounds = options.rounds;
  setup.devices = options.wanted != 0 ? options.wanted : options.devices;
  setup.gather = options.gather;
  setup.upload_deadline = options.upload_deadline;
  setup.contract = data.contract;
  if (auto written = sim::write_coordinator_files(setup, data.catalogue); !written) {
    throw std::runtime_error(written.error().to_string());
  }
  supervisor = value_of(sim::Supervisor::create());
}

void Town::start_coordinator() {
  coordinator_end.reset();
  coordinator = value_of(sim::start_coordinator(
      *supervisor, setup, program("chorus-coordinator"), [this](std::string_view line) { log_.emplace_back(line); },
      [this](const sim::ExitStatus& status) { coordinator_end = status; }));
}

void Town::start_fleet() {
  fleet.emplace(*supervisor, sim::FleetOptions{.host = coordinator.host,
                                               .port = coordinator.port,
                                               .job = setup.job,
                                               .out = folder.path(),
                                               .processes = options.processes,
                                               .rounds = 0,
                                               .program = program("chorus-sim")});
  const auto started = fleet->start(*members);
  ASSERT_TRUE(started.has_value()) << started.error().to_string();
}

bool Town::until(const std::function<bool()>& done, std::chrono::seconds longest) {
  return supervisor->run(done, std::chrono::steady_clock::now() + longest) == sim::Supervisor::Reason::done;
}

bool Town::logged(const std::string& event) const {
  const std::string wanted = "\"event\":\"" + event + "\"";
  return std::ranges::any_of(log_, [&](const std::string& line) { return line.find(wanted) != std::string::npos; });
}

std::string Town::log() const {
  std::string text;
  for (const std::string& line : log_) text.append(line).append("\n");
  return text;
}

void Town::kill_coordinator() {
  supervisor->signal(coordinator.pid, SIGKILL);
  EXPECT_TRUE(until([&] { return coordinator_end.has_value(); }));
}

sim::ExitStatus Town::stop_coordinator() {
  supervisor->signal(coordinator.pid, SIGTERM);
  EXPECT_TRUE(until([&] { return coordinator_end.has_value(); }));
  return coordinator_end.value_or(sim::ExitStatus{.status = -1});
}

std::vector<coordinator::TraceRound> Town::trace() const {
  return value_of(sim::read_rounds(setup.folder));
}

}  // namespace chorus::e2e
