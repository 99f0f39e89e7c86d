// A federation whose rounds combine their cohorts' sums by a rule: what it waits for, what it refuses, and that a
// replay makes the same bytes.
#include <gmock/gmock.h>

#include "simulations/world/population.hpp"
#include "simulations/world/replay.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

constexpr std::uint32_t kItems = 20;

JobStart start_of(std::uint64_t rounds) {
  return new_job(make_job(rounds), make_items(kItems), make_key()).value();
}

FederationSettings settings_with(Combination combination) {
  FederationSettings settings = make_settings();
  settings.rule.combination = combination;
  return settings;
}

// The trace of the town's rounds, from its header on.
std::string trace_of(Town& town) {
  const JobStart start = start_of(1);
  const protocol::JobDescription& job = town.federation().publisher().job();
  std::string trace = to_json_line(TraceHeader{.job = job.id(),
                                               .name = job.name,
                                               .family = job.family,
                                               .settings = job.settings,
                                               .contract = job.contract,
                                               .items = kItems,
                                               .max_contributors = job.max_contributors,
                                               .model = start.version.header.tensors}) +
                      "\n";
  for (const std::string& line : town.store.trace) trace += line + "\n";
  return trace;
}

// The devices 1 to `count` with the ratings that they hold.
sim::Population population_of(Town& town, std::uint32_t count) {
  std::vector<std::string> users;
  std::vector<std::string> items;
  for (std::uint32_t u = 1; u <= count; ++u) users.push_back(std::to_string(u));
  for (std::uint32_t i = 0; i < kItems; ++i) items.push_back(std::to_string(i));
  dataset::RatingTable training;
  training.users = std::make_shared<const dataset::IdMap>(dataset::IdMap::of(users));
  training.items = std::make_shared<const dataset::IdMap>(dataset::IdMap::of(items));
  dataset::RatingTable held_out = training;
  std::string enrolled;
  for (std::uint32_t u = 1; u <= count; ++u) {
    const auto add = [u](dataset::RatingTable& table, const std::vector<model::Observation>& ratings) {
      for (const auto& rating : ratings) {
        table.entries.push_back({.user = u - 1, .item = rating.item, .value = rating.value, .when = rating.when});
      }
    };
    add(training, town.device(u).training);
    add(held_out, town.device(u).held_out);
    enrolled += to_string(device_id(u)) + "\t" + std::to_string(u) + "\n";
  }
  sim::Population population(training, held_out);
  EXPECT_TRUE(population.enrol(enrolled).has_value());
  return population;
}

TEST(RobustRounds, WaitForAsManyDevicesAsThreeCohortsNeed) {
  Town town(settings_with(Combination::median), start_of(1));
  town.connect(1, 11);
  town.advance(60s);
  EXPECT_TRUE(town.logged<RoundOpened>().empty());
  ASSERT_FALSE(town.logged<WaitingForDevices>().empty());
  EXPECT_EQ(town.logged<WaitingForDevices>().front().needed, 12U);
  town.connect(12);
  town.advance(5s);
  ASSERT_FALSE(town.logged<RoundOpened>().empty());
  EXPECT_EQ(town.logged<RoundOpened>().front().cohorts, 3U);
  EXPECT_EQ(town.logged<RoundOpened>().front().members, 12U);
}

TEST(RobustRounds, AreRepeatedByteForByteByTheRuleInTheirTrace) {
  Digest plain{};
  for (const Combination combination :
       {Combination::mean, Combination::median, Combination::trimmed_mean, Combination::norm_filtered}) {
    Town town(settings_with(combination), start_of(3));
    town.connect(1, 13);  // cohorts of 5, 4 and 4
    town.advance(5s);
    ASSERT_TRUE(town.federation().finished()) << to_string(combination);
    const Digest made = town.federation().version().header.tensors;
    if (combination == Combination::mean) {
      plain = made;
    } else if (combination != Combination::norm_filtered) {
      EXPECT_NE(made, plain) << to_string(combination) << " changes what is published";
    }
    const sim::Population population = population_of(town, 13);
    std::string trace = trace_of(town);
    const auto repeated = sim::replay(trace, population, {}, 2);
    ASSERT_TRUE(repeated.has_value()) << to_string(combination) << ": " << repeated.error().to_string();
    EXPECT_EQ(repeated->versions, 5U) << "the first, the survey's, three of training";
    if (combination != Combination::median) continue;
    // Another rule makes other bytes.
    const std::string_view rule = R"("name":"median")";
    for (std::size_t at = trace.find(rule); at != std::string::npos; at = trace.find(rule)) {
      trace.replace(at, rule.size(), R"("name":"trimmed-mean")");
    }
    const auto other = sim::replay(trace, population, {}, 2);
    // Of three cohorts a quarter, rounded up, leaves one at each end: the median.
    EXPECT_TRUE(other.has_value());
    for (std::size_t at = trace.find(R"(,"rule")"); at != std::string::npos; at = trace.find(R"(,"rule")")) {
      trace.erase(at, trace.find('}', at) + 1 - at);
    }
    EXPECT_EQ(sim::replay(trace, population, {}, 2).error().code(), ErrorCode::corrupt);
  }
}

TEST(RobustRounds, AbortWhereTooFewCohortsAreLeftToKnowAMiddleBy) {
  Town town(settings_with(Combination::trimmed_mean), start_of(1));
  town.add(3).manner = Manner::does_not_clip;
  town.connect(1, 12);
  town.advance(5s);
  const auto aborted = town.logged<RoundAborted>();
  ASSERT_FALSE(aborted.empty());
  EXPECT_EQ(aborted.front().reason.code(), ErrorCode::below_threshold);
  EXPECT_NE(aborted.front().reason.sentence().find("needs the sums of 3 cohorts; this round has 2"), std::string::npos);
  EXPECT_EQ(town.federation().version().header.version, ModelVersion(0)) << "nothing is published";
}

TEST(RobustRounds, LeaveACohortThatIsTooLoudOutWholeAndCountIt) {
  const auto closed = [](Manner manner) {
    FederationSettings settings = settings_with(Combination::norm_filtered);
    settings.rule.most_norm = 4;  // cohorts of five differ a lot
    Town town(settings, start_of(1));
    town.add(5).manner = manner;
    town.connect(1, 25);
    town.advance(5s);
    return town.logged<RoundClosed>().at(1);  // the training round, after the survey
  };
  EXPECT_EQ(closed(Manner::delivers).cohorts_left_out, 0U);
  const RoundClosed loud = closed(Manner::exaggerates);
  EXPECT_EQ(loud.cohorts_left_out, 1U);
  EXPECT_EQ(loud.cohorts_aborted, 0U) << "its sum is within the clips";
}

TEST(RobustRounds, AreRefusedForModelsAndRoundsThatCannotHaveThem) {
  sim::SeededRandom random(1);
  const Enrolment enrolment;
  const auto error_of = [&](const FederationSettings& settings) {
    const auto made = Federation::create(settings, start_of(1), enrolment.admission(), random, kTestFloors);
    return made ? std::string() : made.error().to_string();
  };
  FederationSettings settings = settings_with(Combination::median);
  EXPECT_EQ(error_of(settings), "");
  settings.devices = 11;
  EXPECT_THAT(error_of(settings), ::testing::HasSubstr("never have the 3 cohorts of 4 that the rule median needs"));
  settings.devices = 12;
  EXPECT_EQ(error_of(settings), "");
  settings.rule.trim = 0.5;
  EXPECT_THAT(error_of(settings), ::testing::HasSubstr("below 0.5"));
}

}  // namespace
}  // namespace chorus::coordinator
