// Families of events with real processes: devices that chose items train together, and a person is recommended others.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "certs/io/clock.hpp"
#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

constexpr std::uint32_t kDevices = 80;

struct Case {
  std::string family;
  model::Settings settings;
  std::uint32_t rounds;
};

class EventFamilies : public ::testing::TestWithParam<Case> {
 protected:
  EventFamilies()
      : town_({.devices = kDevices,
               .items = 120,
               .rounds = GetParam().rounds,
               .cohort_size = 85,
               .wanted = kDevices + 1,
               .family = GetParam().family,
               .model = GetParam().settings}),
        mine_((town_.folder.path() / "mine").string()),
        store_((town_.folder.path() / "me.db").string()) {
    EXPECT_TRUE(town_.authority->issue_device(mine_, certs::wall_clock()));
  }
  Ran client(const std::string& command, const std::vector<std::string>& options) {
    std::vector<std::string> arguments{command, "--json", "--store", store_};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run_program(*town_.supervisor, program("chorus-client"), std::move(arguments), std::chrono::seconds(120));
  }

  Town town_;
  std::string mine_;
  std::string store_;
};

TEST_P(EventFamilies, TrainThroughMaskedSumsAndRecommend) {
  town_.start_coordinator();
  sim::Fleet& fleet = town_.start_fleet();
  // A person beside the fleet, who chose what the first of its people did.
  std::set<std::string> chosen;
  const std::uint32_t first = town_.data.training.entries.front().user;
  for (const dataset::Entry& entry : town_.data.training.entries) {
    if (entry.user != first) continue;
    const std::string item = town_.data.catalogue.items()[entry.item].id;
    const Ran rated = client("rate", {item, "1"});
    ASSERT_EQ(rated.status, 0) << rated.err;
    chosen.insert(item);
  }
  const Ran synced = client("sync", {"--until-finished", "--coordinator",
                                     town_.coordinator.host + ":" + std::to_string(town_.coordinator.port),
                                     "--credentials", mine_, "--least-identity-age", "0", "--without-noise"});
  ASSERT_EQ(synced.status, 0) << synced.err << town_.log();
  ASSERT_TRUE(town_.until([&] { return fleet.ended(); })) << fleet.report() << town_.log();
  EXPECT_TRUE(town_.logged("cohort aborted").empty()) << town_.log();
  std::uint32_t trained = 0;
  for (const auto& round : town_.trace()) {
    ASSERT_EQ(round.cohorts.size(), 1U);
    EXPECT_EQ(round.cohorts.front().survivors.size(), kDevices + 1);
    trained += round.purpose == plan::Purpose::train ? 1 : 0;
  }
  EXPECT_EQ(trained, GetParam().rounds);

  const Ran recommended = client("recommend", {"--top", "10"});
  ASSERT_EQ(recommended.status, 0) << recommended.err;
  const auto items = nlohmann::json::parse(recommended.out)["items"];
  ASSERT_EQ(items.size(), 10U) << recommended.out;
  double before = 1e300;
  for (const auto& item : items) {
    EXPECT_FALSE(chosen.contains(item["item"].get<std::string>())) << "it was chosen already";
    EXPECT_LE(item["score"].get<double>(), before);
    before = item["score"].get<double>();
  }
  EXPECT_GT(items.front()["score"].get<double>(), 0);
}

INSTANTIATE_TEST_SUITE_P(Families, EventFamilies,
                         ::testing::Values(Case{"ease", {}, 1}, Case{"ials", {{"rank", "8"}}, 3},
                                           Case{"bpr", {{"rank", "7"}}, 2}),
                         [](const auto& named) { return named.param.family; });

}  // namespace
}  // namespace chorus::e2e
