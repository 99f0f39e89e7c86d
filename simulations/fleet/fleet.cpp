#include "simulations/fleet/fleet.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace chorus::sim {
namespace {

nlohmann::json median_and_max(std::vector<std::uint64_t> values) {
  if (values.empty()) return {{"median", 0}, {"max", 0}};
  std::ranges::sort(values);
  return {{"median", values[values.size() / 2]}, {"max", values.back()}};
}

}  // namespace

std::uint64_t RoundRecord::devices() const noexcept {
  std::uint64_t count = 0;
  for (const auto& [outcome, told] : outcomes) count += told;
  return count;
}

Fleet::Fleet(Supervisor& supervisor, FleetOptions options) : supervisor_(supervisor), options_(std::move(options)) {}

Status Fleet::start(const FleetMembers& members, Listener listener) {
  listener_ = std::move(listener);
  started_ = std::chrono::steady_clock::now();
  CHORUS_TRY_DO(members.write_population(options_.out / "population.tsv"));
  const std::size_t size = members.size();
  const std::size_t processes = std::min<std::size_t>(std::max<std::uint32_t>(options_.processes, 1), size);
  devices_.resize(size);
  workers_.resize(processes);
  for (std::size_t w = 0; w < processes; ++w) {
    const std::size_t first = size * w / processes;
    const std::size_t last = size * (w + 1) / processes;
    for (std::size_t d = first; d < last; ++d) devices_[d].process = w;
    workers_[w].devices = last - first;
    ProcessOptions process;
    process.program = options_.program;
    process.arguments = {"fleet-worker",
                         "--host",
                         options_.host,
                         "--port",
                         std::to_string(options_.port),
                         "--out",
                         options_.out.string(),
                         "--rounds",
                         std::to_string(options_.rounds)};
    if (!options_.job.empty()) process.arguments.insert(process.arguments.end(), {"--job", options_.job});
    Supervisor::Watch watch;
    watch.on_output = [this, w](std::string_view line) { on_line(w, line); };
    watch.on_exit = [this, w](const ExitStatus& status) { on_exit(w, status); };
    CHORUS_TRY(workers_[w].pid, supervisor_.start(std::move(process), std::move(watch), members.slice(first, last)));
  }
  return {};
}

void Fleet::stop(std::chrono::milliseconds grace) {
  std::vector<pid_t> pids;
  for (const WorkerRecord& worker : workers_) {
    if (!worker.ended && worker.pid > 0) pids.push_back(worker.pid);
  }
  supervisor_.stop(pids, grace);
}

bool Fleet::ended() const noexcept {
  return std::ranges::all_of(workers_, &WorkerRecord::ended);
}

std::size_t Fleet::processes_lost() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(workers_, &WorkerRecord::lost));
}

std::size_t Fleet::devices_lost() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      devices_, [this](const DeviceRecord& device) { return workers_[device.process].lost && !device.ended; }));
}

std::size_t Fleet::rounds_completed() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(rounds_, [](const auto& entry) { return !entry.second.outcomes.contains("aborted"); }));
}

double Fleet::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

void Fleet::on_line(std::size_t worker, std::string_view line) {
  const auto event = decode_worker_event(line);
  if (!event) {
    ++errors_[std::string(to_string(event.error().code()))];
    return;
  }
  if (event->kind == WorkerEvent::Kind::imported) {
    workers_[worker].imported = true;
    imported_ += static_cast<std::size_t>(event->count);
  } else if (event->device >= devices_.size()) {
    ++errors_["malformed"];
    return;
  }
  on_event(*event);
  if (listener_) listener_(*event);
}

void Fleet::on_event(const WorkerEvent& event) {
  using Kind = WorkerEvent::Kind;
  if (event.kind == Kind::imported) return;
  DeviceRecord& device = devices_[event.device];
  switch (event.kind) {
    case Kind::imported:
    case Kind::step:  // for listeners
      break;
    case Kind::welcomed:
      welcomed_ += device.welcomed ? 0 : 1;
      device.welcomed = true;
      break;
    case Kind::round: {
      RoundRecord& round = rounds_[event.round];
      if (round.outcomes.empty()) round.first_seconds = seconds();
      round.last_seconds = seconds();
      ++round.outcomes[event.text];
      round.bytes_up += event.bytes_up - std::min(event.bytes_up, device.bytes_up);
      round.bytes_down += event.bytes_down - std::min(event.bytes_down, device.bytes_down);
      ++device.rounds;
      device.version = event.version;
      device.bytes_up = event.bytes_up;
      device.bytes_down = event.bytes_down;
      break;
    }
    case Kind::waiting:
      ready_ = event.ready;
      needed_ = event.needed;
      break;
    case Kind::trouble:
      ++errors_[event.text];
      sentences_.emplace(event.text, event.sentence);
      break;
    case Kind::ended:
      device.ended = true;
      device.finished = event.finished;
      finished_ += event.finished ? 1 : 0;
      device.version = event.version;
      device.bytes_up = event.bytes_up;
      device.bytes_down = event.bytes_down;
      device.recommendations = event.recommendations;
      device.explained = event.explained;
      break;
  }
}

void Fleet::on_exit(std::size_t worker, const ExitStatus& status) {
  workers_[worker].ended = true;
  workers_[worker].lost = !status.success();
  workers_[worker].how = status.to_string();
}

std::string Fleet::report() const {
  std::vector<std::uint64_t> up;
  std::vector<std::uint64_t> down;
  std::vector<std::uint64_t> rounds_each;
  std::size_t recommending = 0;
  std::size_t explaining = 0;
  for (const DeviceRecord& device : devices_) {
    up.push_back(device.bytes_up);
    down.push_back(device.bytes_down);
    rounds_each.push_back(device.rounds);
    recommending += device.recommendations > 0 ? 1 : 0;
    explaining += device.explained ? 1 : 0;
  }
  nlohmann::json report;
  report["devices"] = devices_.size();
  report["devices_connected"] = welcomed_;
  report["devices_finished"] = finished_;
  report["devices_lost"] = devices_lost();
  report["devices_recommending"] = recommending;
  report["devices_explaining"] = explaining;
  report["rounds_per_device"] = rounds_each;
  report["bytes_up_per_device"] = median_and_max(std::move(up));
  report["bytes_down_per_device"] = median_and_max(std::move(down));
  report["rounds"] = nlohmann::json::array();
  for (const auto& [number, round] : rounds_) {
    report["rounds"].push_back({{"round", number},
                                {"outcomes", round.outcomes},
                                {"seconds", round.last_seconds},
                                {"bytes_up", round.bytes_up},
                                {"bytes_down", round.bytes_down}});
  }
  report["errors"] = errors_;
  report["error_sentences"] = sentences_;
  report["processes"] = workers_.size();
  report["processes_lost"] = processes_lost();
  report["processes_lost_how"] = nlohmann::json::array();
  for (const WorkerRecord& worker : workers_) {
    if (worker.lost) report["processes_lost_how"].push_back({{"pid", worker.pid}, {"how", worker.how}});
  }
  report["seconds"] = seconds();
  return report.dump();
}

}  // namespace chorus::sim
