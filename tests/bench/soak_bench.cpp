// Whether a coordinator's memory grows: one process serves a fleet of real devices for hundreds of masked rounds, with
// its admin server on, and what the kernel says of its memory is read whenever a round has closed.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "certs/io/authority.hpp"
#include "certs/io/clock.hpp"
#include "common/crypto/random_source.hpp"
#include "simulations/fleet/coordinator_process.hpp"
#include "simulations/fleet/demo_data.hpp"
#include "simulations/fleet/fleet.hpp"
#include "simulations/fleet/supervisor.hpp"
#include "tests/bench/bench_report.hpp"
#include "tests/bench/processes.hpp"

namespace chorus::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kMostGrowth = 1.05;
constexpr std::size_t kWidth = 50;  // of the longest bar
constexpr std::size_t kAround = 5;  // rounds up to a mark whose median is told beside its own value

struct Options {
  std::uint32_t devices = 200;
  std::uint32_t rounds = 500;
  std::uint32_t from = 50;    // the round that growth is counted from
  std::uint32_t invited = 0;  // of them to a round; 0: all
  std::uint32_t items = 60;
  std::uint32_t cohort = 100;
  std::uint32_t processes = 2;
  std::uint32_t longest = 120;  // minutes
  bool json = false;
};

struct Sample {
  std::size_t resident = 0;  // bytes
  double seconds = 0;        // since the first round was opened
};

std::size_t peak_bytes(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

// What a run told.
struct Outcome {
  std::map<std::uint32_t, Sample> closed;  // by how many rounds have closed
  std::uint32_t aborted = 0;
  std::size_t peak = 0;

  [[nodiscard]] std::size_t median_before(std::uint32_t mark) const {
    std::vector<std::size_t> values;
    for (auto at = closed.upper_bound(mark); at != closed.begin() && values.size() < kAround;) {
      values.push_back((--at)->second.resident);
    }
    std::ranges::sort(values);
    return values.empty() ? 0 : values[values.size() / 2];
  }
};

// The files of a coordinator and its fleet, and who the devices are.
struct Town {
  sim::CoordinatorSetup setup;
  sim::FleetMembers members;
  fs::path out;
};

Result<Town> found(const Options& options, const fs::path& folder) {
  CHORUS_TRY(const auto data, sim::generate_demo_data(options.devices, options.items, 1));
  const auto random = crypto::make_system_random();
  const WallTime now = certs::wall_clock();
  CHORUS_TRY(auto authority, certs::Authority::create(folder / "authority", now, *random));
  const std::vector<std::string> hosts{"127.0.0.1"};
  CHORUS_TRY(const auto issued, authority.issue_coordinator(hosts, folder / "certificates", now));
  CHORUS_TRY_DO(authority.issue_fleet(options.devices, folder / "fleet", now));
  CHORUS_TRY(auto enrolled, sim::read_fleet(folder / "fleet"));
  CHORUS_TRY(auto members, sim::FleetMembers::create(data.training, data.held_out, std::move(enrolled), 0));
  Town town{.setup = {.folder = folder / "coordinator",
                      .certificates = issued.folder,
                      .job = "soak",
                      .rounds = options.rounds,
                      .devices = options.invited != 0 ? options.invited : static_cast<std::uint32_t>(members.size()),
                      .cohort_size = options.cohort,
                      .contract = data.contract,
                      .model = {}},
            .members = std::move(members),
            .out = folder / "devices"};
  CHORUS_TRY_DO(sim::write_coordinator_files(town.setup, data.catalogue));
  std::ofstream(town.setup.folder / "coordinator.toml", std::ios::app) << "\n[admin]\nlisten = \"127.0.0.1:0\"\n";
  fs::create_directories(town.out);
  return town;
}

Result<Outcome> soak(const Options& options) {
  const TemporaryFolder folder;
  if (folder.path().empty()) return fail(ErrorCode::unwritable, "there is no folder for temporary files");
  fmt::print(stderr, "soak: enrolling {} devices\n", options.devices);
  CHORUS_TRY(const Town town, found(options, folder.path()));
  CHORUS_TRY(const fs::path own, sim::own_program());
  const fs::path programs = own.parent_path().parent_path() / "bin";
  CHORUS_TRY(const auto supervisor, sim::Supervisor::create());

  Outcome outcome;
  sim::RunningCoordinator coordinator;
  std::string ended;
  Clock::time_point start{};
  const auto on_line = [&](std::string_view line) {
    if (line.find("\"round opened\"") != std::string_view::npos && start == Clock::time_point{}) start = Clock::now();
    if (line.find("\"round aborted\"") != std::string_view::npos) {
      ++outcome.aborted;
      fmt::print(stderr, "soak: {}\n", line);
    }
    if (line.find("\"round closed\"") == std::string_view::npos) return;
    const auto rounds = static_cast<std::uint32_t>(outcome.closed.size() + 1);
    const Sample sample{.resident = resident_bytes(coordinator.pid), .seconds = seconds_since(start)};
    outcome.closed.emplace(rounds, sample);
    if (rounds % options.from == 0 || rounds == 1) {
      fmt::print(stderr, "soak: round {} of {}, {:.2f} MiB, {:.0f} s\n", rounds, options.rounds,
                 static_cast<double>(sample.resident) / (1 << 20), sample.seconds);
    }
  };
  CHORUS_TRY(coordinator, sim::start_coordinator(*supervisor, town.setup, programs / "chorus-coordinator", on_line,
                                                 [&](const sim::ExitStatus& status) { ended = status.to_string(); }));
  sim::Fleet fleet(*supervisor, {.host = coordinator.host,
                                 .port = coordinator.port,
                                 .job = town.setup.job,
                                 .out = town.out,
                                 .processes = options.processes,
                                 .program = programs / "chorus-sim"});
  CHORUS_TRY_DO(fleet.start(town.members));
  const auto done = [&] { return outcome.closed.size() >= options.rounds || !ended.empty() || fleet.ended(); };
  const auto reason = supervisor->run(done, Clock::now() + std::chrono::minutes(options.longest));
  outcome.peak = peak_bytes(coordinator.pid);
  const bool complete = outcome.closed.size() >= options.rounds;
  fleet.stop(std::chrono::seconds(10));
  supervisor->stop({coordinator.pid}, std::chrono::seconds(10));
  if (complete) return outcome;
  if (reason == sim::Supervisor::Reason::stopped) return fail(ErrorCode::aborted, "stopped by a signal");
  if (!ended.empty()) return fail(ErrorCode::aborted, "the coordinator " + ended);
  return fail(ErrorCode::timeout,
              fmt::format("{} of {} rounds: {}", outcome.closed.size(), options.rounds, fleet.report()));
}

// The rounds that the table and the JSON show: every tenth of them all, and the one that growth is counted from.
std::vector<std::uint32_t> marks(const Options& options) {
  std::vector<std::uint32_t> shown{1, options.from};
  for (std::uint32_t i = 1; i <= 10; ++i) shown.push_back(std::max(1U, options.rounds * i / 10));
  std::ranges::sort(shown);
  shown.erase(std::unique(shown.begin(), shown.end()), shown.end());
  return shown;
}

void print_table(const Options& options, const Outcome& outcome, double growth) {
  std::size_t most = 1;
  for (const auto& [round, sample] : outcome.closed) most = std::max(most, sample.resident);
  fmt::print("  round     MiB   seconds\n");
  for (const std::uint32_t mark : marks(options)) {
    const Sample& sample = outcome.closed.at(mark);
    fmt::print("  {:>5}  {:>6.2f}  {:>8.0f}  {}\n", mark, static_cast<double>(sample.resident) / (1 << 20),
               sample.seconds, std::string(sample.resident * kWidth / most, '#'));
  }
  fmt::print("\nRound {} holds {:.3f} times the memory of round {} (at most {}: {}).\n", options.rounds, growth,
             options.from, kMostGrowth, growth <= kMostGrowth ? "kept" : "exceeded");
}

int run(const Options& options) {
  const Result<Outcome> told = soak(options);
  if (!told) {
    fmt::print(stderr, "soak: {}\n", told.error().to_string());
    return 1;
  }
  const Outcome& outcome = *told;
  const std::size_t before = outcome.closed.at(options.from).resident;
  const std::size_t after = outcome.closed.at(options.rounds).resident;
  const double growth = static_cast<double>(after) / static_cast<double>(before);
  const double seconds = outcome.closed.at(options.rounds).seconds;
  print_table(options, outcome, growth);
  if (options.json) {
    auto json = report("soak", std::thread::hardware_concurrency());
    json["devices"] = options.devices;
    json["invited"] = options.invited != 0 ? options.invited : options.devices;
    json["rounds"] = options.rounds;
    json["cohort"] = options.cohort;
    json["rounds_aborted"] = outcome.aborted;
    json["seconds"] = seconds;
    json["round_s"] = seconds / options.rounds;
    json["from_round"] = options.from;
    json["rss_from_bytes"] = before;
    json["rss_to_bytes"] = after;
    json["rss_from_median_bytes"] = outcome.median_before(options.from);
    json["rss_to_median_bytes"] = outcome.median_before(options.rounds);
    json["peak_rss_bytes"] = outcome.peak;
    json["growth"] = growth;
    json["rss_bytes"] = nlohmann::ordered_json::object();
    for (const std::uint32_t mark : marks(options)) {
      json["rss_bytes"][std::to_string(mark)] = outcome.closed.at(mark).resident;
    }
    print(json);
  }
  return growth <= kMostGrowth ? 0 : 1;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  using namespace chorus;
  CLI::App app("Serves a fleet for hundreds of masked rounds and tells whether the coordinator's memory grows",
               "bench_soak");
  bench::Options options;
  app.add_option("--devices", options.devices, "real devices, each with a connection")
      ->capture_default_str()
      ->check(CLI::Range(76U, 8'000U));
  app.add_option("--rounds", options.rounds, "rounds that close")
      ->capture_default_str()
      ->check(CLI::Range(2U, 1'000'000U));
  app.add_option("--from", options.from, "the round that growth is counted from")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--invited", options.invited, "devices in a round, in turn; 0: all of them in every round")
      ->capture_default_str();
  app.add_option("--items", options.items, "of the catalogue")->capture_default_str()->check(CLI::Range(20U, 100'000U));
  app.add_option("--cohort", options.cohort, "members of one secure sum at most")
      ->capture_default_str()
      ->check(CLI::Range(76U, 512U));
  app.add_option("--processes", options.processes, "that the devices run in")->capture_default_str();
  app.add_option("--longest", options.longest, "minutes after which it gives up")->capture_default_str();
  app.add_flag("--json", options.json, "one JSON object as the last line");
  CLI11_PARSE(app, argc, argv);
  if (options.from >= options.rounds) {
    fmt::print(stderr, "soak: --from must be below --rounds\n");
    return 2;
  }
  return bench::run(options);
}
