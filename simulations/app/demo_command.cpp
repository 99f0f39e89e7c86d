#include "simulations/app/demo_command.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "certs/io/authority.hpp"
#include "certs/io/clock.hpp"
#include "common/crypto/random_source.hpp"
#include "common/plan/floors.hpp"
#include "simulations/fleet/coordinator_process.hpp"
#include "simulations/fleet/demo.hpp"
#include "simulations/fleet/fresh_folder.hpp"
#include "simulations/fleet/showcase.hpp"

namespace chorus::sim {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kRounds = 5;
constexpr std::uint32_t kMostDevices = 1'000;  // unless asked for: a device costs a few milliseconds a round
constexpr std::uint32_t kQuickRounds = 2;
constexpr std::uint32_t kQuickDevices = 200;
constexpr std::uint64_t kSeed = 1;  // of splits and of the generated population

struct DemoArguments {
  bool quick = false;
  std::optional<fs::path> ratings;
  std::optional<std::uint32_t> devices;
  std::optional<std::uint32_t> rounds;
  std::optional<fs::path> out;
  bool json = false;
};

struct Certificates {
  fs::path coordinator;
  std::vector<Enrolled> devices;
};

Result<DemoData> find_data(const DemoArguments& arguments) {
  DemoSources sources{.asked = arguments.ratings, .sets = {}, .fetched = fs::path("data")};
  if (const char* sets = std::getenv("CHORUS_DATA"); sets != nullptr && *sets != '\0') sources.sets = fs::path(sets);
  return choose_demo_data(sources, kSeed);
}

// As many devices as were asked for, but not more than there are people, and at least one cohort.
Result<std::uint32_t> count_devices(const DemoArguments& arguments, const DemoData& data) {
  const std::uint32_t floor = plan::least_cohort(plan::kProductionFloors, plan::Ratio{3, 20});
  const auto people = static_cast<std::uint32_t>(FleetMembers::people(data.training));
  const std::uint32_t usual = std::min(people, arguments.quick ? kQuickDevices : kMostDevices);
  const std::uint32_t devices = arguments.devices.value_or(usual);
  if (devices > people) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} devices need as many people, and the ratings are of {}", devices, people), "--devices");
  }
  if (devices < floor) {
    return fail(ErrorCode::cohort_too_small,
                fmt::format("{} devices are too few: at least {} make one sum, so that no device stands out in it",
                            devices, floor),
                arguments.devices ? "--devices" : data.name);
  }
  return devices;
}

Result<Certificates> enrol(const fs::path& folder, std::uint32_t devices) {
  const auto random = crypto::make_system_random();
  const WallTime now = certs::wall_clock();
  CHORUS_TRY(auto authority, certs::Authority::create(folder / "authority", now, *random));
  const std::vector<std::string> hosts{"127.0.0.1", "::1", "localhost"};
  CHORUS_TRY(const auto coordinator, authority.issue_coordinator(hosts, folder / "coordinator", now));
  CHORUS_TRY(const auto fleet, authority.issue_fleet(devices, folder / "fleet", now));
  Certificates made{.coordinator = coordinator.folder, .devices = {}};
  for (const auto& member : fleet)
    made.devices.push_back({.id = member.id, .folder = folder / "fleet" / member.folder});
  return made;
}

nlohmann::json rounds_json(const std::vector<DemoRound>& rounds) {
  auto list = nlohmann::json::array();
  for (const DemoRound& round : rounds) {
    list.push_back({{"round", round.number},
                    {"purpose", plan::to_string(round.purpose)},
                    {"devices", round.devices},
                    {"rmse", round.rmse ? nlohmann::json(*round.rmse) : nlohmann::json()},
                    {"bytes_up_per_client", round.bytes_up},
                    {"bytes_down_per_client", round.bytes_down},
                    {"seconds", round.seconds}});
  }
  return list;
}

Status write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text << '\n';
  file.close();
  if (!file) return fail(ErrorCode::unwritable, "the report cannot be written", path.string());
  return {};
}

// What a run leaves for the reader, on standard output and in report.json.
Status present(const DemoArguments& arguments, const DemoData& data, const DemoOutcome& outcome,
               const Showcase& showcase, std::size_t versions, const fs::path& out) {
  std::optional<double> final_rmse;
  for (const DemoRound& round : outcome.rounds) {
    if (round.rmse) final_rmse = round.rmse;
  }
  nlohmann::json report{{"data", data.name},
                        {"generated", data.generated},
                        {"rmse_of_the_mean", outcome.baseline},
                        {"rmse", final_rmse ? nlohmann::json(*final_rmse) : nlohmann::json()},
                        {"rounds", rounds_json(outcome.rounds)},
                        {"seconds", outcome.seconds},
                        {"devices_finished", outcome.devices_finished},
                        {"devices_lost", outcome.devices_lost},
                        {"processes_lost", outcome.processes_lost},
                        {"replay", {{"versions", versions}, {"identical", true}}},
                        {"recommendations", nlohmann::json::parse(to_json(showcase))},
                        {"fleet", nlohmann::json::parse(outcome.fleet)},
                        {"trace", trace_file(out / "coordinator").string()}};
  CHORUS_TRY_DO(write_file(out / "report.json", report.dump(2)));
  if (arguments.json) {
    report["report"] = (out / "report.json").string();
    fmt::print("{}\n", report.dump());
    return {};
  }
  fmt::print("\n{}\n{}\nreplayed: every model version identical ({} versions)\n\n",
             round_table(outcome.rounds, outcome.baseline), to_text(showcase), versions);
  if (outcome.processes_lost > 0) {
    fmt::print("{} processes were lost during the job, and {} devices with them; the rounds went on with the rest\n",
               outcome.processes_lost, outcome.devices_lost);
  }
  fmt::print("{} devices finished the job after {:.1f} s\nreport  {}\ntrace   {}\n", outcome.devices_finished,
             outcome.seconds, (out / "report.json").string(), report["trace"].get<std::string>());
  return {};
}

Result<int> run(const DemoArguments& arguments) {
  CHORUS_TRY(auto data, find_data(arguments));
  CHORUS_TRY(const std::uint32_t devices, count_devices(arguments, data));
  CHORUS_TRY(const fs::path out, make_fresh_folder(arguments.out, "build"));
  fmt::print(stderr, "data: {}\nfolder: {}\nenrolling {} devices\n", data.name, out.string(), devices);
  CHORUS_TRY(auto certificates, enrol(out / "certificates", devices));
  CHORUS_TRY(const auto members,
             FleetMembers::create(data.training, data.held_out, std::move(certificates.devices), devices));
  DemoOptions options;
  options.out = out;
  CHORUS_TRY(options.sim_program, own_program());
  CHORUS_TRY(options.coordinator_program, sibling_program("chorus-coordinator"));
  options.coordinator_credentials = certificates.coordinator;
  options.rounds = arguments.rounds.value_or(arguments.quick ? kQuickRounds : kRounds);
  options.terminal = ::isatty(STDERR_FILENO) == 1;
  CHORUS_TRY(const auto supervisor, Supervisor::create());
  const auto outcome = run_demo(*supervisor, options, members, data);
  if (supervisor->stop_signal() != 0) {
    fmt::print(stderr, "stopped; what it wrote is in {}\n", out.string());
    return 128 + supervisor->stop_signal();
  }
  if (!outcome) return fail(outcome.error());
  CHORUS_TRY(const std::size_t versions, verify_replay(out, data));
  CHORUS_TRY(const auto showcase, make_showcase(out, members, data.catalogue));
  CHORUS_TRY_DO(present(arguments, data, *outcome, showcase, versions, out));
  return 0;
}

}  // namespace

void add_demo_command(CLI::App& app, int& status) {
  auto arguments = std::make_shared<DemoArguments>();
  CLI::App* command = app.add_subcommand(
      "demo", "Enrol devices, train over TLS with a real coordinator, recommend and verify, on this machine");
  command->add_flag("--quick", arguments->quick, fmt::format("{} devices, {} rounds", kQuickDevices, kQuickRounds));
  command->add_option("--ratings", arguments->ratings,
                      "A ratings file or a data set's folder; default: the sets in CHORUS_DATA, then "
                      "data/ml-latest-small, then a generated population");
  command->add_option("--devices", arguments->devices, "How many people take part, a device each");
  command->add_option("--rounds", arguments->rounds, "Training rounds")->check(CLI::PositiveNumber);
  command->add_option("--out", arguments->out, "A new or empty folder for all files; default: build/demo/<number>");
  command->add_flag("--json", arguments->json, "Print the report as one JSON object");
  command->footer("Ctrl-C stops the coordinator and the devices.");
  command->callback([arguments, &status] {
    const auto ended = run(*arguments);
    if (!ended) fmt::print(stderr, "chorus-sim demo: {}\n", ended.error().to_string());
    status = ended.value_or(1);
  });
}

}  // namespace chorus::sim
