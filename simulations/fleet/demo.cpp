#include "simulations/fleet/demo.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>

#include <fmt/format.h>

namespace chorus::sim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kGrace{10};
constexpr std::chrono::minutes kLongest{30};

// One line that moves on a terminal; without one, lines for milestones alone.
class Progress {
 public:
  explicit Progress(bool terminal) : terminal_(terminal) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void milestone(const std::string& text) {
    if (terminal_) return moving(text);
    fmt::print(stderr, "{}\n", text);
  }
  void moving(const std::string& text) {
    if (!terminal_ || text == shown_) return;
    fmt::print(stderr, "\r\x1b[K{}", text);
    std::fflush(stderr);
    shown_ = text;
  }

 private:
  void clear() {
    if (!shown_.empty()) fmt::print(stderr, "\r\x1b[K");
  }

  bool terminal_;
  std::string shown_;
};

class Run {
 public:
  Run(Supervisor& supervisor, const DemoOptions& options, const FleetMembers& members, const DemoData& data)
      : supervisor_(supervisor),
        options_(options),
        members_(members),
        data_(data),
        progress_(options.terminal),
        setup_(make_setup(options, members, data)) {}
  ~Run() { stop_all(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Result<DemoOutcome> run();

 private:
  static CoordinatorSetup make_setup(const DemoOptions& options, const FleetMembers& members, const DemoData& data);
  void on_event(const WorkerEvent& event);
  Status start();
  Status follow();
  void stop_all();
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }

  Supervisor& supervisor_;
  const DemoOptions& options_;
  const FleetMembers& members_;
  const DemoData& data_;
  Progress progress_;
  CoordinatorSetup setup_;
  Clock::time_point started_ = Clock::now();
  std::ofstream log_;
  RunningCoordinator coordinator_;
  std::optional<ExitStatus> coordinator_end_;
  std::optional<Fleet> fleet_;
};

CoordinatorSetup Run::make_setup(const DemoOptions& options, const FleetMembers& members, const DemoData& data) {
  CoordinatorSetup setup;
  setup.folder = options.out / "coordinator";
  setup.certificates = options.coordinator_credentials;
  setup.rounds = options.rounds;
  // What a member spends grows with its cohort, and here one machine spends it for all of them: cohorts a little above
  // the floor of 76.
  const std::size_t cohorts = std::max<std::size_t>(1, members.size() / 80);
  setup.cohort_size = static_cast<std::uint32_t>((members.size() + cohorts - 1) / cohorts);
  setup.devices = static_cast<std::uint32_t>(members.size());
  // A round opens as soon as all are ready. On a busy machine that takes a while, and a first round without half of
  // them would be a poor show; so long it waits only if some never come.
  setup.gather = std::chrono::seconds(30);
  setup.contract = data.contract;
  return setup;
}

void Run::on_event(const WorkerEvent& event) {
  using Kind = WorkerEvent::Kind;
  const std::size_t size = members_.size();
  if (event.kind == Kind::imported) {
    progress_.moving(fmt::format("importing: {} of {} devices", fleet_->imported(), size));
  } else if (event.kind == Kind::welcomed) {
    const std::string text = fmt::format("connected: {} of {} devices", fleet_->welcomed(), size);
    fleet_->welcomed() == size ? progress_.milestone(text) : progress_.moving(text);
  } else if (event.kind == Kind::round && fleet_->rounds().at(event.round).devices() == 1) {
    const auto trace = read_rounds(setup_.folder);
    if (trace && !trace->empty()) progress_.milestone(progress_text(*trace, options_.rounds, seconds()));
  }
}

Status Run::start() {
  CHORUS_TRY_DO(write_coordinator_files(setup_, data_.catalogue));
  log_.open(options_.out / "coordinator.log", std::ios::binary);
  CHORUS_TRY(coordinator_, start_coordinator(
                               supervisor_, setup_, options_.coordinator_program,
                               [this](std::string_view line) { log_ << line << '\n'
                                                                    << std::flush; },
                               [this](const ExitStatus& status) { coordinator_end_ = status; }));
  const std::size_t size = members_.size();
  const std::size_t each = options_.devices_per_process;
  fleet_.emplace(supervisor_, FleetOptions{.host = coordinator_.host,
                                           .port = coordinator_.port,
                                           .job = setup_.job,
                                           .out = options_.out,
                                           .processes = static_cast<std::uint32_t>((size + each - 1) / each),
                                           .rounds = 0,
                                           .program = options_.sim_program});
  return fleet_->start(members_, [this](const WorkerEvent& event) { on_event(event); });
}

Status Run::follow() {
  const auto over = [this] { return fleet_->ended() || coordinator_end_.has_value(); };
  const auto reason = supervisor_.run(over, Clock::now() + kLongest);
  if (reason == Supervisor::Reason::stopped) {
    return fail(ErrorCode::aborted, fmt::format("stopped by signal {}", supervisor_.stop_signal()));
  }
  if (reason == Supervisor::Reason::timeout) return fail(ErrorCode::timeout, "the job has not finished in 30 minutes");
  if (coordinator_end_) {
    return fail(ErrorCode::aborted, fmt::format("the coordinator {}; see {}", coordinator_end_->to_string(),
                                                (options_.out / "coordinator.log").string()));
  }
  if (fleet_->finished() == 0) {
    std::string first = "its processes ended";
    if (!fleet_->sentences().empty()) first = fleet_->sentences().begin()->second;
    return fail(ErrorCode::aborted, fmt::format("no device finished the job: {}", first));
  }
  return {};
}

void Run::stop_all() {
  if (fleet_) fleet_->stop(kGrace);
  if (coordinator_.pid > 0) supervisor_.stop({coordinator_.pid}, kGrace);
}

Result<DemoOutcome> Run::run() {
  CHORUS_TRY_DO(start());
  CHORUS_TRY_DO(follow());
  DemoOutcome outcome;
  outcome.seconds = seconds();
  stop_all();
  if (!coordinator_end_ || !coordinator_end_->success()) {
    return fail(ErrorCode::aborted, "the coordinator did not stop in order");
  }
  CHORUS_TRY(const auto trace, read_rounds(setup_.folder));
  outcome.rounds = demo_rounds(trace, fleet_->rounds());
  outcome.baseline = members_.mean_predictor_rmse();
  outcome.fleet = fleet_->report();
  outcome.devices_finished = fleet_->finished();
  outcome.processes_lost = fleet_->processes_lost();
  outcome.devices_lost = fleet_->devices_lost();
  return outcome;
}

}  // namespace

Result<DemoOutcome> run_demo(Supervisor& supervisor, const DemoOptions& options, const FleetMembers& members,
                             const DemoData& data) {
  return Run(supervisor, options, members, data).run();
}

}  // namespace chorus::sim
