// sync: progress on standard error, signals, and what became of it.
#include <atomic>
#include <csignal>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <unistd.h>

#include "client/app/commands.hpp"

namespace chorus::client::app {
namespace {

using nlohmann::json;
using Ending = SyncReport::Ending;

// One line that moves on a terminal; elsewhere nothing, or with --verbose a line for each step.
class ProgressLine {
 public:
  explicit ProgressLine(bool verbose) : terminal_(::isatty(STDERR_FILENO) == 1), verbose_(verbose) {}
  ~ProgressLine() {
    if (terminal_ && !shown_.empty()) fmt::print(stderr, "\r\x1b[K");
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const SyncProgress& progress) {
    using Kind = SyncProgress::Kind;
    if (progress.sentence == shown_) return;
    if (terminal_) {
      fmt::print(stderr, "\r\x1b[K{}", progress.sentence);
      std::fflush(stderr);
    } else if (verbose_ && progress.kind != Kind::downloading && progress.kind != Kind::uploading) {
      fmt::print(stderr, "{}\n", progress.sentence);
    }
    shown_ = progress.sentence;
  }

 private:
  bool terminal_;
  bool verbose_;
  std::string shown_;
};

// While it lives, SIGINT and SIGTERM cancel the client's sync.
class CancelOnSignal {
 public:
  explicit CancelOnSignal(Client& client) {
    target.store(&client);
    struct sigaction action{};
    action.sa_handler = [](int) {
      if (Client* running = target.load()) running->cancel();
    };
    ::sigaction(SIGINT, &action, &old_interrupt_);
    ::sigaction(SIGTERM, &action, &old_terminate_);
  }
  ~CancelOnSignal() {
    ::sigaction(SIGINT, &old_interrupt_, nullptr);
    ::sigaction(SIGTERM, &old_terminate_, nullptr);
    target.store(nullptr);
  }
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;

 private:
  static inline std::atomic<Client*> target{nullptr};
  static_assert(std::atomic<Client*>::is_always_lock_free);
  struct sigaction old_interrupt_{};
  struct sigaction old_terminate_{};
};

std::string_view name(Ending ending) {
  constexpr std::string_view kNames[] = {"complete", "finished", "cancelled", "impatient"};
  return kNames[static_cast<std::size_t>(ending)];
}

std::string to_text(const SyncReport& report) {
  std::string text;
  if (report.ending == Ending::finished) text = "The job has reached its goal. ";
  if (report.ending == Ending::cancelled) text = "Stopped. ";
  if (report.ending == Ending::impatient) text = "The time is up. ";
  text += report.model_version ? fmt::format("Model version {}", *report.model_version) : std::string("No model yet");
  text += fmt::format(", took part in {} {}, {} bytes up, {} bytes down.\n", report.rounds,
                      report.rounds == 1 ? "round" : "rounds", report.bytes_up, report.bytes_down);
  const bool cut_short = report.ending == Ending::impatient || report.ending == Ending::cancelled;
  if (cut_short && report.devices_ready < report.devices_needed) {
    text +=
        fmt::format("A round needs more devices: {} of {} were ready.\n", report.devices_ready, report.devices_needed);
  }
  if (cut_short && !report.trouble.empty()) text += fmt::format("The last trouble: {}\n", report.trouble);
  return text;
}

}  // namespace

ClientResult<Outcome> sync(Client& client, const Options& options) {
  SyncOptions wanted = options.sync;
  if (options.fetch_only) wanted.rounds = 0;
  wanted.patience = std::chrono::milliseconds(static_cast<std::int64_t>(options.patience * 1000));
  wanted.least_identity_age = std::chrono::days(options.least_identity_age);
  const CancelOnSignal signals(client);
  ClientResult<SyncReport> report;
  {
    ProgressLine line(options.verbose);
    report = client.sync(wanted, [&](const SyncProgress& progress) { line.show(progress); });
  }
  if (!report) return std::unexpected(report.error());
  Outcome out;
  out.status = report->ending == Ending::impatient ? kNetwork : 0;
  out.text = to_text(*report);
  out.json = json{{"ending", name(report->ending)},
                  {"rounds", report->rounds},
                  {"aborted", report->aborted},
                  {"model_version", report->model_version ? json(*report->model_version) : json()},
                  {"bytes_up", report->bytes_up},
                  {"bytes_down", report->bytes_down},
                  {"devices_ready", report->devices_ready},
                  {"devices_needed", report->devices_needed},
                  {"trouble", report->trouble}}
                 .dump();
  return out;
}

}  // namespace chorus::client::app
