#include "tests/e2e/town.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>

#include "certs/io/clock.hpp"
#include "common/dataset/item_files.hpp"
#include "common/model/registry.hpp"

namespace chorus::e2e {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSplit = "random:0.9";
constexpr std::uint64_t kSeed = 7;

void require(const Status& status) {
  if (!status) throw std::runtime_error(status.error().to_string());
}

// As a person would bring their ratings.
fs::path write_ratings(const fs::path& path, const dataset::RatingTable& table) {
  std::ofstream file(path);
  file << "user,item,rating,timestamp\n";
  for (const dataset::Entry& entry : table.entries) {
    file << (*table.users)[entry.user] << ',' << (*table.items)[entry.item] << ',' << entry.value << ',' << entry.when
         << '\n';
  }
  file.close();
  if (!file) throw std::runtime_error("the ratings cannot be written");
  return path;
}

dataset::RatingTable of_users(dataset::RatingTable table, std::uint32_t first, std::uint32_t last) {
  std::erase_if(table.entries, [&](const dataset::Entry& entry) { return entry.user < first || entry.user >= last; });
  return table;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
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
  const auto supervisor = value_of(sim::Supervisor::create());
  return run_program(*supervisor, program(name), std::move(arguments), longest);
}

Ran run_program(sim::Supervisor& supervisor, const fs::path& path, std::vector<std::string> arguments,
                std::chrono::seconds longest) {
  Ran ran;
  bool ended = false;
  sim::Supervisor::Watch watch;
  watch.on_output = [&](std::string_view line) { ran.out.append(line).append("\n"); };
  watch.on_error = [&](std::string_view line) { ran.err.append(line).append("\n"); };
  watch.on_exit = [&](const sim::ExitStatus& status) {
    ran.status = status.signal != 0 ? 128 + status.signal : status.status;
    ended = true;
  };
  sim::ProcessOptions options;
  options.program = path;
  options.arguments = std::move(arguments);
  const pid_t pid = value_of(supervisor.start(options, watch));
  supervisor.run([&] { return ended; }, std::chrono::steady_clock::now() + longest);
  if (!ended) {
    ADD_FAILURE() << path << " still runs\n" << ran.out << ran.err;
    supervisor.stop({pid}, std::chrono::seconds(0));  // it writes into this frame
  }
  return ran;
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const std::size_t begin = text.find_last_of('\n', end);
  return text.substr(begin + 1, end - begin);
}

Town::Town(TownOptions wanted) : options(std::move(wanted)) {
  if (options.enrolled == 0) options.enrolled = options.devices;
  const auto generated = value_of(sim::generate_demo_data(options.devices, options.items, kSeed));
  const auto ratings = write_ratings(folder.path() / "ratings.csv", generated.training);
  require(dataset::write_item_table(folder.path() / "items.tsv", generated.catalogue.items()));
  data = value_of(sim::load_demo_data(ratings, kSplit, kSeed));
  learn_from_events_if_the_family_does();
  random = crypto::make_system_random();
  const WallTime now = certs::wall_clock();
  const fs::path certificates = folder.path() / "certificates";
  // Founded some time ago: it may have issued what is expired by now.
  authority.emplace(
      value_of(certs::Authority::create(certificates / "authority", now - std::chrono::days(90), *random)));
  static_cast<void>(value_of(authority->sign_list(now)));
  const std::vector<std::string> hosts{"127.0.0.1"};
  setup.certificates = value_of(authority->issue_coordinator(hosts, certificates / "coordinator", now)).folder;
  static_cast<void>(value_of(authority->issue_fleet(options.enrolled, certificates / "fleet", now)));
  enrolled = value_of(sim::read_fleet(certificates / "fleet"));
  setup.folder = folder.path() / "coordinator";
  setup.rounds = options.rounds;
  setup.devices = options.wanted != 0 ? options.wanted : options.devices;
  setup.cohort_size = options.cohort_size;
  setup.gather = options.gather;
  setup.phase_deadline = options.phase_deadline;
  setup.shutdown_grace = options.shutdown_grace;
  setup.contract = data.contract;
  setup.family = options.family;
  setup.model = options.model;
  setup.device_epsilon = options.device_epsilon;
  require(sim::write_coordinator_files(setup, data.catalogue));
  supervisor = value_of(sim::Supervisor::create());
}

void Town::learn_from_events_if_the_family_does() {
  const auto family = std::ranges::find(model::families(), options.family, &model::Family::name);
  if (family == model::families().end()) throw std::runtime_error("no model " + options.family);
  if (family->feedback != dataset::Feedback::events) return;
  for (dataset::RatingTable* const half : {&data.training, &data.held_out}) {
    for (dataset::Entry& entry : half->entries) entry.value = 1;
  }
  data.contract.feedback = dataset::Feedback::events;
  data.contract.minimum = 0;
  data.contract.maximum = 1;
  data.contract.step = 0;
}

void Town::start_coordinator() {
  coordinator_end.reset();
  coordinator = value_of(sim::start_coordinator(
      *supervisor, setup, program("chorus-coordinator"), [this](std::string_view line) { log_.emplace_back(line); },
      [this](const sim::ExitStatus& status) { coordinator_end = status; }));
}

sim::Fleet& Town::start_fleet() {
  return start_fleet(0, options.devices, 2);
}

sim::Fleet& Town::start_fleet(std::uint32_t first, std::uint32_t last, std::uint32_t processes) {
  const auto members = value_of(
      sim::FleetMembers::create(of_users(data.training, first, last), of_users(data.held_out, first, last),
                                std::vector<sim::Enrolled>(enrolled.begin() + first, enrolled.begin() + last), 0));
  if (members.size() != last - first) throw std::runtime_error("somebody has no training rating");
  const fs::path out = folder.path() / fmt::format("fleet-{}", fleets.size() + 1);
  fs::create_directories(out);
  sim::Fleet& fleet = fleets.emplace_back(*supervisor, sim::FleetOptions{.host = coordinator.host,
                                                                         .port = coordinator.port,
                                                                         .job = setup.job,
                                                                         .out = out,
                                                                         .processes = processes,
                                                                         .rounds = 0,
                                                                         .program = program("chorus-sim")});
  require(fleet.start(members, [this, &fleet](const sim::WorkerEvent& event) {
    if (event.kind == sim::WorkerEvent::Kind::waiting) ready_ = event.ready;
    if (event.kind == sim::WorkerEvent::Kind::step && on_step) on_step(fleet, event);
  }));
  return fleet;
}

pid_t Town::open_a_round_that_stays_open() {
  sim::Fleet& early = start_fleet(0, 70, 7);
  // Seventy wait for more: each of them is ready, and none has been invited.
  EXPECT_TRUE(until([&] { return ready() == 70; })) << early.report() << log();
  const pid_t stopped = early.workers().front().pid;
  supervisor->signal(stopped, SIGSTOP);
  start_fleet(70, options.devices, 3);
  EXPECT_TRUE(until_logged("round opened")) << log();
  return stopped;
}

bool Town::until(const std::function<bool()>& done, std::chrono::milliseconds longest) {
  return supervisor->run(done, std::chrono::steady_clock::now() + longest) == sim::Supervisor::Reason::done;
}

std::vector<nlohmann::json> Town::logged(const std::string& event) const {
  std::vector<nlohmann::json> found;
  for (const std::string& line : log_) {
    auto record = nlohmann::json::parse(line, nullptr, false);
    if (record.is_object() && record.value("event", std::string()) == event) found.push_back(std::move(record));
  }
  return found;
}

void Town::signal(const sim::Fleet& fleet, std::uint32_t device, int number) {
  supervisor->signal(fleet.workers().at(fleet.devices().at(device).process).pid, number);
}

bool Town::until_logged(const std::string& event, std::size_t times) {
  return until([&] { return logged(event).size() >= times; });
}

std::string Town::log() const {
  std::string text;
  for (const std::string& line : log_) text.append(line).append("\n");
  return text;
}

void Town::kill_coordinator() {
  supervisor->signal(coordinator.pid, SIGKILL);
  EXPECT_EQ(await_coordinator().signal, SIGKILL);
}

sim::ExitStatus Town::stop_coordinator() {
  supervisor->signal(coordinator.pid, SIGTERM);
  return await_coordinator();
}

sim::ExitStatus Town::await_coordinator() {
  EXPECT_TRUE(until([&] { return coordinator_end.has_value(); })) << log();
  return coordinator_end.value_or(sim::ExitStatus{.status = -1});
}

void Town::keep_port() {
  setup.port = coordinator.port;
  require(sim::write_coordinator_config(setup));
}

std::vector<coordinator::TraceRound> Town::trace() const {
  return value_of(sim::read_rounds(setup.folder));
}

Ran Town::replay() {
  std::string devices;
  for (std::size_t i = 1; i <= fleets.size(); ++i) {
    devices += text_of(folder.path() / fmt::format("fleet-{}", i) / "population.tsv");
  }
  const fs::path population = folder.path() / "population.tsv";
  std::ofstream(population) << devices;
  return run_program(
      *supervisor, program("chorus-sim"),
      {"train", "--replay", sim::trace_file(setup.folder).string(), "--population", population.string(), "--ratings",
       (folder.path() / "ratings.csv").string(), "--split", kSplit, "--seed", std::to_string(kSeed)});
}

net::TlsCredentials Town::credentials(std::size_t device) const {
  return value_of(net::read_credentials(enrolled.at(device).folder, "device"));
}

}  // namespace chorus::e2e
