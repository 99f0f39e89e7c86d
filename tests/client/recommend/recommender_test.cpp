#include "client/recommend/recommender.hpp"

#include <algorithm>

#include "tests/client/recommend/trained_town.hpp"

namespace chorus::client {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

using RecommenderTest = TrainedTown;

std::vector<std::uint32_t> items_of(const std::vector<Recommendation>& best) {
  std::vector<std::uint32_t> items;
  for (const auto& next : best) items.push_back(next.item);
  return items;
}

TEST_F(RecommenderTest, TheBestAreTheHighestScoresOfWhatTheUserHasNotRated) {
  for (const std::uint32_t user : {0U, 17U, 79U}) {
    const StoredRatings ratings = ratings_of(user);
    const DeviceData data = make_device_data(ratings, catalogue_, kItems, job_.contract);
    const auto mine = model_->solve(trained_, data.view());
    std::vector<std::pair<double, std::uint32_t>> expected;  // worst score first
    for (std::uint32_t item = 0; item < kItems; ++item) {
      const bool rated = std::ranges::binary_search(data.training, item, {}, &model::Observation::item);
      if (!rated) expected.emplace_back(-model_->score(trained_, mine, item), item);
    }
    std::ranges::sort(expected);
    const Recommender recommender = recommender_of(user);
    EXPECT_EQ(recommender.basis(), Basis::personal);
    const auto best = recommender.best(12);
    ASSERT_THAT(best, SizeIs(12));
    for (std::size_t i = 0; i < best.size(); ++i) {
      EXPECT_EQ(best[i].item, expected[i].second) << "user " << user << ", place " << i;
      EXPECT_NEAR(best[i].explanation.score, -expected[i].first, 1e-9);
    }
  }
}

TEST_F(RecommenderTest, ThePartsOfEveryScoreAddUpToIt) {
  for (std::uint32_t user = 0; user < kUsers; ++user) {
    EXPECT_TRUE(adds_up(recommender_of(user).best(kItems))) << "user " << user;
  }
  // The check itself notices a part that is off, and a score without parts.
  auto best = recommender_of(3).best(1);
  best[0].explanation.parts.back().amount += 2e-6;
  EXPECT_FALSE(adds_up(best));
  best[0].explanation = {};
  EXPECT_FALSE(adds_up(best));
}

TEST_F(RecommenderTest, NoMoreIsRecommendedThanThereIs) {
  const std::size_t rated = ratings_of(5).size();
  EXPECT_THAT(recommender_of(5).best(1000), SizeIs(kItems - rated));
  EXPECT_THAT(recommender_of(5).best(0), SizeIs(0));
}

TEST_F(RecommenderTest, WhatIsHeldOutOrOffTheScaleIsKnownToTheUserToo) {
  StoredRatings ratings = ratings_of(9);
  const auto best = items_of(recommender_of(9).best(2));
  ratings.push_back({.item = SecretText(catalogue_[ItemIndex(best[0])].id), .value = 4, .held_out = true});
  ratings.push_back({.item = SecretText(catalogue_[ItemIndex(best[1])].id), .value = 99});
  const auto store = store_with(ratings, trained_);
  const auto then = items_of(Recommender::of(*store)->best(kItems));
  EXPECT_THAT(then, Not(Contains(best[0])));
  EXPECT_THAT(then, Not(Contains(best[1])));
}

TEST_F(RecommenderTest, ADeviceWithoutRatingsIsRecommendedWhatMostDevicesRated) {
  const StoredRatings unknown = {{.item = "an item of nobody's catalogue", .value = 5}};
  for (const StoredRatings& ratings : {StoredRatings{}, unknown}) {
    const auto store = store_with(ratings, trained_);
    const Recommender recommender = Recommender::of(*store).value();
    EXPECT_EQ(recommender.basis(), Basis::popularity);
    const auto best = recommender.best(kItems);
    EXPECT_TRUE(std::ranges::is_sorted(best, std::ranges::greater(), &Recommendation::rated_by));
    EXPECT_GT(best.front().rated_by, best.back().rated_by);
    EXPECT_TRUE(adds_up(best));
    std::vector<std::uint64_t> counts(kItems);
    for (const dataset::Entry& entry : table_.entries) ++counts[entry.item];
    EXPECT_EQ(best.front().rated_by, std::ranges::max(counts));
  }
}

TEST_F(RecommenderTest, BeforeTheFirstTrainingRoundTheOrderIsTheCatalogues) {
  const auto store = store_with(ratings_of(2), untrained_);
  const Recommender recommender = Recommender::of(*store).value();
  EXPECT_EQ(recommender.basis(), Basis::catalogue);
  const auto best = recommender.best(kItems);
  const auto items = items_of(best);
  EXPECT_TRUE(std::ranges::is_sorted(items));
  EXPECT_THAT(best, SizeIs(kItems - ratings_of(2).size()));
  for (const auto& next : best) {
    EXPECT_TRUE(next.explanation.parts.empty());
    EXPECT_EQ(next.explanation.score, 0);
  }
}

TEST_F(RecommenderTest, ItemsThatTheModelHasNoRowForAreNotRecommended) {
  ASSERT_TRUE(catalogue_.append({{.id = "new", .title = "New", .genres = {}, .year = 0}}));
  const auto store = store_with(ratings_of(4), trained_);
  const Recommender recommender = Recommender::of(*store).value();
  EXPECT_EQ(recommender.items(), kItems);
  EXPECT_EQ(recommender.catalogue().size(), kItems + 1);
  EXPECT_THAT(items_of(recommender.best(1000)), Each(testing::Lt(kItems)));
}

TEST_F(RecommenderTest, AStoreThatWasNeverSyncedHasNothingToRecommendFrom) {
  const auto store = open_memory_store().value();
  const auto made = Recommender::of(*store);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code(), ErrorCode::not_found);
}

TEST_F(RecommenderTest, AModelThatTheDiskHasChangedIsNotUsed) {
  const auto store = store_with(ratings_of(1), trained_);
  StoredModel model = *store->model().value();
  model.tensors[model.tensors.size() / 2] ^= 1;
  ASSERT_TRUE(store->put_model(model));
  const auto made = Recommender::of(*store);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code(), ErrorCode::corrupt);
  EXPECT_THAT(made.error().sentence(), HasSubstr("sync again"));
}

}  // namespace
}  // namespace chorus::client
