#include "simulations/fleet/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.hpp"

namespace chorus::sim {
namespace {

constexpr std::size_t kMaxLine = std::size_t{1} << 20;

struct Pipe {
  Descriptor read;
  Descriptor write;
};

std::unexpected<Error> system_error(const char* call) {
  return fail(ErrorCode::io, fmt::format("{} failed: {}", call, std::strerror(errno)));
}

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe");
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

void never_block(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

ExitStatus exit_status(int raw) {
  if (WIFSIGNALED(raw)) return ExitStatus{.signal = WTERMSIG(raw)};
  return ExitStatus{.status = WEXITSTATUS(raw)};
}

// What the child does between fork and exec: async-signal-safe calls alone.
[[noreturn]] void become(char* const* argv, const std::array<int, 3>& streams, int death_signal, pid_t parent,
                         int report) {
  // A process group of its own: Ctrl-C reaches the parent alone, which ends its children in order.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, death_signal);
  if (::getppid() != parent) ::_exit(127);  // it died before prctl
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int target = 0; target < 3; ++target) {
    const int source = streams[static_cast<std::size_t>(target)];
    if (source >= 0) ::dup2(source, target);
  }
  ::execv(argv[0], argv);
  const int reason = errno;
  if (::write(report, &reason, sizeof(reason)) < 0) ::_exit(126);
  ::_exit(127);
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Descriptor::release() noexcept {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void Descriptor::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

std::string ExitStatus::to_string() const {
  if (signal != 0) return fmt::format("was killed by signal {}", signal);
  return fmt::format("exited with status {}", status);
}

Result<ChildProcess> ChildProcess::start(const ProcessOptions& options) {
  const std::string program = options.program.string();
  std::vector<std::string> words;
  words.push_back(program);
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  ChildProcess child;
  std::array<int, 3> streams{-1, -1, -1};
  std::array<Descriptor, 3> childs_ends;
  const std::array<Stream, 3> kinds{options.input, options.output, options.error};
  const std::array<Descriptor*, 3> parents_ends{&child.input_, &child.output_, &child.error_};
  for (std::size_t i = 0; i < 3; ++i) {
    if (kinds[i] == Stream::discard) {
      childs_ends[i] = Descriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
      if (!childs_ends[i].is_open()) return system_error("opening /dev/null");
    } else if (kinds[i] == Stream::pipe) {
      CHORUS_TRY(Pipe pipe, make_pipe());
      childs_ends[i] = std::move(i == 0 ? pipe.read : pipe.write);
      *parents_ends[i] = std::move(i == 0 ? pipe.write : pipe.read);
      if (i != 0) never_block(parents_ends[i]->get());
    }
    streams[i] = childs_ends[i].get();
  }
  CHORUS_TRY(Pipe report, make_pipe());

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return system_error("fork");
  if (pid == 0) become(argv.data(), streams, options.signal_on_parent_death, parent, report.write.get());
  child.pid_ = Pid(pid);
  report.write.reset();
  int reason = 0;
  ssize_t got = 0;
  do {
    got = ::read(report.read.get(), &reason, sizeof(reason));
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    const auto code = reason == ENOENT ? ErrorCode::not_found : ErrorCode::invalid_argument;
    return fail(code, fmt::format("the program cannot be started: {}", std::strerror(reason)), program);
  }
  child.pidfd_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd_.is_open()) return system_error("pidfd_open");
  return child;
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0 || ended_) return;
  ::kill(pid_, SIGKILL);
  int raw = 0;
  while (::waitpid(pid_, &raw, 0) < 0 && errno == EINTR) {
  }
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_.value, other.pid_.value);
  std::swap(ended_, other.ended_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(input_, other.input_);
  std::swap(output_, other.output_);
  std::swap(error_, other.error_);
  return *this;
}

Status ChildProcess::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(input_.get(), text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE) return fail(ErrorCode::closed, fmt::format("process {} reads no more", pid_.value));
      return system_error("write");
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

void ChildProcess::signal(int number) noexcept {
  if (pid_ > 0 && !ended_) ::kill(pid_, number);
}

std::optional<ExitStatus> ChildProcess::try_wait() noexcept {
  if (ended_) return ended_;
  int raw = 0;
  const pid_t done = ::waitpid(pid_, &raw, WNOHANG);
  if (done == pid_) ended_ = exit_status(raw);
  return ended_;
}

Result<ExitStatus> ChildProcess::wait(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    if (auto ended = try_wait()) return *ended;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return fail(ErrorCode::timeout, fmt::format("process {} still runs after {} ms", pid_.value, timeout.count()));
    }
    pollfd wanted{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    ::poll(&wanted, 1, static_cast<int>(left.count()) + 1);
  }
}

Result<std::filesystem::path> own_program() {
  std::error_code error;
  auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::io, "the running program's own path cannot be read", "/proc/self/exe");
  return path;
}

Result<std::filesystem::path> sibling_program(std::string_view name) {
  CHORUS_TRY(const auto own, own_program());
  return own.parent_path() / name;
}

bool LineBuffer::read_from(int fd, std::vector<std::string>& out) {
  std::array<char, 64 * 1024> chunk;
  while (true) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return true;
    }
    if (got <= 0) {
      if (!partial_.empty()) out.push_back(std::move(partial_));
      partial_.clear();
      return false;
    }
    std::string_view rest(chunk.data(), static_cast<std::size_t>(got));
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      const std::string_view piece = rest.substr(0, end);
      partial_.append(piece.substr(0, kMaxLine - std::min(kMaxLine, partial_.size())));
      if (end == std::string_view::npos) break;
      out.push_back(std::move(partial_));
      partial_.clear();
      rest.remove_prefix(end + 1);
    }
  }
}

}  // namespace chorus::sim
