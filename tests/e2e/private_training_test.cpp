// Training under differential privacy with real processes: devices hide their updates in noise, the coordinator learns
// from the noisy sums alone, and every device's ledger is charged.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "certs/io/clock.hpp"
#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

TEST(PrivateTraining, RunsItsQuestionsThroughMaskedSumsWithTheDevicesNoise) {
  constexpr std::uint32_t kDevices = 80;
  Town town({.devices = kDevices,
             .rounds = 2,
             .cohort_size = 85,
             .model = {{"update", "dp"}, {"mu", "0.9"}, {"against", "coordinator"}, {"cohort", "80"}}});
  town.start_coordinator();
  sim::Fleet& fleet = town.start_fleet();
  ASSERT_TRUE(town.until([&] { return fleet.ended(); })) << fleet.report() << town.log();
  EXPECT_TRUE(town.logged("cohort aborted").empty()) << town.log();
  EXPECT_TRUE(town.logged("round aborted").empty()) << town.log();
  const auto rounds = town.trace();
  ASSERT_EQ(rounds.size(), 3U) << "counts, means and one question of taste; no round that measures errors";
  for (const auto& round : rounds) {
    ASSERT_EQ(round.cohorts.size(), 1U);
    EXPECT_EQ(round.cohorts.front().survivors.size(), kDevices);
    EXPECT_TRUE(round.released.has_value());
  }
  const Ran repeated = town.replay();
  EXPECT_EQ(repeated.status, 0) << repeated.out << repeated.err;
  EXPECT_THAT(town.log(), ::testing::Not(::testing::HasSubstr("NO DIFFERENCING PROTECTION")));
}

TEST(PrivateTraining, ARoundThatNoDeviceWouldJoinIsNotOpened) {
  Town town({.devices = 80,
             .rounds = 1,
             .cohort_size = 85,
             .model = {{"update", "dp"}, {"mu", "40"}, {"against", "coordinator"}, {"cohort", "80"}}});
  town.start_coordinator();
  town.start_fleet();
  ASSERT_TRUE(town.until([&] { return !town.logged("no more rounds: the privacy budget is spent").empty(); }))
      << town.log();
  EXPECT_TRUE(town.logged("round opened").empty()) << town.log();
}

TEST(PrivateTraining, ADeviceWhoseBudgetIsSpentSendsNothing) {
  // The first question alone costs more than the 8 that devices agree to.
  constexpr std::uint32_t kDevices = 80;
  Town town({.devices = kDevices,
             .rounds = 1,
             .cohort_size = 85,
             .model = {{"update", "dp"}, {"mu", "40"}, {"against", "coordinator"}, {"cohort", "80"}},
             .device_epsilon = 5'000});
  town.start_coordinator();
  town.start_fleet();
  ASSERT_TRUE(town.until([&] {
    return !town.logged("cohort aborted").empty() || !town.logged("round aborted").empty();
  })) << town.log();
  EXPECT_TRUE(town.trace().empty()) << "nothing was summed";
  EXPECT_THAT(town.log(),
              ::testing::AnyOf(::testing::HasSubstr("budget_exhausted"), ::testing::HasSubstr("cost_above_policy")));
}

TEST(PrivateTraining, APersonReadsWhatTheirDeviceSharedAndStopsItForGood) {
  constexpr std::uint32_t kOthers = 80;
  Town town({.devices = kOthers,
             .rounds = 2,
             .cohort_size = 85,
             .wanted = kOthers + 1,
             .model = {{"update", "dp"}, {"mu", "0.9"}, {"against", "coordinator"}, {"cohort", "80"}}});
  const std::string mine = (town.folder.path() / "mine").string();
  const std::string store = (town.folder.path() / "me.db").string();
  ASSERT_TRUE(town.authority->issue_device(mine, certs::wall_clock()));
  town.start_coordinator();
  town.start_fleet();
  const auto client = [&](const std::string& command, std::vector<std::string> options) {
    std::vector<std::string> arguments{command, "--json", "--store", store};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run_program(*town.supervisor, program("chorus-client"), std::move(arguments), std::chrono::seconds(120));
  };
  ASSERT_EQ(client("rate", {"1", "5"}).status, 0);
  const std::vector<std::string> sync{"--until-finished",
                                      "--coordinator",
                                      town.coordinator.host + ":" + std::to_string(town.coordinator.port),
                                      "--credentials",
                                      mine,
                                      "--least-identity-age",
                                      "0"};
  const Ran synced = client("sync", sync);
  ASSERT_EQ(synced.status, 0) << synced.err << town.log();

  const auto ledger = nlohmann::json::parse(client("ledger", {}).out);
  EXPECT_EQ(ledger["updates"], 3) << "counts, means and one question of taste";
  EXPECT_EQ(ledger["unprotected"], 0);
  ASSERT_EQ(ledger["shared"].size(), 3U);
  double alone = 0;
  for (const auto& update : ledger["shared"]) {
    EXPECT_EQ(update["others"], kOthers);
    EXPECT_EQ(update["ending"], "published");
    EXPECT_GT(update["honest"], 40);
    alone += update["epsilon"].get<double>();
  }
  const double spent = ledger["epsilon_spent"];
  EXPECT_GT(spent, 0);
  EXPECT_LT(spent, alone) << "costs do not add up";
  EXPECT_NEAR(spent + ledger["epsilon_left"].get<double>(), 8, 1e-9);
  // The model says what its job has cost, signed by the coordinator.
  const auto status = nlohmann::json::parse(client("status", {}).out);
  EXPECT_EQ(status["privacy"]["protected"], true);
  EXPECT_EQ(status["privacy"]["rounds"], 3);
  EXPECT_NEAR(status["privacy"]["epsilon_coordinator"].get<double>(), spent, 0.2) << "at the same delta";
  // Under a budget that is spent nothing more is shared: it says so without a round.
  EXPECT_EQ(nlohmann::json::parse(client("ledger", {"--epsilon", "1"}).out)["rounds_left"], 0);

  const Ran forgot = client("forget", {"--yes", "--credentials", mine});
  ASSERT_EQ(forgot.status, 0) << forgot.err;
  EXPECT_EQ(nlohmann::json::parse(forgot.out)["ratings"], 1);
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(mine) / "device.key"));
  const Ran again = client("sync", sync);
  EXPECT_EQ(again.status, 7) << again.err;
  EXPECT_THAT(again.err, ::testing::HasSubstr("stopped for good"));
  EXPECT_EQ(nlohmann::json::parse(client("ledger", {}).out)["updates"], 3);
}

TEST(PrivateTraining, ADeviceThatIsAskedForMoreThanItsUserAgreedToSharesNothing) {
  constexpr std::uint32_t kOthers = 80;
  Town town({.devices = kOthers,
             .rounds = 2,
             .cohort_size = 85,
             .wanted = kOthers + 1,
             .model = {{"update", "dp"}, {"mu", "0.9"}, {"against", "coordinator"}, {"cohort", "80"}}});
  const std::string mine = (town.folder.path() / "mine").string();
  const std::string store = (town.folder.path() / "me.db").string();
  ASSERT_TRUE(town.authority->issue_device(mine, certs::wall_clock()));
  town.start_coordinator();
  town.start_fleet();
  const auto client = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, {"--json", "--store", store});
    return run_program(*town.supervisor, program("chorus-client"), std::move(arguments), std::chrono::seconds(120));
  };
  const auto sync = [&](const std::string& limit, const std::string& value) {
    return std::vector<std::string>{"sync",
                                    "--json",
                                    "--store",
                                    store,
                                    "--rounds",
                                    "1",
                                    "--verbose",
                                    limit,
                                    value,
                                    "--coordinator",
                                    town.coordinator.host + ":" + std::to_string(town.coordinator.port),
                                    "--credentials",
                                    mine,
                                    "--least-identity-age",
                                    "0"};
  };
  // Runs until it says that it has declined a round; what it said.
  const auto until_declined = [&](std::vector<std::string> arguments) {
    std::string said;
    bool ended = false;
    sim::Supervisor::Watch watch;
    watch.on_output = [](std::string_view) {};
    watch.on_error = [&](std::string_view line) { said.append(line).append("\n"); };
    watch.on_exit = [&](const sim::ExitStatus&) { ended = true; };
    sim::ProcessOptions options;
    options.program = program("chorus-client");
    options.arguments = std::move(arguments);
    const pid_t pid = value_of(town.supervisor->start(options, watch));
    EXPECT_TRUE(town.until([&] { return ended || said.find("declined round") != std::string::npos; })) << said;
    town.supervisor->signal(pid, SIGINT);
    EXPECT_TRUE(town.until([&] { return ended; }));
    return said;
  };
  const auto updates = [&] { return nlohmann::json::parse(client({"ledger"}).out)["updates"].get<int>(); };

  EXPECT_THAT(until_declined(sync("--least-cohort", "200")), ::testing::HasSubstr("the user asked for 200"));
  EXPECT_EQ(updates(), 0);
  const Ran once = run_program(*town.supervisor, program("chorus-client"), sync("--least-interval", "24"),
                               std::chrono::seconds(120));
  ASSERT_EQ(once.status, 0) << once.err << town.log();
  EXPECT_EQ(updates(), 1);
  EXPECT_THAT(until_declined(sync("--least-interval", "24")), ::testing::HasSubstr("at most every 86400 s"));
  EXPECT_EQ(updates(), 1);
}

}  // namespace
}  // namespace chorus::e2e
