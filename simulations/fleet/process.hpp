// Child processes: started without a shell, watched through a pidfd, ended by their own process id. A child dies with
// the thread that started it (PR_SET_PDEATHSIG), so nothing is left behind when a parent is killed. Linux.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "common/base/result.hpp"

namespace chorus::sim {

// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  // -1: none.
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  int release() noexcept;
  void reset() noexcept;

 private:
  int fd_ = -1;
};

// How a process ended: by itself with a status, or by a signal.
struct ExitStatus {
  int status = 0;  // 0 to 255; meaningless if signal != 0
  int signal = 0;

  [[nodiscard]] bool success() const noexcept { return status == 0 && signal == 0; }
  // "exited with status 2", "was killed by signal 9".
  [[nodiscard]] std::string to_string() const;
};

enum class Stream {
  inherit,  // the parent's own
  pipe,
  discard,  // /dev/null
};

struct ProcessOptions {
  std::filesystem::path program;       // a path, not looked up
  std::vector<std::string> arguments;  // without the program's name
  Stream input = Stream::discard;
  Stream output = Stream::inherit;
  Stream error = Stream::inherit;
  // Sent to the child when its parent dies.
  int signal_on_parent_death = 15;
};

// A started child. Movable. Its destructor kills (SIGKILL) and reaps a child that still runs.
class ChildProcess {
 public:
  // Errors: not_found, invalid_argument (not executable), io.
  [[nodiscard]] static Result<ChildProcess> start(const ProcessOptions& options);
  ~ChildProcess();
  ChildProcess(ChildProcess&&) noexcept = default;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // Readable (poll) once the child has ended.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  // The parent's ends of the pipes; not open for other kinds of stream. Reading ends do not block.
  [[nodiscard]] Descriptor& input() noexcept { return input_; }
  [[nodiscard]] Descriptor& output() noexcept { return output_; }
  [[nodiscard]] Descriptor& error() noexcept { return error_; }

  // Writes everything; blocks while the pipe is full. Errors: closed (the child reads no more), io.
  // REQUIRES: SIGPIPE is ignored.
  [[nodiscard]] Status write(std::string_view text);

  // No effect on a child that has been reaped, so a reused process id is never hit.
  void signal(int number) noexcept;
  // Reaps the child if it has ended.
  [[nodiscard]] std::optional<ExitStatus> try_wait() noexcept;
  // Errors: timeout.
  [[nodiscard]] Result<ExitStatus> wait(std::chrono::milliseconds timeout);

 private:
  ChildProcess() = default;

  struct Pid {
    pid_t value = -1;
    Pid() = default;
    explicit Pid(pid_t pid) : value(pid) {}
    Pid(Pid&& other) noexcept : value(other.value) { other.value = -1; }
    Pid& operator=(Pid&& other) noexcept {
      value = other.value;
      other.value = -1;
      return *this;
    }
    operator pid_t() const noexcept { return value; }
  };

  Pid pid_;
  std::optional<ExitStatus> ended_;
  Descriptor pidfd_;
  Descriptor input_;
  Descriptor output_;
  Descriptor error_;
};

// The running program's own file, and another of our programs beside it. Errors: io.
[[nodiscard]] Result<std::filesystem::path> own_program();
[[nodiscard]] Result<std::filesystem::path> sibling_program(std::string_view name);

// Cuts what a pipe delivers into lines of at most 1 MiB (the rest of a longer one is dropped). Not thread-safe.
class LineBuffer {
 public:
  // Reads what is there from a non-blocking descriptor, and appends complete lines to `out`, without their ends.
  // False at the end of the stream; a last line without an end is then appended too.
  bool read_from(int fd, std::vector<std::string>& out);

 private:
  std::string partial_;
};

}  // namespace chorus::sim
