// Child processes and their supervisor: pipes, ends, signals, and what a parent's death does.
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "simulations/fleet/process.hpp"
#include "simulations/fleet/supervisor.hpp"

namespace chorus::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

ProcessOptions shell(const std::string& script) {
  return {.program = "/bin/sh", .arguments = {"-c", script}};
}

auto soon() {
  return std::chrono::steady_clock::now() + seconds(20);
}

// Waits for the end of the stream.
std::vector<std::string> lines_of(Descriptor& stream) {
  LineBuffer buffer;
  std::vector<std::string> lines;
  while (buffer.read_from(stream.get(), lines)) {
    pollfd wanted{.fd = stream.get(), .events = POLLIN, .revents = 0};
    ::poll(&wanted, 1, 20'000);
  }
  return lines;
}

TEST(Process, ExitStatusAndLinesOfAChildArrive) {
  auto options = shell("echo one; echo two >&2; printf three; exit 7");
  options.output = Stream::pipe;
  options.error = Stream::pipe;
  auto child = ChildProcess::start(options);
  ASSERT_TRUE(child.has_value()) << child.error().to_string();
  EXPECT_THAT(lines_of(child->output()), ElementsAre("one", "three"));
  EXPECT_THAT(lines_of(child->error()), ElementsAre("two"));
  const auto status = child->wait(seconds(20));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->status, 7);
  EXPECT_EQ(status->to_string(), "exited with status 7");
}

TEST(Process, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  const auto child = ChildProcess::start({.program = "/nowhere/chorus", .arguments = {}});
  ASSERT_FALSE(child.has_value());
  EXPECT_EQ(child.error().code(), ErrorCode::not_found);
  EXPECT_EQ(child.error().where(), "/nowhere/chorus");
}

TEST(Process, AKilledChildSaysWhichSignalItWas) {
  auto child = ChildProcess::start(shell("exec sleep 60"));
  ASSERT_TRUE(child.has_value());
  child->signal(SIGKILL);
  const auto status = child->wait(seconds(20));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->signal, SIGKILL);
  EXPECT_FALSE(status->success());
}

TEST(Process, WaitingForAChildThatStaysIsATimeout) {
  auto child = ChildProcess::start(shell("exec sleep 60"));
  ASSERT_TRUE(child.has_value());
  const auto status = child->wait(milliseconds(20));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::timeout);
}

TEST(Process, WhatIsWrittenArrivesAndAChildThatReadsNoMoreIsClosed) {
  ::signal(SIGPIPE, SIG_IGN);
  auto options = shell("read line; echo got $line; exec <&-");
  options.input = Stream::pipe;
  options.output = Stream::pipe;
  auto child = ChildProcess::start(options);
  ASSERT_TRUE(child.has_value());
  ASSERT_TRUE(child->write("hello\n").has_value());
  EXPECT_THAT(lines_of(child->output()), ElementsAre("got hello"));
  ASSERT_TRUE(child->wait(seconds(20)).has_value());
  const auto written = child->write("more\n");
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code(), ErrorCode::closed);
}

TEST(Process, AChildDiesWithItsParent) {
  // The shell starts the grandchild and is killed; the grandchild here stands for a worker, whose death signal is set
  // by ChildProcess. So: fork a parent of our own that starts one and then is killed.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    auto options = shell("exec sleep 60");
    auto child = ChildProcess::start(options);
    const pid_t pid = child.has_value() ? child->pid() : -1;
    if (::write(ends[1], &pid, sizeof(pid)) < 0) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  pid_t grandchild = -1;
  ASSERT_EQ(::read(ends[0], &grandchild, sizeof(grandchild)), static_cast<ssize_t>(sizeof(grandchild)));
  ASSERT_GT(grandchild, 0);
  const int watched = static_cast<int>(::syscall(SYS_pidfd_open, grandchild, 0));
  ASSERT_GE(watched, 0);
  ::kill(parent, SIGKILL);
  pollfd wanted{.fd = watched, .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&wanted, 1, 20'000), 1);
  ::close(watched);
  ::close(ends[0]);
  ::close(ends[1]);
  ::waitpid(parent, nullptr, 0);
}

TEST(Supervisor, LinesAndEndsOfSeveralChildrenAreReported) {
  auto supervisor = Supervisor::create();
  ASSERT_TRUE(supervisor.has_value());
  std::vector<std::string> lines;
  std::vector<int> ends;
  for (int i = 1; i <= 3; ++i) {
    Supervisor::Watch watch;
    watch.on_output = [&](std::string_view line) { lines.emplace_back(line); };
    watch.on_exit = [&](const ExitStatus& status) { ends.push_back(status.status); };
    ASSERT_TRUE((*supervisor)->start(shell("echo " + std::to_string(i) + "; exit " + std::to_string(i)), watch));
  }
  EXPECT_EQ((*supervisor)->run([] { return false; }, soon()), Supervisor::Reason::nothing_runs);
  EXPECT_THAT(lines, ::testing::UnorderedElementsAre("1", "2", "3"));
  EXPECT_THAT(ends, ::testing::UnorderedElementsAre(1, 2, 3));
}

TEST(Supervisor, AMegabyteOfInputReachesAChildThatAnswersAfterwards) {
  auto supervisor = Supervisor::create();
  ASSERT_TRUE(supervisor.has_value());
  std::vector<std::string> lines;
  Supervisor::Watch watch;
  watch.on_output = [&](std::string_view line) { lines.emplace_back(line); };
  const auto pid = (*supervisor)->start(shell("wc -c"), watch, std::string(1 << 20, 'x'));
  ASSERT_TRUE(pid.has_value());
  (*supervisor)->close_input(*pid);
  (*supervisor)->run([] { return false; }, soon());
  EXPECT_THAT(lines, ElementsAre("1048576"));
}

TEST(Supervisor, SigtermOfTheParentStopsTheLoopAndIsForgottenOnRequest) {
  auto supervisor = Supervisor::create();
  ASSERT_TRUE(supervisor.has_value());
  ASSERT_TRUE((*supervisor)->start(shell("exec sleep 60"), {}));
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ((*supervisor)->run([] { return false; }, soon()), Supervisor::Reason::stopped);
  EXPECT_EQ((*supervisor)->stop_signal(), SIGTERM);
  (*supervisor)->forget_stop();
  EXPECT_EQ((*supervisor)->stop_signal(), 0);
}

TEST(Supervisor, AChildThatIgnoresSigtermIsKilledAfterItsGrace) {
  auto supervisor = Supervisor::create();
  ASSERT_TRUE(supervisor.has_value());
  bool deaf = false;
  std::optional<ExitStatus> end;
  Supervisor::Watch watch;
  watch.on_output = [&](std::string_view) { deaf = true; };
  watch.on_exit = [&](const ExitStatus& status) { end = status; };
  const auto pid = (*supervisor)->start(shell("trap '' TERM; echo deaf; while :; do sleep 1; done"), watch);
  ASSERT_TRUE(pid.has_value());
  ASSERT_EQ((*supervisor)->run([&] { return deaf; }, soon()), Supervisor::Reason::done);
  (*supervisor)->stop({*pid}, milliseconds(50));
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->signal, SIGKILL);
  EXPECT_FALSE((*supervisor)->runs(*pid));
}

}  // namespace
}  // namespace chorus::sim
