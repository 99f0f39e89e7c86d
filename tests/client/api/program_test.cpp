// chorus-client and the examples as a person runs them: exit statuses, what stands on which output, and a whole town.
#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "certs/io/clock.hpp"
#include "tests/e2e/town.hpp"

namespace chorus {
namespace {

using e2e::Ran;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ProgramTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  // With the store of this test.
  Ran run(std::vector<std::string> arguments) const {
    if (!arguments.empty() && !arguments[0].starts_with("-")) {
      arguments.insert(arguments.begin() + 1, {"--store", path("me.db")});
    }
    return e2e::run_program("chorus-client", std::move(arguments));
  }

  e2e::TemporaryFolder folder_;
};

TEST_F(ProgramTest, HelpTeachesEveryCommand) {
  const Ran help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("chorus-client import"), HasSubstr("Exit status:")));
  for (const char* command :
       {"import", "rate", "remove", "enrol", "renew", "sync", "recommend", "status", "leave", "ledger", "forget"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("  ") + command));
    const Ran more = run({command, "--help"});
    EXPECT_EQ(more.status, 0);
    EXPECT_THAT(more.out, AllOf(HasSubstr("--json"), HasSubstr("--store"), HasSubstr("Exit status:")));
  }
}

TEST_F(ProgramTest, AWrongCommandLineEndsWithTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"fly"},
      {"import"},
      {"rate", "a"},
      {"rate", "a", "five"},
      {"sync"},
      {"recommend", "--top", "0"},
      {"sync", "--coordinator", "x:1", "--rounds", "2", "--until-finished"}};
  for (const auto& arguments : wrong) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(ran.err, Not(IsEmpty()));
  }
  EXPECT_EQ(run({"sync", "--coordinator", "noport"}).status, 2);
}

TEST_F(ProgramTest, ABadLineIsNamedAndEndsWithThree) {
  const std::string file = write("bad.csv", "item,rating\na,4\nb,nan\n");
  const Ran ran = run({"import", file});
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.err, HasSubstr(file + ":3: expected a number, found 'nan'"));
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_EQ(json::parse(run({"status", "--json"}).out)["ratings"], 0);

  const Ran as_json = run({"import", file, "--json"});
  EXPECT_EQ(as_json.status, 3);
  EXPECT_EQ(json::parse(as_json.out)["error"]["code"], "non_finite");
  EXPECT_EQ(json::parse(as_json.out)["error"]["where"], file + ":3");

  const Ran skipped = run({"import", file, "--skip-bad-lines"});
  EXPECT_EQ(skipped.status, 0);
  EXPECT_THAT(skipped.out, HasSubstr("1 bad line was left out"));
}

TEST_F(ProgramTest, OtherErrorsHaveStatusesOfTheirOwn) {
  EXPECT_EQ(run({"import", path("none.csv")}).status, 1);
  EXPECT_EQ(run({"import", write("empty.csv", "")}).status, 3);
  EXPECT_EQ(run({"import", write("two.csv", "user,item,rating\n1,a,2\n2,a,3\n")}).status, 2);
  EXPECT_EQ(run({"rate", "a", "nan"}).status, 3);
  EXPECT_EQ(run({"recommend"}).status, 8);
  EXPECT_EQ(run({"sync", "--coordinator", "127.0.0.1:1", "--credentials", path("none")}).status, 1);
}

TEST_F(ProgramTest, EveryCommandPrintsOneJsonObject) {
  const std::string file = write("r.csv", "item,rating\na,4\nb,5\na,3\n");
  const json imported = json::parse(run({"import", file, "--json"}).out);
  EXPECT_EQ(imported["ratings"], 2);
  EXPECT_EQ(imported["duplicates"], 1);
  EXPECT_TRUE(imported["unknown"].is_null());
  EXPECT_EQ(json::parse(run({"rate", "a", "5", "--json"}).out)["replaced"], true);
  EXPECT_EQ(json::parse(run({"remove", "a", "--json"}).out)["removed"], true);
  EXPECT_EQ(json::parse(run({"remove", "a", "--json"}).out)["removed"], false);
  const json status = json::parse(run({"status", "--json"}).out);
  EXPECT_EQ(status["ratings"], 1);
  EXPECT_TRUE(status["job"].is_null());
  EXPECT_EQ(json::parse(run({"leave", "--json"}).out)["left"], true);
}

TEST_F(ProgramTest, ASignalEndsASyncWithZero) {
  e2e::Town town({.devices = 1, .enrolled = 1});
  for (const int signal : {SIGTERM, SIGINT}) {
    pid_t client = 0;
    std::string out;
    std::optional<sim::ExitStatus> end;
    sim::Supervisor::Watch watch;
    watch.on_output = [&](std::string_view line) { out += line; };
    watch.on_error = [&](std::string_view line) {
      if (line.find("trying again") != std::string_view::npos) town.supervisor->signal(client, signal);
    };
    watch.on_exit = [&](const sim::ExitStatus& status) { end = status; };
    sim::ProcessOptions options;
    options.program = e2e::program("chorus-client");
    // Nobody listens on this port.
    options.arguments = {"sync",
                         "--store",
                         path("me.db"),
                         "--coordinator",
                         "127.0.0.1:1",
                         "--credentials",
                         town.enrolled.at(0).folder.string(),
                         "--verbose",
                         "--json"};
    client = e2e::value_of(town.supervisor->start(options, watch));
    EXPECT_TRUE(town.until([&] { return end.has_value(); }));
    EXPECT_EQ(end->signal, 0);
    EXPECT_EQ(end->status, 0);
    EXPECT_EQ(json::parse(out)["ending"], "cancelled");
  }
}

// Eighty devices; the first round opens when two more are ready.
class TownTest : public ProgramTest {
 protected:
  TownTest() : town_({.devices = 80, .enrolled = 80, .items = 120, .rounds = 2, .wanted = 82}) {
    for (const char* name : {"one", "two"}) {
      EXPECT_TRUE(town_.authority->issue_device(folder_.path() / name, certs::wall_clock()).has_value());
    }
    std::string ratings = "item,rating\n";
    for (int item = 1; item <= 20; ++item) ratings += std::to_string(item) + "," + std::to_string(1 + item % 5) + "\n";
    ratings_ = write("ratings.csv", ratings + "unheard of,5\n");
  }
  std::string place() const { return town_.coordinator.host + ":" + std::to_string(town_.coordinator.port); }
  Ran in_town(const std::filesystem::path& program, std::vector<std::string> arguments) {
    return e2e::run_program(*town_.supervisor, program, std::move(arguments), std::chrono::seconds(100));
  }
  Ran client(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, {"--json", "--store", path("me.db")});
    return in_town(e2e::program("chorus-client"), std::move(arguments));
  }
  static std::filesystem::path example(const std::string& name) {
    return std::filesystem::path(CHORUS_BIN_DIR).parent_path() / "examples" / name;
  }

  e2e::Town town_;
  std::string ratings_;
};

TEST_F(TownTest, ADeviceTakesPartAndIsRecommendedItemsWithReasonsThatAddUp) {
  town_.start_coordinator();
  const std::vector<std::string> sync = {
      "sync", "--coordinator", place(), "--credentials", path("one"), "--without-noise", "--least-identity-age", "0"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), sync.begin(), sync.end());
    return more;
  };
  ASSERT_EQ(client({"import", ratings_}).status, 0);

  // Alone it waits, and recommends meanwhile from what there is.
  const Ran alone = client(with({"--patience", "0.5"}));
  EXPECT_EQ(alone.status, 6) << alone.err;
  EXPECT_EQ(json::parse(alone.out)["ending"], "impatient");
  EXPECT_EQ(json::parse(alone.out)["devices_needed"], e2e::kLeastCohort);
  EXPECT_THAT(alone.err, IsEmpty());  // no terminal, no progress
  EXPECT_EQ(json::parse(client({"recommend"}).out)["basis"], "catalogue");

  // chorus-client and the C++ example are the two that the first round waits for.
  town_.start_fleet();
  std::string out;
  std::optional<sim::ExitStatus> end;
  sim::Supervisor::Watch watch;
  watch.on_output = [&](std::string_view line) { out += line; };
  watch.on_exit = [&](const sim::ExitStatus& status) { end = status; };
  sim::ProcessOptions options;
  options.program = e2e::program("chorus-client");
  options.arguments = with({"--until-finished", "--json", "--store", path("me.db")});
  ASSERT_TRUE(town_.supervisor->start(options, watch).has_value());
  const Ran app = in_town(example("chorus_example_recommend"), {path("app.db"), path("two"), place(), ratings_});
  EXPECT_EQ(app.status, 0) << app.err;
  EXPECT_THAT(app.out, HasSubstr("21 ratings"));
  EXPECT_THAT(app.err, HasSubstr("round 1 published the sum of 82 devices"));
  ASSERT_TRUE(town_.until([&] { return end.has_value(); }));
  EXPECT_EQ(end->status, 0);
  EXPECT_EQ(json::parse(out)["ending"], "finished");
  EXPECT_EQ(json::parse(out)["rounds"], 4);  // the survey, two of training, and the measurement

  const json best = json::parse(client({"recommend", "--top", "7"}).out);
  EXPECT_EQ(best["basis"], "personal");
  ASSERT_THAT(best["items"], SizeIs(7));
  for (const json& item : best["items"]) {
    double sum = 0;
    for (const auto& [name, amount] : item["parts"].items()) sum += amount.get<double>();
    EXPECT_NEAR(sum, item["score"].get<double>(), 1e-6);
    EXPECT_GT(std::stoi(item["item"].get<std::string>()), 20);  // the first twenty are rated
    EXPECT_THAT(item["why"].get<std::string>(), Not(IsEmpty()));
  }
  const json status = json::parse(client({"status"}).out);
  EXPECT_EQ(status["ratings"], 21);
  EXPECT_EQ(status["unknown"], 1);
  EXPECT_EQ(status["training_rounds"], 2);
  ASSERT_THAT(status["history"], SizeIs(4));
  EXPECT_EQ(status["history"][0]["ending"], "measured");
  EXPECT_EQ(status["history"][3]["survivors"], 82);

  const Ran in_c = in_town(example("chorus_example_status"), {path("c.db"), path("two"), place(), "7", "5"});
  EXPECT_EQ(in_c.status, 0) << in_c.err;
  EXPECT_THAT(in_c.out, HasSubstr("1 ratings, 120 items, model version 3\n"));
  EXPECT_EQ(std::ranges::count(in_c.out, '\n'), 4);  // and three recommendations
  EXPECT_TRUE(town_.stop_coordinator().success());
}

}  // namespace
}  // namespace chorus
