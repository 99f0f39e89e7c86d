#include "simulations/fleet/supervisor.hpp"

#include <algorithm>

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace chorus::sim {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

struct Supervisor::Child {
  ChildProcess process;
  Watch watch;
  LineBuffer output_lines;
  LineBuffer error_lines;
};

Supervisor::Supervisor() = default;

Result<std::unique_ptr<Supervisor>> Supervisor::create() {
  std::unique_ptr<Supervisor> made(new Supervisor());
  const sigset_t set = stop_signals();
  ::signal(SIGPIPE, SIG_IGN);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  made->signals_ = Descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!made->signals_.is_open()) return fail(ErrorCode::io, "signals cannot be read (signalfd)");
  return made;
}

Supervisor::~Supervisor() {
  children_.clear();
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

Result<pid_t> Supervisor::start(ProcessOptions options, Watch watch, std::string_view input) {
  if (watch.on_output) options.output = Stream::pipe;
  if (watch.on_error) options.error = Stream::pipe;
  if (!input.empty()) options.input = Stream::pipe;
  CHORUS_TRY(auto process, ChildProcess::start(options));
  const pid_t pid = process.pid();
  Status written;
  if (!input.empty()) written = process.write(input);
  // Watched even if it reads nothing: how it ended says more than a broken pipe.
  children_.emplace(pid, std::make_unique<Child>(Child{std::move(process), std::move(watch), {}, {}}));
  if (!written.has_value() && written.error().code() != ErrorCode::closed) return fail(std::move(written).error());
  return pid;
}

Status Supervisor::write(pid_t pid, std::string_view text) {
  const auto found = children_.find(pid);
  if (found == children_.end()) return fail(ErrorCode::not_found, "the process has ended");
  return found->second->process.write(text);
}

void Supervisor::close_input(pid_t pid) {
  if (auto found = children_.find(pid); found != children_.end()) found->second->process.input().reset();
}

void Supervisor::signal(pid_t pid, int number) {
  if (auto found = children_.find(pid); found != children_.end()) found->second->process.signal(number);
}

void Supervisor::signal_all(int number) {
  for (auto& [pid, child] : children_) child->process.signal(number);
}

bool Supervisor::handle_stream(Descriptor& stream, LineBuffer& lines,
                               const std::function<void(std::string_view)>& sink) {
  if (!stream.is_open()) return false;
  std::vector<std::string> found;
  const bool more = lines.read_from(stream.get(), found);
  if (!more) stream.reset();
  for (const std::string& line : found) sink(line);
  return !found.empty();
}

void Supervisor::handle_child(pid_t pid) {
  const auto found = children_.find(pid);
  if (found == children_.end()) return;
  Child& child = *found->second;
  const auto ended = child.process.try_wait();
  // After the end was seen, so that no last line is missed.
  handle_stream(child.process.output(), child.output_lines, child.watch.on_output);
  handle_stream(child.process.error(), child.error_lines, child.watch.on_error);
  if (!ended) return;
  const std::unique_ptr<Child> gone = std::move(found->second);
  children_.erase(found);
  if (gone->watch.on_exit) gone->watch.on_exit(*ended);
}

void Supervisor::read_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    stop_signal_ = static_cast<int>(info.ssi_signo);
  }
}

void Supervisor::poll_once(std::chrono::milliseconds longest) {
  std::vector<pollfd> wanted{pollfd{.fd = signals_.get(), .events = POLLIN, .revents = 0}};
  std::vector<pid_t> owners{0};
  for (auto& [pid, child] : children_) {
    ChildProcess& process = child->process;
    for (const int fd : {process.pidfd(), process.output().get(), process.error().get()}) {
      if (fd < 0) continue;
      wanted.push_back(pollfd{.fd = fd, .events = POLLIN, .revents = 0});
      owners.push_back(pid);
    }
  }
  if (::poll(wanted.data(), static_cast<nfds_t>(wanted.size()), static_cast<int>(longest.count())) <= 0) return;
  if (wanted[0].revents != 0) read_signals();
  pid_t last = 0;
  for (std::size_t i = 1; i < wanted.size(); ++i) {
    if (wanted[i].revents == 0 || owners[i] == last) continue;
    last = owners[i];
    handle_child(last);
  }
}

Supervisor::Reason Supervisor::run(const std::function<bool()>& done, std::chrono::steady_clock::time_point deadline) {
  using std::chrono::milliseconds;
  while (true) {
    if (done()) return Reason::done;
    if (stop_signal_ != 0) return Reason::stopped;
    if (children_.empty()) return Reason::nothing_runs;
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) return Reason::timeout;
    const auto left = std::min<std::chrono::nanoseconds>(deadline - now, std::chrono::minutes(1));
    poll_once(std::chrono::duration_cast<milliseconds>(left) + milliseconds(1));
  }
}

void Supervisor::stop(const std::vector<pid_t>& pids, std::chrono::milliseconds grace) {
  const auto ended = [&] { return std::ranges::none_of(pids, [&](pid_t pid) { return runs(pid); }); };
  const int remembered = stop_signal_;
  const auto wait = [&](std::chrono::milliseconds time) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    // A second Ctrl-C must not keep us from reaping.
    do {
      stop_signal_ = 0;
    } while (run(ended, deadline) == Reason::stopped);
  };
  for (const pid_t pid : pids) signal(pid, SIGTERM);
  wait(grace);
  for (const pid_t pid : pids) signal(pid, SIGKILL);
  wait(std::chrono::milliseconds(5'000));
  stop_signal_ = remembered;
}

}  // namespace chorus::sim
