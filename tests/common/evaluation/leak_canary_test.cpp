// The canary of evaluation (design: learning, section 4): a scorer without any model, which calls an item the better
// the less often a device drew it as a negative. Where negatives avoid the test item, it finds that item and every
// published figure is worth nothing; where they do not, it guesses one in ten.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include <gtest/gtest.h>

#include "common/dataset/candidates.hpp"
#include "common/dataset/planted.hpp"
#include "common/dataset/reader.hpp"
#include "common/dataset/split.hpp"
#include "common/evaluation/user_data.hpp"
#include "common/metrics/ranking.hpp"
#include "common/model/bpr/negatives.hpp"
#include "common/model/registry.hpp"

namespace chorus::evaluation {
namespace {

constexpr double kAlarm = 0.13;
constexpr std::uint64_t kRounds = 100;
constexpr std::size_t kCandidates = 99;
constexpr std::size_t kNegativesOfAnEvent = 4;

class LeakCanary : public ::testing::Test {
 protected:
  struct Task {
    dataset::Split split;
    std::vector<dataset::Candidates> candidates;
  };
  // How often a user's device drew each item.
  using Drawn = std::function<std::vector<float>(std::span<const model::Observation> training, std::uint32_t test)>;

  static Task leave_one_out(const dataset::RatingTable& ratings) {
    const auto spec = dataset::SplitSpec::parse("loo").value();
    Task task{.split = dataset::make_split(ratings, spec, 1).value(), .candidates = {}};
    task.candidates = dataset::draw_candidates(task.split, kCandidates, 1);
    return task;
  }
  static Task planted() {
    dataset::PlantedOptions options;
    options.users = 2000;
    options.feedback = dataset::Feedback::events;
    return leave_one_out(dataset::PlantedPopulation::create(options).value().table());
  }

  static double hit_at_10(const Task& task, const Drawn& drawn) {
    const UserData users(task.split.train);
    std::size_t hits = 0;
    for (const dataset::Candidates& each : task.candidates) {
      const std::vector<float> times = drawn(users[each.user].training, each.positive);
      std::vector<float> others;
      for (const std::uint32_t item : each.negatives) others.push_back(-times[item]);
      if (metrics::rank_among(-times[each.positive], others).value() <= 10) ++hits;
    }
    return static_cast<double>(hits) / static_cast<double>(task.candidates.size());
  }

  // `avoided`: the fault that the canary is there for, an item that is never drawn.
  static std::vector<float> draw(std::span<const model::Observation> training, std::size_t items,
                                 std::optional<std::uint32_t> avoided) {
    std::vector<float> times(items, 0.0F);
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      model::bpr::NegativeSampler sampler(1, round, training, static_cast<std::uint32_t>(items));
      for (std::size_t k = 0; k < kNegativesOfAnEvent * training.size(); ++k) {
        const std::uint32_t item = sampler.next();
        if (item != avoided) times[item] += 1;
      }
    }
    return times;
  }

  static void expect_silence(const Task& task) {
    const std::size_t items = task.split.train.item_count();
    EXPECT_LE(hit_at_10(task, [&](auto training, std::uint32_t) { return draw(training, items, std::nullopt); }),
              kAlarm);
  }
  static void expect_alarm(const Task& task) {
    const std::size_t items = task.split.train.item_count();
    EXPECT_GT(hit_at_10(task, [&](auto training, std::uint32_t test) { return draw(training, items, test); }), 0.98);
  }

  static std::optional<Task> movielens() {
    const char* const sets = std::getenv("CHORUS_DATA");
    if (sets == nullptr) return std::nullopt;
    const std::filesystem::path file = std::filesystem::path(sets) / "ml-100k" / "u.data";
    if (!std::filesystem::exists(file)) return std::nullopt;
    return leave_one_out(dataset::read_ratings(file, {}).value().ratings);
  }
};

TEST_F(LeakCanary, NegativesSayNothingOfTheTestItemInGeneratedEvents) {
  expect_silence(planted());
}

TEST_F(LeakCanary, ItSingsWhereGeneratedTestItemsAreAvoided) {
  expect_alarm(planted());
}

TEST_F(LeakCanary, NegativesSayNothingOfTheTestItemInMovieLens) {
  const auto task = movielens();
  if (!task) GTEST_SKIP() << "set CHORUS_DATA to a folder with ml-100k";
  expect_silence(*task);
}

TEST_F(LeakCanary, ItSingsWhereMovieLensTestItemsAreAvoided) {
  const auto task = movielens();
  if (!task) GTEST_SKIP() << "set CHORUS_DATA to a folder with ml-100k";
  expect_alarm(*task);
}

// The same of what devices upload, whatever the family: an item is called the better the less often it is in there.
TEST_F(LeakCanary, NoFamilysUploadsSayAnythingOfTheTestItem) {
  const Task task = planted();
  const auto items = static_cast<std::uint32_t>(task.split.train.item_count());
  dataset::DataContract contract{.feedback = dataset::Feedback::events, .minimum = 0, .maximum = 1, .step = 0};
  for (const model::Family& family : model::families()) {
    if (family.feedback != dataset::Feedback::events) continue;
    const bool seeded =
        std::ranges::find(family.settings, "seed", &model::SettingDescription::name) != family.settings.end();
    std::vector<std::unique_ptr<model::Model>> rounds;
    for (int seed = 1; seed <= 6; ++seed) {
      model::Settings settings;
      if (seeded) settings["seed"] = std::to_string(seed);
      rounds.push_back(family.make(settings, {.items = items, .contract = contract, .max_contributors = 512}).value());
    }
    const model::TensorSet shared = rounds.front()->initial().shared;
    const auto uploads = [&](std::span<const model::Observation> training, std::uint32_t test) {
      const model::Observation held_out{.item = test, .value = 1};
      std::vector<float> times(items, 0.0F);
      for (const auto& model : rounds) {
        ring::Contribution out;
        model->contribute(plan::Purpose::train, shared, {.training = training, .held_out = {&held_out, 1}}, out);
        for (const std::uint32_t item : out.items) times[item] += 1;
      }
      return times;
    };
    EXPECT_LE(hit_at_10(task, uploads), kAlarm) << family.name;
  }
}

}  // namespace
}  // namespace chorus::evaluation
