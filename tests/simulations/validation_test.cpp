// Validation chooses a round on held-out training ratings.
#include "simulations/world/validation.hpp"

#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "common/dataset/split.hpp"
#include "common/model/registry.hpp"

namespace chorus::sim {
namespace {

struct Planted {
  dataset::DataContract contract;
  dataset::RatingTable table;
};

// Everybody's ratings with ids "u0", "i0" …
Planted planted(std::uint32_t users, std::uint32_t ratings) {
  dataset::PlantedOptions options;
  options.users = users;
  options.items = 60;
  options.ratings_per_user = ratings;
  const auto population = dataset::PlantedPopulation::create(options).value();
  Planted planted{.contract = population.contract(), .table = {}};
  std::vector<std::string> user_ids;
  std::vector<std::string> item_ids;
  for (std::uint32_t u = 0; u < users; ++u) user_ids.push_back(std::to_string(u));
  for (std::uint32_t i = 0; i < 60; ++i) item_ids.push_back(std::to_string(i));
  planted.table.users = std::make_shared<const dataset::IdMap>(dataset::IdMap::of(user_ids));
  planted.table.items = std::make_shared<const dataset::IdMap>(dataset::IdMap::of(item_ids));
  for (std::uint32_t u = 0; u < users; ++u) {
    for (const dataset::Entry& entry : population.ratings_of(u)) {
      planted.table.entries.push_back({.user = u, .item = entry.item, .value = entry.value, .when = entry.when});
    }
  }
  return planted;
}

std::unique_ptr<model::Model> make(const Planted& data, model::Settings settings) {
  return model::make_model("mf", settings, {.items = 60, .contract = data.contract, .max_contributors = 512}).value();
}

TEST(Validation, FindsTheRoundWithTheLeastErrorOnHeldOutRatings) {
  const Planted data = planted(80, 15);
  // Hardly any shrinkage: training goes on to fit noise, and an early round is the best.
  const auto model = make(data, {{"rank", "8"}, {"lambda", "0.2"}, {"lambda_bias", "0.2"}});
  const TrainingOptions options{.rounds = 20, .seed = 3};
  const Validation found = validate(*model, data.table, 0.2, options).value();
  ASSERT_EQ(found.round_losses.size(), 20U);
  EXPECT_LT(found.best_round, 20U);
  for (const double loss : found.round_losses) EXPECT_GE(loss, found.best_loss());

  // It is the error of the model that the rest of the ratings train.
  const dataset::Split split = dataset::hold_out(data.table, 0.2, 3);
  std::vector<double> errors;
  ASSERT_TRUE(run_training(*model, Population(split.train), split.test, options, [&errors](const RoundReport& report) {
                if (report.round > 0) errors.push_back(report.test.rmse());
              }).has_value());
  EXPECT_EQ(found.round_losses, errors);
}

TEST(Validation, HoldsTheSameRatingsOutForEveryModel) {
  const Planted data = planted(40, 10);
  const TrainingOptions options{.rounds = 2, .seed = 3};
  const auto one = make(data, {{"rank", "3"}});
  const auto same = make(data, {{"rank", "3"}});
  EXPECT_EQ(validate(*one, data.table, 0.1, options).value().round_losses,
            validate(*same, data.table, 0.1, options).value().round_losses);
  EXPECT_NE(validate(*one, data.table, 0.1, options).value().round_losses,
            validate(*one, data.table, 0.1, {.rounds = 2, .seed = 4}).value().round_losses);
}

TEST(Validation, IsRefusedWhereNothingCanBeHeldOut) {
  const Planted data = planted(30, 1);
  const auto model = make(data, {});
  const auto refused = validate(*model, data.table, 0.1, {.rounds = 1, .seed = 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace chorus::sim
