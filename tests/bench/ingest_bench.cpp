// How fast a coordinator process takes masked updates in, beside a bare TLS sink that reads and discards the same bytes
// from the same devices. The clock runs from the first byte to the moment when every device has read the survivors: the
// updates are there, hashed and their signatures verified. Both servers are visited in turns, so that what else the
// machine does touches both.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "certs/io/authority.hpp"
#include "certs/io/clock.hpp"
#include "common/crypto/random_source.hpp"
#include "common/wire/frame.hpp"
#include "simulations/fleet/coordinator_process.hpp"
#include "simulations/fleet/supervisor.hpp"
#include "tests/bench/bench_report.hpp"
#include "tests/bench/processes.hpp"
#include "tests/bench/tls_acceptor.hpp"
#include "tests/bench/uploading_devices.hpp"

namespace chorus::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes kLongest{10};
constexpr std::uint32_t kRank = 13;
// Of bpr: a gradient with the item's bias, a curvature and a count.
constexpr std::size_t kLanesPerItem = kRank + 3;

struct Arguments {
  std::size_t clients = 200;
  std::size_t dimension = 250'000;
  std::size_t cohort = 100;
  std::size_t turns = 5;
  std::size_t processes = 1;
  std::string role;  // of a child: "devices" or "sink"
  UploadingOptions devices;
  fs::path credentials;
};

// A server under load.
struct Load {
  double bytes = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  [[nodiscard]] double rate() const { return bytes / seconds; }
};

// The children that hold the devices.
class Crowd {
 public:
  Crowd(sim::Supervisor& supervisor, const Arguments& arguments) : supervisor_(supervisor) {
    for (std::size_t p = 0; p < arguments.processes; ++p) {
      members_.push_back(std::make_unique<Member>(Member{.first = arguments.clients * p / arguments.processes,
                                                         .last = arguments.clients * (p + 1) / arguments.processes}));
    }
  }

  Status start(const UploadingOptions& options) {
    CHORUS_TRY(const fs::path program, sim::own_program());
    for (auto& member : members_) {
      sim::ProcessOptions process;
      process.program = program;
      process.input = sim::Stream::pipe;
      process.arguments = {"--role",        "devices",
                           "--fleet",       options.fleet.string(),
                           "--job",         options.job,
                           "--first",       std::to_string(member->first),
                           "--last",        std::to_string(member->last),
                           "--coordinator", std::to_string(options.coordinator),
                           "--sink",        std::to_string(options.sink)};
      sim::Supervisor::Watch watch;
      watch.on_output = [this, &state = *member](std::string_view line) {
        --awaited_;
        if (line.starts_with("done ")) std::from_chars(line.data() + 5, line.data() + line.size(), state.answer);
      };
      watch.on_exit = [this](const sim::ExitStatus&) { gone_ = true; };
      CHORUS_TRY(member->pid, supervisor_.start(std::move(process), std::move(watch)));
    }
    awaited_ = members_.size();
    return wait();
  }

  // The sum of the answers.
  Result<std::size_t> order(std::string_view command) {
    awaited_ = members_.size();
    for (const auto& member : members_) CHORUS_TRY_DO(supervisor_.write(member->pid, fmt::format("{}\n", command)));
    CHORUS_TRY_DO(wait());
    std::size_t sum = 0;
    for (const auto& member : members_) sum += member->answer;
    return sum;
  }

  // Every device uploads to the server.
  Status upload(std::string_view server, pid_t pid, std::size_t clients, std::size_t bytes, Load& load) {
    const double cpu_before = cpu_seconds(pid);
    const auto start = Clock::now();
    CHORUS_TRY(const std::size_t through, order(server));
    load.seconds += seconds_since(start);
    load.cpu_seconds += cpu_seconds(pid) - cpu_before;
    load.bytes += static_cast<double>(bytes);
    if (through != clients)
      return fail(ErrorCode::aborted, fmt::format("{} of {} devices got through", through, clients));
    return {};
  }

 private:
  struct Member {
    std::size_t first = 0;
    std::size_t last = 0;
    pid_t pid = 0;
    std::size_t answer = 0;
  };

  Status wait() {
    const auto reason = supervisor_.run([this] { return awaited_ == 0 || gone_; }, Clock::now() + kLongest);
    if (gone_) return fail(ErrorCode::aborted, "a process of devices ended; its reason stands above");
    if (reason == sim::Supervisor::Reason::stopped) return fail(ErrorCode::aborted, "stopped by a signal");
    if (reason != sim::Supervisor::Reason::done) return fail(ErrorCode::timeout, "the devices do not get through");
    return {};
  }

  sim::Supervisor& supervisor_;
  std::vector<std::unique_ptr<Member>> members_;
  std::size_t awaited_ = 0;  // answers
  bool gone_ = false;
};

Result<dataset::Catalogue> catalogue_of(std::size_t items) {
  std::vector<dataset::CatalogueItem> all;
  for (std::size_t i = 1; i <= items; ++i) {
    all.push_back({.id = std::to_string(i), .title = fmt::format("Item {}", i), .genres = {}, .year = 0});
  }
  return dataset::Catalogue::create(std::move(all));
}

Result<pid_t> start_sink(sim::Supervisor& supervisor, const fs::path& credentials, std::uint16_t& port) {
  CHORUS_TRY(const fs::path own, sim::own_program());
  sim::ProcessOptions process;
  process.program = own;
  process.arguments = {"--role", "sink", "--credentials", credentials.string()};
  const auto told = std::make_shared<std::uint16_t>(0);
  sim::Supervisor::Watch watch;
  watch.on_output = [told](std::string_view line) {
    if (line.starts_with("port ")) std::from_chars(line.data() + 5, line.data() + line.size(), *told);
  };
  CHORUS_TRY(const pid_t pid, supervisor.start(std::move(process), std::move(watch)));
  const auto reason = supervisor.run([&] { return *told != 0; }, Clock::now() + std::chrono::seconds(30));
  if (reason != sim::Supervisor::Reason::done) return fail(ErrorCode::timeout, "the sink does not listen");
  port = *told;
  return pid;
}

Status measure(const Arguments& arguments) {
  const TemporaryFolder folder;
  if (folder.path().empty()) return fail(ErrorCode::unwritable, "there is no folder for temporary files");
  fmt::print(stderr, "ingest: enrolling {} devices\n", arguments.clients);
  const auto random = crypto::make_system_random();
  const WallTime now = certs::wall_clock();
  CHORUS_TRY(auto authority, certs::Authority::create(folder.path() / "authority", now, *random));
  const std::vector<std::string> hosts{"127.0.0.1"};
  CHORUS_TRY(const auto issued, authority.issue_coordinator(hosts, folder.path() / "certificates", now));
  CHORUS_TRY_DO(authority.issue_fleet(arguments.clients, folder.path() / "fleet", now));

  sim::CoordinatorSetup setup;
  setup.folder = folder.path() / "coordinator";
  setup.certificates = issued.folder;
  setup.rounds = static_cast<std::uint32_t>(arguments.turns);
  setup.devices = static_cast<std::uint32_t>(arguments.clients);
  setup.cohort_size = static_cast<std::uint32_t>(arguments.cohort);
  setup.phase_deadline = std::chrono::minutes(2);
  setup.contract.feedback = dataset::Feedback::events;
  setup.contract.minimum = 0;
  setup.contract.maximum = 1;
  setup.contract.step = 0;
  setup.family = "bpr";
  setup.model = {{"rank", std::to_string(kRank)}};
  CHORUS_TRY(const auto catalogue, catalogue_of(std::max<std::size_t>(1, arguments.dimension / kLanesPerItem)));
  CHORUS_TRY_DO(sim::write_coordinator_files(setup, catalogue));

  CHORUS_TRY(const auto supervisor, sim::Supervisor::create());
  CHORUS_TRY(const fs::path own, sim::own_program());
  CHORUS_TRY(
      const auto coordinator,
      sim::start_coordinator(
          *supervisor, setup, own.parent_path().parent_path() / "bin" / "chorus-coordinator", [](std::string_view) {},
          [](const sim::ExitStatus& status) { fmt::print(stderr, "the coordinator {}\n", status.to_string()); }));
  UploadingOptions devices{.fleet = folder.path() / "fleet", .job = setup.job, .coordinator = coordinator.port};
  CHORUS_TRY(const pid_t sink, start_sink(*supervisor, issued.folder, devices.sink));
  Crowd crowd(*supervisor, arguments);
  CHORUS_TRY_DO(crowd.start(devices));

  Load taken;
  Load drowned;
  std::size_t bytes = 0;
  std::size_t peak = 0;
  for (std::size_t turn = 0; turn < arguments.turns; ++turn) {
    CHORUS_TRY(bytes, crowd.order("prepare"));
    CHORUS_TRY_DO(crowd.upload("coordinator", coordinator.pid, arguments.clients, bytes, taken));
    peak = std::max(peak, resident_bytes(coordinator.pid));
    CHORUS_TRY_DO(crowd.order("finish"));
    CHORUS_TRY_DO(crowd.upload("sink", sink, arguments.clients, bytes, drowned));
    fmt::print(stderr, "ingest: turn {} of {}, {:.0f} MB: {:.0f} MB/s; the sink alone {:.0f} MB/s\n", turn + 1,
               arguments.turns, static_cast<double>(bytes) / 1e6, taken.rate() / 1e6, drowned.rate() / 1e6);
  }
  auto json = report("ingest", 1);
  json["clients"] = arguments.clients;
  json["dimension"] = arguments.dimension / kLanesPerItem * kLanesPerItem;
  json["bytes_per_client"] = bytes / arguments.clients;
  json["turns"] = arguments.turns;
  json["bytes_per_s"] = taken.rate();
  json["sink_bytes_per_s"] = drowned.rate();
  json["ratio_to_sink"] = taken.rate() / drowned.rate();
  json["cpu_s_per_gb"] = taken.cpu_seconds / taken.bytes * 1e9;
  json["sink_cpu_s_per_gb"] = drowned.cpu_seconds / drowned.bytes * 1e9;
  json["rss_with_all_updates_bytes"] = peak;
  print(json);
  supervisor->stop({coordinator.pid, sink}, std::chrono::seconds(60));
  return {};
}

Status be_sink(const fs::path& folder) {
  CHORUS_TRY(const auto credentials, net::read_credentials(folder, "coordinator"));
  CHORUS_TRY(const auto context, net::TlsContext::server(credentials, certs::wall_clock()));
  const wire::Frame greeting = wire::encode(protocol::Finished{});
  return accept_tls(context, *greeting);
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  using namespace chorus;
  CLI::App app("Masked updates into a coordinator over mutual TLS, beside a bare TLS sink", "bench_ingest");
  bench::Arguments arguments;
  app.add_option("--clients", arguments.clients, "devices, each with an update a turn")
      ->capture_default_str()
      ->check(CLI::Range(76, 2'000));
  app.add_option("--dimension", arguments.dimension, "lanes of an update, about; 24 bits each")
      ->capture_default_str()
      ->check(CLI::Range(1'000, 10'000'000));
  app.add_option("--cohort", arguments.cohort, "members of one secure sum at most")
      ->capture_default_str()
      ->check(CLI::Range(76, 512));
  app.add_option("--turns", arguments.turns, "how often each server is visited")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--processes", arguments.processes, "that the devices run in")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  // What the bench starts itself with.
  const std::string hidden;
  app.add_option("--role", arguments.role)->group(hidden);
  app.add_option("--credentials", arguments.credentials)->group(hidden);
  app.add_option("--fleet", arguments.devices.fleet)->group(hidden);
  app.add_option("--job", arguments.devices.job)->group(hidden);
  app.add_option("--first", arguments.devices.first)->group(hidden);
  app.add_option("--last", arguments.devices.last)->group(hidden);
  app.add_option("--coordinator", arguments.devices.coordinator)->group(hidden);
  app.add_option("--sink", arguments.devices.sink)->group(hidden);
  CLI11_PARSE(app, argc, argv);
  Status status;
  if (arguments.role == "devices") {
    status = bench::run_uploading_devices(arguments.devices);
  } else if (arguments.role == "sink") {
    status = bench::be_sink(arguments.credentials);
  } else {
    status = bench::measure(arguments);
  }
  if (status) return 0;
  fmt::print(stderr, "bench_ingest: {}\n", status.error().to_string());
  return 1;
}
