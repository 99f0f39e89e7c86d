// The first run on data that nobody knows: the presets are never much worse than biases with the best ridges.
#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "common/dataset/split.hpp"
#include "common/evaluation/rating_test.hpp"
#include "common/model/registry.hpp"
#include "simulations/world/population.hpp"
#include "simulations/world/training.hpp"

namespace chorus::sim {
namespace {

struct Data {
  const char* name;
  dataset::PlantedOptions options;
};

dataset::PlantedOptions with(std::uint32_t users, std::uint32_t items, std::uint32_t each, double bias, double taste,
                             double noise) {
  dataset::PlantedOptions options;
  options.users = users;
  options.items = items;
  options.ratings_per_user = each;
  options.user_bias = options.item_bias = bias;
  options.taste = taste;
  options.noise = noise;
  return options;
}

// r̂ = μ + b_u + c_i by alternating ridges. The least test error over both ridges: no search on held-out ratings can do
// better.
double best_biases(const dataset::Split& split, const dataset::DataContract& contract) {
  double mean = 0;
  for (const dataset::Entry& entry : split.train.entries) mean += double{entry.value};
  mean /= static_cast<double>(split.train.size());
  double least = 1e300;
  for (const double user_ridge : {1.0, 2.0, 5.0, 10.0, 20.0}) {
    for (const double item_ridge : {1.0, 2.0, 5.0, 10.0, 20.0}) {
      std::vector<double> own(split.train.user_count());
      std::vector<double> item(split.train.item_count());
      for (int round = 0; round < 8; ++round) {
        for (const bool users : {true, false}) {
          std::vector<double>& solved = users ? own : item;
          std::vector<double> sum(solved.size());
          std::vector<double> count(solved.size());
          for (const dataset::Entry& entry : split.train.entries) {
            const std::size_t place = users ? entry.user : entry.item;
            sum[place] += double{entry.value} - mean - (users ? item[entry.item] : own[entry.user]);
            count[place] += 1;
          }
          for (std::size_t k = 0; k < solved.size(); ++k) {
            solved[k] = sum[k] / (count[k] + (users ? user_ridge : item_ridge));
          }
        }
      }
      double squares = 0;
      for (const dataset::Entry& entry : split.test.entries) {
        const double prediction =
            std::clamp(mean + own[entry.user] + item[entry.item], double{contract.minimum}, double{contract.maximum});
        squares += (double{entry.value} - prediction) * (double{entry.value} - prediction);
      }
      least = std::min(least, std::sqrt(squares / static_cast<double>(split.test.size())));
    }
  }
  return least;
}

double trained_rmse(const model::Settings& settings, const dataset::Split& split,
                    const dataset::DataContract& contract) {
  const Population population(split.train);
  const auto model = model::make_model("mf", settings,
                                       {.items = static_cast<std::uint32_t>(split.train.item_count()),
                                        .contract = contract,
                                        .max_contributors = 512})
                         .value();
  Training training(*model, population.data(), Aggregation::plain, 2);
  std::vector<std::uint32_t> everybody(population.size());
  for (std::uint32_t u = 0; u < everybody.size(); ++u) everybody[u] = u;
  EXPECT_TRUE(training.round(plan::Purpose::survey, everybody).has_value());
  for (std::uint32_t r = 0; r < model->preset_rounds(); ++r) {
    EXPECT_TRUE(training.round(plan::Purpose::train, everybody).has_value());
  }
  const dataset::ByUser tests(split.test);
  return evaluation::test_ratings(*model, training.state().shared, population.data(), tests, 0, population.size())
      .value()
      .rmse();
}

TEST(FirstRun, PresetsAreNeverMuchWorseThanTheBestBiases) {
  const Data sets[] = {
      {"noise alone, few ratings", with(3000, 1000, 5, 0, 0, 0.25)},
      {"noise alone, many ratings", with(600, 400, 60, 0, 0, 0.25)},
      {"biases, few ratings", with(3000, 1000, 5, 0.1, 0, 0.2)},
      {"biases, many ratings", with(600, 400, 60, 0.1, 0, 0.2)},
      {"a little taste, a long tail", with(2000, 4000, 8, 0.1, 0.05, 0.2)},
  };
  for (const Data& set : sets) {
    const auto population = dataset::PlantedPopulation::create(set.options).value();
    const auto split =
        dataset::make_split(population.table(), dataset::SplitSpec::parse("random:0.9").value(), 1).value();
    const double biases = best_biases(split, population.contract());
    for (const char* const update : {"newton", "vb"}) {
      const double error = trained_rmse({{"update", update}}, split, population.contract());
      EXPECT_LE(error, 1.005 * biases) << set.name << ", " << update << ": " << error << ", biases " << biases;
    }
    EXPECT_GT(trained_rmse({{"trial", "off"}}, split, population.contract()), biases) << set.name;
  }
}

}  // namespace
}  // namespace chorus::sim
