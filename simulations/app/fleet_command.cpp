#include "simulations/app/fleet_command.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "simulations/fleet/demo_data.hpp"
#include "simulations/fleet/fleet.hpp"
#include "simulations/fleet/members.hpp"
#include "simulations/fleet/worker.hpp"

namespace chorus::sim {
namespace {

struct FleetArguments {
  std::string coordinator;
  std::filesystem::path credentials;
  std::filesystem::path ratings;
  std::string split;
  std::size_t users = 0;
  std::uint32_t processes = 0;
  std::uint32_t clients_per_process = 120;
  std::filesystem::path out;
  std::string job;
  std::uint64_t rounds = 0;
  bool until_finished = false;
  std::string json;
  std::uint64_t seed = 1;
};

struct Place {
  std::string host;
  std::uint16_t port = 0;
};

// "host:port" or "[v6]:port".
Result<Place> parse_place(const std::string& text) {
  const auto colon = text.rfind(':');
  std::string host = colon == std::string::npos ? std::string() : text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  unsigned long port = 0;
  try {
    port = std::stoul(text.substr(colon == std::string::npos ? text.size() : colon + 1));
  } catch (const std::exception&) {
    port = 0;
  }
  if (host.empty() || port == 0 || port > 65'535) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not HOST:PORT", text), "--coordinator");
  }
  return Place{std::move(host), static_cast<std::uint16_t>(port)};
}

Status write_report(const std::string& report, const std::string& where) {
  if (where.empty()) return {};
  if (where == "-") {
    std::puts(report.c_str());
    return {};
  }
  std::ofstream file(where, std::ios::binary);
  file << report << '\n';
  file.close();
  if (!file) return fail(ErrorCode::unwritable, "the report cannot be written", where);
  return {};
}

// `told_ready`: what was said last of a fleet that waits; hundreds of devices are told the same.
void say_what_happened(const WorkerEvent& event, const Fleet& fleet, std::uint32_t& told_ready) {
  using Kind = WorkerEvent::Kind;
  if (event.kind == Kind::imported) {
    fmt::print(stderr, "{} of {} devices have imported their ratings\n", fleet.imported(), fleet.devices().size());
  } else if (event.kind == Kind::round) {
    const RoundRecord& round = fleet.rounds().at(event.round);
    if (round.devices() == 1)
      fmt::print(stderr, "round {} {} after {:.1f} s\n", event.round, event.text, round.first_seconds);
  } else if (event.kind == Kind::waiting && event.ready != told_ready) {
    told_ready = event.ready;
    fmt::print(stderr, "waiting: {} devices are ready, a round needs {}\n", event.ready, event.needed);
  } else if (event.kind == Kind::trouble && fleet.errors().at(event.text) == 1) {
    fmt::print(stderr, "{}\n", event.sentence);
  }
}

Result<int> run(const FleetArguments& arguments) {
  CHORUS_TRY(const Place place, parse_place(arguments.coordinator));
  CHORUS_TRY(auto enrolled, read_fleet(arguments.credentials));
  CHORUS_TRY(auto data, load_demo_data(arguments.ratings, arguments.split, arguments.seed));
  const std::size_t limit = arguments.users != 0 ? arguments.users : enrolled.size();
  CHORUS_TRY(const auto members,
             FleetMembers::create(std::move(data.training), std::move(data.held_out), std::move(enrolled), limit));
  std::error_code error;
  std::filesystem::create_directories(arguments.out, error);
  if (error) return fail(ErrorCode::unwritable, error.message(), arguments.out.string());
  CHORUS_TRY(const auto program, own_program());
  CHORUS_TRY(const auto supervisor, Supervisor::create());
  const std::size_t per_process = std::max<std::uint32_t>(arguments.clients_per_process, 1);
  const auto needed = static_cast<std::uint32_t>((members.size() + per_process - 1) / per_process);
  Fleet fleet(*supervisor, {.host = place.host,
                            .port = place.port,
                            .job = arguments.job,
                            .out = arguments.out,
                            .processes = arguments.processes != 0 ? arguments.processes : needed,
                            .rounds = arguments.rounds,
                            .program = program});
  std::uint32_t told_ready = 0;
  CHORUS_TRY_DO(fleet.start(members, [&](const WorkerEvent& event) { say_what_happened(event, fleet, told_ready); }));
  using Clock = std::chrono::steady_clock;
  auto reason = supervisor->run([&] { return arguments.rounds != 0 && fleet.rounds_completed() >= arguments.rounds; },
                                Clock::time_point::max());
  // Those that were in every round leave by themselves now; those that were not would wait for more.
  if (reason == Supervisor::Reason::done) {
    reason = supervisor->run([&] { return fleet.ended(); }, Clock::now() + std::chrono::seconds(2));
  }
  fleet.stop(std::chrono::seconds(10));
  CHORUS_TRY_DO(write_report(fleet.report(), arguments.json));
  for (const WorkerRecord& worker : fleet.workers()) {
    if (worker.lost) {
      fmt::print(stderr, "process {} with {} devices {}\n", worker.pid, worker.devices, worker.how);
    }
  }
  if (reason == Supervisor::Reason::stopped) return 128 + supervisor->stop_signal();
  return fleet.processes_lost() == fleet.workers().size() ? 1 : 0;
}

}  // namespace

void add_fleet_command(CLI::App& app, int& status) {
  auto arguments = std::make_shared<FleetArguments>();
  CLI::App* command = app.add_subcommand("fleet", "Run real devices, in processes, against a running coordinator");
  command->add_option("--coordinator", arguments->coordinator, "Where it listens, HOST:PORT")->required();
  command->add_option("--credentials", arguments->credentials, "The folder that `chorus-certs fleet` made")->required();
  command->add_option("--ratings", arguments->ratings, "A ratings file or a data set's folder")->required();
  command->add_option("--split", arguments->split, "What is held out: test:FILE, random:0.9, loo; as of `train`");
  command->add_option("--seed", arguments->seed, "Of a random split")->capture_default_str();
  command->add_option("--users", arguments->users, "The first N users; default: as many as there are credentials");
  command->add_option("--processes", arguments->processes, "Worker processes; default: as many as are needed");
  command->add_option("--clients-per-process", arguments->clients_per_process, "Devices of one process")
      ->capture_default_str();
  command->add_option("--out", arguments->out, "A folder for the devices' stores and population.tsv")->required();
  command->add_option("--job", arguments->job, "The job's name; default: the coordinator's only one");
  auto* rounds = command->add_option("--rounds", arguments->rounds, "End after so many rounds");
  command->add_flag("--until-finished", arguments->until_finished, "End when the job is finished (the default)")
      ->excludes(rounds);
  command->add_option("--json", arguments->json, "Write the report there; - is standard output");
  command->callback([arguments, &status] {
    const auto ended = run(*arguments);
    if (!ended) fmt::print(stderr, "chorus-sim fleet: {}\n", ended.error().to_string());
    status = ended.value_or(1);
  });
}

void add_fleet_worker_command(CLI::App& app, int& status) {
  auto options = std::make_shared<WorkerOptions>();
  CLI::App* command = app.add_subcommand("fleet-worker", "One process of a fleet; `fleet` and `demo` start it");
  command->group("");  // not in --help
  command->add_option("--host", options->host)->required();
  command->add_option("--port", options->port)->required();
  command->add_option("--job", options->job);
  command->add_option("--out", options->out)->required();
  command->add_option("--rounds", options->rounds);
  command->callback([options, &status] {
    const auto ended = run_fleet_worker(*options);
    if (!ended) fmt::print(stderr, "chorus-sim fleet-worker: {}\n", ended.error().to_string());
    status = ended.has_value() ? 0 : 1;
  });
}

}  // namespace chorus::sim
