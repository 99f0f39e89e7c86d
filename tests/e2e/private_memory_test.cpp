// Row 19 of the attack table, for the programs: nobody else reads what they hold, and no core dump keeps it.
#include <fstream>
#include <optional>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

// What the system says of a process just before it exits.
struct Process {
  uid_t owner = 0;         // of its environment in /proc: root, if others of its user may not read it
  std::string core_limit;  // the line of /proc/PID/limits
};

[[noreturn]] void become(int program, const std::string& name) {
  // Root owns everything of its own: another user tells the difference.
  const bool ready = (::geteuid() != 0 || (::setgid(kNobody) == 0 && ::setuid(kNobody) == 0)) &&
                     ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
  if (ready) {
    std::string own_name = name;
    std::string argument = "--version";
    char* const arguments[] = {own_name.data(), argument.data(), nullptr};
    ::fexecve(program, arguments, environ);
  }
  ::_exit(127);
}

// Runs `program --version` up to its end. Absent where processes may not be traced.
std::optional<Process> run(const fs::path& program) {
  const int file = ::open(program.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error(program.string() + " cannot be opened");
  const pid_t pid = ::fork();
  if (pid == 0) become(file, program.filename().string());
  ::close(file);
  std::optional<Process> process;
  int status = 0;
  while (::waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
    const bool exits = status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXIT << 8));
    if (!exits) {  // its first instruction
      ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
    } else {
      const fs::path proc = fs::path("/proc") / std::to_string(pid);
      struct stat environment{};
      EXPECT_EQ(::stat((proc / "environ").c_str(), &environment), 0);
      process.emplace();
      process->owner = environment.st_uid;
      std::ifstream limits(proc / "limits");
      for (std::string line; std::getline(limits, line);) {
        if (line.starts_with("Max core file size")) process->core_limit = line;
      }
    }
    ::ptrace(PTRACE_CONT, pid, nullptr, nullptr);
  }
  EXPECT_TRUE(WIFEXITED(status));
  return process;
}

TEST(Attack, Row19ProgramsLeaveNoCoreDumpAndOthersDoNotReadTheirMemory) {
  const auto control = run("/bin/true");
  if (!control) GTEST_SKIP() << "processes may not be traced here";
  ASSERT_NE(control->owner, 0U) << "any other program of this user may be read by it";
  for (const char* name : {"chorus-coordinator", "chorus-client", "chorus-sim", "chorus-certs"}) {
    const auto process = run(program(name));
    ASSERT_TRUE(process) << name;
    EXPECT_EQ(process->owner, 0U) << name;
    EXPECT_THAT(process->core_limit, ::testing::MatchesRegex("Max core file size +0 +0 +bytes *")) << name;
  }
}

}  // namespace
}  // namespace chorus::e2e
