#include "common/dataset/planted.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/dataset/split.hpp"

namespace chorus::dataset {
namespace {

PlantedPopulation planted(PlantedOptions options = {}) {
  return PlantedPopulation::create(options).value();
}

TEST(PlantedTest, TheSeedMakesThePopulation) {
  const PlantedPopulation population = planted();
  EXPECT_EQ(population.ratings_of(17), planted().ratings_of(17));
  EXPECT_EQ(population.catalogue(), planted().catalogue());
  PlantedOptions other;
  other.seed = 2;
  EXPECT_NE(population.ratings_of(17), planted(other).ratings_of(17));
}

TEST(PlantedTest, EveryUserHasDistinctItemsOnTheScaleInTheOrderOfTime) {
  for (const double step : {0.5, 1.0, 0.75}) {
    PlantedOptions options;
    options.step = step;
    const PlantedPopulation population = planted(options);
    ASSERT_TRUE(population.contract().validate().has_value());
    for (std::uint32_t user = 0; user < population.user_count(); ++user) {
      const auto entries = population.ratings_of(user);
      ASSERT_GE(entries.size(), 1U);
      std::set<std::uint32_t> items;
      std::int64_t before = 0;
      for (const Entry& entry : entries) {
        ASSERT_EQ(entry.user, user);
        ASSERT_LT(entry.item, population.item_count());
        ASSERT_TRUE(items.insert(entry.item).second);
        ASSERT_TRUE(population.contract().check(entry.value).has_value()) << entry.value;
        ASSERT_GT(entry.when, before);
        before = entry.when;
      }
    }
  }
}

TEST(PlantedTest, IndicesOfTheTableAndTheCatalogueAgree) {
  PlantedOptions options;
  options.users = 12;
  options.items = 30;
  const PlantedPopulation population = planted(options);
  const RatingTable table = population.table();
  const Catalogue catalogue = population.catalogue();
  ASSERT_EQ(table.item_count(), catalogue.size());
  for (std::uint32_t i = 0; i < catalogue.size(); ++i) {
    EXPECT_EQ((*table.items)[i], catalogue[ItemIndex(i)].id);
    EXPECT_FALSE(catalogue[ItemIndex(i)].genres.empty());
  }
  EXPECT_EQ(catalogue[ItemIndex(16)].title, "Planted film 17");
  EXPECT_EQ(ByUser(table)[5].size(), population.ratings_of(5).size());
}

TEST(PlantedTest, AFewItemsAndUsersHaveMostOfTheRatings) {
  PlantedOptions options;
  options.users = 2000;
  options.items = 1000;
  options.ratings_per_user = 30;
  const RatingTable table = planted(options).table();
  EXPECT_NEAR(static_cast<double>(table.size()) / 2000, 30, 5);
  std::vector<std::size_t> of_item(table.item_count(), 0);
  std::vector<std::size_t> of_user(table.user_count(), 0);
  for (const Entry& entry : table.entries) {
    ++of_item[entry.item];
    ++of_user[entry.user];
  }
  std::sort(of_item.rbegin(), of_item.rend());
  std::sort(of_user.rbegin(), of_user.rend());
  const auto share_of_top_tenth = [&](const std::vector<std::size_t>& counts) {
    std::size_t top = 0;
    for (std::size_t i = 0; i < counts.size() / 10; ++i) top += counts[i];
    return static_cast<double>(top) / static_cast<double>(table.size());
  };
  EXPECT_GT(share_of_top_tenth(of_item), 0.25);
  EXPECT_GT(share_of_top_tenth(of_user), 0.2);
}

TEST(PlantedTest, EventsAreOneAndTellTheTasteByTheirItems) {
  PlantedOptions options;
  options.feedback = Feedback::events;
  options.users = 300;
  const PlantedPopulation population = planted(options);
  double chosen = 0;
  double all = 0;
  std::size_t chosen_count = 0;
  for (std::uint32_t user = 0; user < population.user_count(); ++user) {
    for (const Entry& entry : population.ratings_of(user)) {
      ASSERT_EQ(entry.value, 1);
      ASSERT_TRUE(population.contract().check(entry.value).has_value());
      chosen += population.opinion(user, entry.item);
      ++chosen_count;
    }
    for (std::uint32_t item = 0; item < population.item_count(); ++item) all += population.opinion(user, item);
  }
  const double mean = all / (static_cast<double>(population.user_count()) * population.item_count());
  EXPECT_GT(chosen / static_cast<double>(chosen_count), mean + 0.2);
}

TEST(PlantedTest, OptionsThatMakeNoSenseAreNamed) {
  const auto refused = [](auto change) {
    PlantedOptions options;
    change(options);
    return PlantedPopulation::create(options).error().where();
  };
  EXPECT_EQ(refused([](auto& o) { o.users = 0; }), "users");
  EXPECT_EQ(refused([](auto& o) { o.items = 1; }), "items");
  EXPECT_EQ(refused([](auto& o) { o.items = kMaxItems + 1; }), "items");
  EXPECT_EQ(refused([](auto& o) { o.ratings_per_user = 0; }), "ratings_per_user");
  EXPECT_EQ(refused([](auto& o) { o.rank = 33; }), "rank");
  EXPECT_EQ(refused([](auto& o) { o.maximum = o.minimum; }), "maximum");
  EXPECT_EQ(refused([](auto& o) { o.maximum = std::nan(""); }), "maximum");
  EXPECT_EQ(refused([](auto& o) { o.step = 0; }), "step");
  EXPECT_EQ(refused([](auto& o) { o.noise = -1; }), "noise");
  EXPECT_EQ(refused([](auto& o) { o.taste = std::nan(""); }), "taste");
}

TEST(PlantedTest, ThePopulationsEdgesAreReachable) {
  PlantedOptions options;
  options.users = 1;
  options.items = 2;
  options.ratings_per_user = kMaxItems;
  options.rank = 32;
  EXPECT_EQ(planted(options).ratings_of(0).size(), 1U);
  options.items = 40;
  EXPECT_EQ(planted(options).ratings_of(0).size(), 20U);
  EXPECT_EQ(planted(options).catalogue().size(), 40U);
}

// A biased factorization by stochastic gradient descent, plainly: [users], [items] biases and rank-k factors.
struct Factorization {
  double mean = 0;
  std::vector<double> b, c, p, q;
  std::size_t rank;

  Factorization(const RatingTable& train, std::size_t k)
      : b(train.user_count()), c(train.item_count()), p(train.user_count() * k), q(train.item_count() * k), rank(k) {
    for (const Entry& entry : train.entries) mean += entry.value;
    mean /= static_cast<double>(train.size());
    for (std::size_t i = 0; i < p.size(); ++i) p[i] = 0.1 * std::sin(static_cast<double>(7 * i + 1));
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = 0.1 * std::cos(static_cast<double>(5 * i + 2));
    for (int epoch = 0; epoch < 60; ++epoch) {
      const double rate = 0.03 / (1 + 0.03 * epoch);
      for (const Entry& entry : train.entries) step(entry, rate);
    }
  }
  [[nodiscard]] double predict(const Entry& entry) const {
    double sum = mean + b[entry.user] + c[entry.item];
    for (std::size_t k = 0; k < rank; ++k) sum += p[entry.user * rank + k] * q[entry.item * rank + k];
    return sum;
  }
  void step(const Entry& entry, double rate) {
    constexpr double kShrink = 0.06;
    const double e = entry.value - predict(entry);
    b[entry.user] += rate * (e - kShrink * b[entry.user]);
    c[entry.item] += rate * (e - kShrink * c[entry.item]);
    for (std::size_t k = 0; k < rank; ++k) {
      double& pk = p[entry.user * rank + k];
      double& qk = q[entry.item * rank + k];
      const double old = pk;
      pk += rate * (e * qk - kShrink * pk);
      qk += rate * (e * old - kShrink * qk);
    }
  }
  [[nodiscard]] double rmse(const RatingTable& table) const {
    double sum = 0;
    for (const Entry& entry : table.entries) sum += std::pow(entry.value - predict(entry), 2);
    return std::sqrt(sum / static_cast<double>(table.size()));
  }
};

TEST(PlantedTest, FactorsPredictHeldOutRatingsBetterThanBiasesAndBiasesBetterThanTheMean) {
  const RatingTable table = planted().table();
  const Split split = make_split(table, SplitSpec::parse("random:0.9").value(), 1).value();
  const Factorization biases(split.train, 0);
  const Factorization factors(split.train, 4);
  Factorization mean = biases;
  std::fill(mean.b.begin(), mean.b.end(), 0.0);
  std::fill(mean.c.begin(), mean.c.end(), 0.0);
  EXPECT_LT(biases.rmse(split.test), 0.95 * mean.rmse(split.test));
  EXPECT_LT(factors.rmse(split.test), 0.92 * biases.rmse(split.test));
  RecordProperty("mean", std::to_string(mean.rmse(split.test)));
  RecordProperty("biases", std::to_string(biases.rmse(split.test)));
  RecordProperty("factors", std::to_string(factors.rmse(split.test)));
}

}  // namespace
}  // namespace chorus::dataset
