// Watches several child processes in one thread: their lines, their ends, and the terminal's SIGINT and SIGTERM.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "simulations/fleet/process.hpp"

namespace chorus::sim {

// From its construction to its end, SIGINT and SIGTERM of this process arrive here instead of ending it, and SIGPIPE
// is ignored. One at a time. Not thread-safe.
class Supervisor {
 public:
  struct Watch {
    std::function<void(std::string_view line)> on_output;
    std::function<void(std::string_view line)> on_error;
    // After the last line.
    std::function<void(const ExitStatus& status)> on_exit;
  };

  // Errors: io.
  [[nodiscard]] static Result<std::unique_ptr<Supervisor>> create();
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // The child's process id. Errors: those of ChildProcess::start, and of writing `input` (its pipe then stays open
  // until close_input).
  [[nodiscard]] Result<pid_t> start(ProcessOptions options, Watch watch, std::string_view input = {});
  // To a child that was started with Stream::pipe as its input; blocks while the pipe is full. Errors: closed, io;
  // not_found (it ended or is not ours).
  [[nodiscard]] Status write(pid_t pid, std::string_view text);
  void close_input(pid_t pid);
  // No effect on a process that ended or is not ours.
  void signal(pid_t pid, int number);
  void signal_all(int number);
  [[nodiscard]] std::size_t running() const noexcept { return children_.size(); }
  [[nodiscard]] bool runs(pid_t pid) const noexcept { return children_.contains(pid); }

  // Handles what happens until `done()` holds (asked after each event), a signal to stop arrives, nothing runs any
  // more, or the time is up.
  enum class Reason { done, stopped, nothing_runs, timeout };
  Reason run(const std::function<bool()>& done, std::chrono::steady_clock::time_point deadline);

  // The signal to stop that arrived (SIGINT or SIGTERM), or 0. It stops each later run() until forgotten.
  [[nodiscard]] int stop_signal() const noexcept { return stop_signal_; }
  void forget_stop() noexcept { stop_signal_ = 0; }

  // SIGTERM to the children named, `grace` to end, then SIGKILL to those that still run.
  void stop(const std::vector<pid_t>& pids, std::chrono::milliseconds grace);

 private:
  struct Child;
  Supervisor();
  bool handle_stream(Descriptor& stream, LineBuffer& lines, const std::function<void(std::string_view)>& sink);
  void handle_child(pid_t pid);
  void read_signals();
  void poll_once(std::chrono::milliseconds longest);

  Descriptor signals_;
  int stop_signal_ = 0;
  std::map<pid_t, std::unique_ptr<Child>> children_;
};

}  // namespace chorus::sim
