// Idle devices on one coordinator process: the memory of each, and how fast they come, beside a bare TLS acceptor that
// the same devices visit in turns with it, so that what else the machine does touches both.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/resource.h>

#include "certs/io/authority.hpp"
#include "certs/io/clock.hpp"
#include "common/crypto/random_source.hpp"
#include "common/wire/frame.hpp"
#include "simulations/fleet/coordinator_process.hpp"
#include "simulations/fleet/supervisor.hpp"
#include "tests/bench/bench_report.hpp"
#include "tests/bench/connecting_devices.hpp"
#include "tests/bench/processes.hpp"
#include "tests/bench/tls_acceptor.hpp"

namespace chorus::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostInProcess = 4'000;  // with a connection to each server; a process has 20,000 open files
constexpr std::size_t kFewestInTurn = 100;
constexpr std::size_t kTurns = 10;
constexpr std::chrono::minutes kLongest{10};

struct Arguments {
  std::size_t clients = 10'000;
  std::string role;  // of a child: "devices" or "acceptor"
  ConnectingOptions devices;
  fs::path credentials;
};

std::size_t open_sockets(pid_t pid) {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid), error)) {
    if (fs::read_symlink(entry.path(), error).string().starts_with("socket:")) ++count;
  }
  return count;
}

// As many files as the kernel lets us open; children inherit it.
void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A server under load: how many handshakes, in which time.
struct Load {
  std::size_t handshakes = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  [[nodiscard]] double rate() const { return static_cast<double>(handshakes) / seconds; }
};

// The children that hold the devices.
class Crowd {
 public:
  Crowd(sim::Supervisor& supervisor, std::size_t clients) : supervisor_(supervisor) {
    // Two at least, so that the server is what they wait for.
    const std::size_t processes = std::max<std::size_t>(2, (clients + kMostInProcess - 1) / kMostInProcess);
    for (std::size_t p = 0; p < processes; ++p) {
      members_.push_back(
          std::make_unique<Member>(Member{.first = clients * p / processes, .last = clients * (p + 1) / processes}));
    }
  }

  Status start(const ConnectingOptions& options) {
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
                           "--acceptor",    std::to_string(options.acceptor)};
      sim::Supervisor::Watch watch;
      watch.on_output = [this, &state = *member](std::string_view line) {
        --awaited_;
        if (line.starts_with("done ")) std::from_chars(line.data() + 5, line.data() + line.size(), state.answered);
      };
      watch.on_exit = [this](const sim::ExitStatus&) { gone_ = true; };
      CHORUS_TRY(member->pid, supervisor_.start(std::move(process), std::move(watch)));
    }
    awaited_ = members_.size();
    return wait();
  }

  // The share of one turn of each member's devices goes to the server.
  Status turn(std::string_view server, std::size_t number, std::size_t turns, pid_t pid, Load& load) {
    const double cpu_before = cpu_seconds(pid);
    const auto start = Clock::now();
    awaited_ = members_.size();
    for (const auto& member : members_) {
      const std::size_t all = member->last - member->first;
      const std::size_t share = all * (number + 1) / turns - all * number / turns;
      CHORUS_TRY_DO(supervisor_.write(member->pid, fmt::format("{} {}\n", server, share)));
    }
    CHORUS_TRY_DO(wait());
    load.seconds += seconds_since(start);
    load.cpu_seconds += cpu_seconds(pid) - cpu_before;
    for (const auto& member : members_) load.handshakes += member->answered;
    return {};
  }

 private:
  struct Member {
    std::size_t first = 0;
    std::size_t last = 0;
    pid_t pid = 0;
    std::size_t answered = 0;
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

struct Servers {
  sim::RunningCoordinator coordinator;
  pid_t acceptor = 0;
  std::uint16_t acceptor_port = 0;
};

Status write_files(const sim::CoordinatorSetup& setup, std::size_t clients) {
  std::vector<dataset::CatalogueItem> items;
  for (int i = 1; i <= 100; ++i) {
    items.push_back({.id = std::to_string(i), .title = fmt::format("Item {}", i), .genres = {}, .year = 0});
  }
  CHORUS_TRY(const auto catalogue, dataset::Catalogue::create(std::move(items)));
  CHORUS_TRY_DO(sim::write_coordinator_files(setup, catalogue));
  std::ofstream file(setup.folder / "coordinator.toml", std::ios::app);
  file << fmt::format("\n[limits]\nconnections = {}\n", clients + 100);
  file.close();
  if (!file) return fail(ErrorCode::unwritable, "the settings cannot be written", setup.folder.string());
  return {};
}

Result<Servers> start_servers(sim::Supervisor& supervisor, const sim::CoordinatorSetup& setup) {
  Servers servers;
  CHORUS_TRY(const fs::path own, sim::own_program());
  // build/release/bench/bench_connections, build/release/bin/chorus-coordinator
  const fs::path program = own.parent_path().parent_path() / "bin" / "chorus-coordinator";
  CHORUS_TRY(servers.coordinator, sim::start_coordinator(
                                      supervisor, setup, program, [](std::string_view) {},
                                      [](const sim::ExitStatus& status) {
                                        fmt::print(stderr, "the coordinator {}\n", status.to_string());
                                      }));
  sim::ProcessOptions process;
  process.program = own;
  process.arguments = {"--role", "acceptor", "--credentials", setup.certificates.string()};
  const auto port = std::make_shared<std::uint16_t>(0);
  sim::Supervisor::Watch watch;
  watch.on_output = [port](std::string_view line) {
    if (line.starts_with("port ")) std::from_chars(line.data() + 5, line.data() + line.size(), *port);
  };
  CHORUS_TRY(servers.acceptor, supervisor.start(std::move(process), std::move(watch)));
  const auto reason = supervisor.run([&] { return *port != 0; }, Clock::now() + std::chrono::seconds(30));
  if (reason != sim::Supervisor::Reason::done) return fail(ErrorCode::timeout, "the acceptor does not listen");
  servers.acceptor_port = *port;
  return servers;
}

Status measure(std::size_t clients) {
  const TemporaryFolder folder;
  if (folder.path().empty()) return fail(ErrorCode::unwritable, "there is no folder for temporary files");
  fmt::print(stderr, "connections: enrolling {} devices\n", clients);
  const auto random = crypto::make_system_random();
  const WallTime now = certs::wall_clock();
  CHORUS_TRY(auto authority, certs::Authority::create(folder.path() / "authority", now, *random));
  const std::vector<std::string> hosts{"127.0.0.1"};
  CHORUS_TRY(const auto issued, authority.issue_coordinator(hosts, folder.path() / "certificates", now));
  CHORUS_TRY_DO(authority.issue_fleet(clients, folder.path() / "fleet", now));

  sim::CoordinatorSetup setup;
  setup.folder = folder.path() / "coordinator";
  setup.certificates = issued.folder;
  CHORUS_TRY_DO(write_files(setup, clients));
  CHORUS_TRY(const auto supervisor, sim::Supervisor::create());
  CHORUS_TRY(const Servers servers, start_servers(*supervisor, setup));
  const pid_t coordinator = servers.coordinator.pid;

  fmt::print(stderr, "connections: loading the devices' credentials\n");
  Crowd crowd(*supervisor, clients);
  ConnectingOptions options;
  options.fleet = folder.path() / "fleet";
  options.job = setup.job;
  options.coordinator = servers.coordinator.port;
  options.acceptor = servers.acceptor_port;
  CHORUS_TRY_DO(crowd.start(options));

  const std::size_t resident_before = resident_bytes(coordinator);
  const std::size_t sockets_before = open_sockets(coordinator);
  Load welcomed;
  Load accepted;
  const std::size_t turns = std::clamp<std::size_t>(clients / kFewestInTurn, 1, kTurns);
  for (std::size_t turn = 0; turn < turns; ++turn) {
    CHORUS_TRY_DO(crowd.turn("coordinator", turn, turns, coordinator, welcomed));
    CHORUS_TRY_DO(crowd.turn("acceptor", turn, turns, servers.acceptor, accepted));
    fmt::print(stderr, "connections: {} of {} connected, {:.0f} handshakes a second; the acceptor alone {:.0f}\n",
               welcomed.handshakes, clients, welcomed.rate(), accepted.rate());
  }
  // Those that were welcomed and are still there.
  const std::size_t connected = std::min(welcomed.handshakes, open_sockets(coordinator) - sockets_before);
  if (connected == 0 || accepted.handshakes == 0) return fail(ErrorCode::aborted, "no device is connected");
  const double grown = static_cast<double>(resident_bytes(coordinator)) - static_cast<double>(resident_before);

  auto json = report("connections", 1);
  json["clients"] = clients;
  json["connected"] = connected;
  json["rss_per_connection_bytes"] = static_cast<std::int64_t>(grown / static_cast<double>(connected));
  json["handshakes_per_s"] = welcomed.rate();
  json["acceptor_handshakes_per_s"] = accepted.rate();
  json["ratio_to_acceptor"] = welcomed.rate() / accepted.rate();
  json["coordinator_cpu_s_per_handshake"] = welcomed.cpu_seconds / static_cast<double>(welcomed.handshakes);
  json["acceptor_cpu_s_per_handshake"] = accepted.cpu_seconds / static_cast<double>(accepted.handshakes);
  print(json);
  supervisor->stop({coordinator, servers.acceptor}, std::chrono::seconds(60));
  return {};
}

Status accept_alone(const fs::path& folder) {
  CHORUS_TRY(const auto credentials, net::read_credentials(folder, "coordinator"));
  CHORUS_TRY(const auto context, net::TlsContext::server(credentials, certs::wall_clock()));
  const wire::Frame greeting = wire::encode(protocol::Finished{});
  return accept_tls(context, *greeting);
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  using namespace chorus;
  CLI::App app("idle devices on one coordinator: memory and handshakes, beside a bare TLS acceptor");
  bench::Arguments arguments;
  app.add_option("--clients", arguments.clients, "devices, each with a connection")
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
  app.add_option("--acceptor", arguments.devices.acceptor)->group(hidden);
  CLI11_PARSE(app, argc, argv);
  bench::raise_open_files();
  Status status;
  if (arguments.role == "devices") {
    status = bench::run_connecting_devices(arguments.devices);
  } else if (arguments.role == "acceptor") {
    status = bench::accept_alone(arguments.credentials);
  } else {
    status = bench::measure(arguments.clients);
  }
  if (status) return 0;
  fmt::print(stderr, "bench_connections: {}\n", status.error().to_string());
  return 1;
}
