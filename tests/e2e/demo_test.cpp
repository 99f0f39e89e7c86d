// What a newcomer runs first, in small: everything at once, on a file of ratings.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Demo : public ::testing::Test {
 protected:
  // A hundred people of a generated population; the files of the run are in `run`.
  Demo() : town_({.devices = 100}), run_(town_.folder.path() / "run") {}

  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"demo", "--ratings", (town_.folder.path() / "ratings.csv").string(), "--out",
                                 run_.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  Town town_;
  fs::path run_;
};

TEST_F(Demo, TrainsRecommendsAndRepeatsItself) {
  const Ran ran = run_program("chorus-sim", command({"--rounds", "2"}), std::chrono::seconds(120));
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("held-out RMSE"));
  EXPECT_THAT(ran.out, HasSubstr("recommended next"));
  EXPECT_THAT(ran.out, HasSubstr("replayed: every model version identical (4 versions)"));
  EXPECT_THAT(ran.out, HasSubstr((run_ / "report.json").string()));
  EXPECT_THAT(ran.err, HasSubstr("connected: 100 of 100 devices"));

  std::ifstream file(run_ / "report.json");
  const auto report = nlohmann::json::parse(file);
  EXPECT_EQ(report.at("devices_finished"), 100);
  EXPECT_EQ(report.at("devices_lost"), 0);
  EXPECT_EQ(report.at("processes_lost"), 0);
  ASSERT_EQ(report.at("rounds").size(), 4U);
  for (const auto& round : report.at("rounds")) EXPECT_EQ(round.at("devices"), 100);
  EXPECT_LT(report.at("rmse"), report.at("rmse_of_the_mean"));
  EXPECT_EQ(report.at("recommendations").at("recommended").size(), 10U);
  for (const auto& item : report.at("recommendations").at("recommended")) {
    EXPECT_FALSE(item.at("title").get<std::string>().empty());
    EXPECT_FALSE(item.at("reason").get<std::string>().empty());
  }
  EXPECT_TRUE(fs::exists(report.at("trace").get<std::string>()));
}

TEST_F(Demo, OverwritesNothing) {
  fs::create_directories(run_);
  std::ofstream(run_ / "thesis.txt") << "mine";
  const Ran ran = run_program("chorus-sim", command({}));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(last_line(ran.err), HasSubstr("nothing is overwritten"));
}

TEST_F(Demo, IsStoppedByASignalAndLeavesNoProcessBehind) {
  std::string said;
  std::optional<sim::ExitStatus> end;
  sim::Supervisor::Watch watch;
  watch.on_error = [&](std::string_view line) { said.append(line).append("\n"); };
  watch.on_exit = [&](const sim::ExitStatus& status) { end = status; };
  sim::ProcessOptions options;
  options.program = program("chorus-sim");
  options.arguments = command({"--rounds", "1000"});
  const pid_t pid = value_of(town_.supervisor->start(options, watch));
  ASSERT_TRUE(town_.until([&] { return said.find("training: 2") != std::string::npos; })) << said;
  std::ifstream endpoint(run_ / "coordinator" / "state" / "endpoint");
  std::string address;
  ASSERT_TRUE(std::getline(endpoint, address));
  town_.supervisor->signal(pid, SIGINT);
  ASSERT_TRUE(town_.until([&] { return end.has_value(); })) << said;
  EXPECT_EQ(end->status, 128 + SIGINT);
  EXPECT_THAT(last_line(said), HasSubstr("stopped; what it wrote is in"));
  // A coordinator that ended in order takes its endpoint along, and another may use its state.
  EXPECT_FALSE(fs::exists(run_ / "coordinator" / "state" / "endpoint"));
}

}  // namespace
}  // namespace chorus::e2e
