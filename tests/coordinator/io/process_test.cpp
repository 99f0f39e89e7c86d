// The program itself: its exit statuses, its files, its signals.
#include <csignal>
#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "certs/io/authority.hpp"
#include "certs/io/clock.hpp"
#include "common/dataset/item_files.hpp"
#include "coordinator/config/samples.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

namespace fs = std::filesystem;

// A running chorus-coordinator; both its outputs are one text.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    std::string program = CHORUS_BIN_DIR "/chorus-coordinator";
    std::vector<char*> raw = {program.data()};
    for (auto& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::dup2(ends[1], STDERR_FILENO);
      ::execv(raw[0], raw.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ends[0];
  }
  ~Process() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
    ::close(output_);
  }

  // Reads on until the text is there; false if the process ends (or twenty seconds pass) without it.
  bool says(std::string_view text) {
    while (said_.find(text) == std::string::npos) {
      if (!read_some()) return false;
    }
    return true;
  }
  void signal(int number) const { ::kill(process_, number); }
  // Its exit status; -1 if a signal ended it.
  int wait() {
    while (read_some()) continue;
    int status = 0;
    ::waitpid(process_, &status, 0);
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  bool read_some() {
    pollfd readable{.fd = output_, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, 20'000) <= 0) return false;
    char text[4096];
    const ssize_t count = ::read(output_, text, sizeof text);
    if (count <= 0) return false;
    said_.append(text, static_cast<std::size_t>(count));
    return true;
  }

  pid_t process_ = -1;
  int output_ = -1;
  std::string said_;
};

class ProcessTest : public ::testing::Test {
 protected:
  ProcessTest() {
    std::string pattern = (fs::temp_directory_path() / "chorus-process-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    auto authority = certs::Authority::create(folder_ / "authority", certs::wall_clock(), random_).value();
    const std::vector<std::string> hosts = {"127.0.0.1"};
    EXPECT_TRUE(authority.issue_coordinator(hosts, folder_ / "certificates", certs::wall_clock()).has_value());
    write("coordinator.toml", "listen = [\"127.0.0.1:0\"]\nstate = \"state\"\ncertificates = \"certificates\"\n");
    write("job.toml", "name = \"movies\"\ncatalogue = \"items.tsv\"\n");
    write("items.tsv", dataset::item_table(test::make_items(20)));
  }
  ~ProcessTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  [[nodiscard]] std::vector<std::string> command(const std::string& name) const {
    return {name, "--config", file("coordinator.toml"), "--job", file("job.toml")};
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (folder_ / name).string(); }

  sim::SeededRandom random_{5};
  fs::path folder_;
};

TEST_F(ProcessTest, PrintsItsSamples) {
  Process config({"sample-config"});
  EXPECT_EQ(config.wait(), 0);
  EXPECT_EQ(config.said(), sample_coordinator_file());
  Process job({"sample-job"});
  EXPECT_EQ(job.wait(), 0);
  EXPECT_EQ(job.said(), sample_job_file());
}

TEST_F(ProcessTest, AWrongCommandLineOrFileIsStatusTwoAndNamed) {
  EXPECT_EQ(Process(std::vector<std::string>()).wait(), 2);
  EXPECT_EQ(Process({"dance"}).wait(), 2);
  EXPECT_EQ(Process({"serve"}).wait(), 2);
  EXPECT_EQ(Process({"--help"}).wait(), 0);
  write("job.toml", "name = \"movies\"\ncatalogue = \"items.tsv\"\ncolour = 3\n");
  for (const std::string name : {"check", "serve"}) {
    Process process(command(name));
    EXPECT_EQ(process.wait(), 2);
    EXPECT_NE(process.said().find(file("job.toml") + ":3: unknown key 'colour'"), std::string::npos) << process.said();
    if (name == "serve") {
      EXPECT_EQ(std::count(process.said().begin(), process.said().end(), '\n'), 1);
    } else {
      EXPECT_EQ(process.said().find("CH-0203 error: "), 0U) << process.said();
    }
  }
  EXPECT_FALSE(fs::exists(folder_ / "state"));
}

TEST_F(ProcessTest, CheckSaysWhatWouldRunAndTouchesNothing) {
  Process check(command("check"));
  EXPECT_EQ(check.wait(), 0);
  EXPECT_NE(check.said().find("job 'movies': 20 items"), std::string::npos) << check.said();
  EXPECT_FALSE(fs::exists(folder_ / "state"));
  fs::remove(folder_ / "certificates" / "crl.pem");
  Process without_list(command("check"));
  EXPECT_EQ(without_list.wait(), 2);
  EXPECT_EQ(without_list.said().find("CH-0401 error: "), 0U) << without_list.said();
  EXPECT_NE(without_list.said().find("crl.pem"), std::string::npos) << without_list.said();
  EXPECT_NE(without_list.said().find("chorus-coordinator explain CH-0401"), std::string::npos) << without_list.said();
  EXPECT_FALSE(fs::exists(folder_ / "state"));
}

TEST_F(ProcessTest, CheckFindsAllThatIsWrongAtOnce) {
  write("job.toml", "name = \"movies\"\ncatalogue = \"nowhere.tsv\"\n");
  write("coordinator.toml", "listen = [\"192.0.2.1:7443\"]\nstate = \"job.toml/state\"\ncertificates = \"nowhere\"\n");
  Process check(command("check"));
  EXPECT_EQ(check.wait(), 2);
  for (const char* number : {"CH-0301 error", "CH-0401 error", "CH-0506 error", "CH-0507 error"}) {
    EXPECT_NE(check.said().find(number), std::string::npos) << number << " is not in " << check.said();
  }
  auto as_json = command("check");
  as_json.push_back("--json");
  Process json(as_json);
  EXPECT_EQ(json.wait(), 2);
  EXPECT_EQ(json.said().find("{\"starts\":false,\"findings\":[{\"number\":\"CH-0301\",\"severity\":\"error\""), 0U)
      << json.said();
}

// Files that are right, on a machine that is not ready.
TEST_F(ProcessTest, CheckTellsTheMachineFromTheFiles) {
  write("coordinator.toml", "listen = [\"192.0.2.1:7443\"]\nstate = \"state\"\ncertificates = \"certificates\"\n");
  Process check(command("check"));
  EXPECT_EQ(check.wait(), 1);
  EXPECT_NE(check.said().find("CH-0506 error: 192.0.2.1:7443: "), std::string::npos) << check.said();
  EXPECT_EQ(check.said().find("job 'movies'"), std::string::npos) << check.said();
}

TEST_F(ProcessTest, ExplainsWhatCheckFinds) {
  Process page({"explain", "CH-0401"});
  EXPECT_EQ(page.wait(), 0);
  EXPECT_EQ(page.said().find("## CH-0401: "), 0U) << page.said();
  Process list({"explain"});
  EXPECT_EQ(list.wait(), 0);
  EXPECT_NE(list.said().find("CH-0601  The job could not run\n"), std::string::npos) << list.said();
  Process nothing({"explain", "CH-9999"});
  EXPECT_EQ(nothing.wait(), 2);
  EXPECT_NE(nothing.said().find("there is no page 'CH-9999'"), std::string::npos) << nothing.said();
}

TEST_F(ProcessTest, ServesUntilASignalAndKeepsASecondOneAway) {
  Process first(command("serve"));
  ASSERT_TRUE(first.says("listening")) << first.said();
  EXPECT_NE(first.said().find("NO DIFFERENCING PROTECTION"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder_ / "state" / "endpoint"));
  Process second(command("serve"));
  EXPECT_EQ(second.wait(), 1);
  EXPECT_NE(second.said().find("another coordinator is using this state folder"), std::string::npos) << second.said();
  first.signal(SIGTERM);
  EXPECT_EQ(first.wait(), 0) << first.said();
  EXPECT_FALSE(fs::exists(folder_ / "state" / "endpoint"));
}

TEST_F(ProcessTest, AHangupReloadsTheCatalogueAndSaysWhatItRefuses) {
  Process process(command("serve"));
  ASSERT_TRUE(process.says("waiting for devices")) << process.said();
  write("items.tsv", dataset::item_table(test::make_items(21)));
  process.signal(SIGHUP);
  ASSERT_TRUE(process.says("items=21")) << process.said();
  write("items.tsv", dataset::item_table(test::make_items(3)));
  process.signal(SIGHUP);
  ASSERT_TRUE(process.says("cannot be removed")) << process.said();
  write("coordinator.toml", "nonsense");
  process.signal(SIGHUP);
  ASSERT_TRUE(process.says("cannot reload")) << process.said();
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 0);
}

TEST_F(ProcessTest, AnotherJobInTheStateFolderIsStatusOne) {
  {
    Process process(command("serve"));
    ASSERT_TRUE(process.says("listening")) << process.said();
    process.signal(SIGTERM);
    EXPECT_EQ(process.wait(), 0);
  }
  write("job.toml", "name = \"movies\"\ncatalogue = \"items.tsv\"\n[model]\nrank = 7\n");
  Process process(command("serve"));
  EXPECT_EQ(process.wait(), 1);
  EXPECT_NE(process.said().find("[model] rank is 15 there and 7 here"), std::string::npos) << process.said();
}

TEST_F(ProcessTest, ASubmittedJobRunsAgainAfterKill9UntilItIsStopped) {
  write("coordinator.toml",
        "listen = [\"127.0.0.1:0\"]\nstate = \"state\"\ncertificates = \"certificates\"\n"
        "[admin]\nlisten = \"127.0.0.1:0\"\n");
  const std::vector<std::string> serve{"serve", "--config", file("coordinator.toml")};
  const auto job = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "job");
    words.insert(words.end(), {"--state", file("state")});
    return words;
  };
  {
    Process coordinator(serve);
    ASSERT_TRUE(coordinator.says("dashboard")) << coordinator.said();
    Process submit(job({"submit", file("job.toml")}));
    EXPECT_EQ(submit.wait(), 0) << submit.said();
    write("other.toml", "name = \"movies\"\ncatalogue = \"items.tsv\"\nrounds = 3\n");
    Process other(job({"submit", file("other.toml")}));
    EXPECT_EQ(other.wait(), 1);
    EXPECT_NE(other.said().find("another job 'movies' runs already"), std::string::npos) << other.said();
    write("other.toml", "name = \"books\"\ncatalogue = \"none.tsv\"\n");
    Process missing(job({"submit", file("other.toml")}));
    EXPECT_EQ(missing.wait(), 1);
    EXPECT_NE(missing.said().find(file("none.tsv")), std::string::npos) << missing.said();
    coordinator.signal(SIGKILL);
    coordinator.wait();
  }
  {
    Process coordinator(serve);
    ASSERT_TRUE(coordinator.says("name=movies")) << coordinator.said();
    ASSERT_TRUE(coordinator.says("dashboard")) << coordinator.said();
    Process stop(job({"stop", "movies"}));
    EXPECT_EQ(stop.wait(), 0) << stop.said();
    Process audit(job({"audit"}));
    EXPECT_EQ(audit.wait(), 0) << audit.said();
    EXPECT_NE(audit.said().find("admin  stop  movies"), std::string::npos) << audit.said();
    Process end(job({"shutdown"}));
    EXPECT_EQ(end.wait(), 0) << end.said();
    EXPECT_EQ(coordinator.wait(), 0);
  }
  Process coordinator(serve);
  EXPECT_TRUE(coordinator.says("a job of the state folder is not run")) << coordinator.said();
  EXPECT_TRUE(coordinator.says("dashboard")) << coordinator.said();
}

TEST_F(ProcessTest, IsReadyAgainAfterKill9) {
  for (int i = 0; i < 3; ++i) {
    Process process(command("serve"));
    ASSERT_TRUE(process.says("listening")) << process.said();
    process.signal(SIGKILL);
    EXPECT_EQ(process.wait(), -1);
  }
}

}  // namespace
}  // namespace chorus::coordinator
