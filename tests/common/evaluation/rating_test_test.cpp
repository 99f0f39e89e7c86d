#include "common/evaluation/rating_test.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dataset/rating.hpp"
#include "common/evaluation/user_data.hpp"
#include "common/model/registry.hpp"

namespace chorus::evaluation {
namespace {

using dataset::Rating;
using dataset::RatingTable;

RatingTable table(std::vector<Rating> rows) {
  return dataset::make_table(rows).value();
}

// Three users, four items; carol has nothing but a test rating.
struct Halves {
  RatingTable training;
  RatingTable test;
};
Halves halves() {
  const RatingTable training = table({{"ann", "d", 5, 3}, {"ann", "a", 1, 9}, {"bob", "b", 4, 1}, {"ann", "c", 2, 4}});
  const RatingTable test = table({{"carol", "a", 5, 0}, {"ann", "b", 4, 0}, {"bob", "d", 3, 0}, {"bob", "a", 2, 0}});
  const auto users = std::make_shared<const dataset::IdMap>(dataset::merged(*training.users, *test.users));
  const auto items = std::make_shared<const dataset::IdMap>(dataset::merged(*training.items, *test.items));
  return {dataset::reindexed(training, users, items), dataset::reindexed(test, users, items)};
}

TEST(UserData, RatingsAreGroupedByUserAndSortedByItem) {
  const Halves data = halves();
  const UserData users(data.training, data.test);
  ASSERT_EQ(users.size(), 3U);
  EXPECT_EQ(users.training_ratings(), 4U);
  const auto ann = users[0].training;
  ASSERT_EQ(ann.size(), 3U);
  EXPECT_EQ(ann[0].item, 0U);
  EXPECT_EQ(ann[1].item, 2U);
  EXPECT_EQ(ann[2].item, 3U);
  EXPECT_EQ(ann[2].value, 5.0F);
  EXPECT_EQ(ann[0].when, 9);
  EXPECT_EQ(users[1].training.size(), 1U);
  EXPECT_TRUE(users[2].training.empty());
  EXPECT_EQ(users[1].held_out.size(), 2U);
  EXPECT_EQ(users[1].held_out[0].item, 0U);
  EXPECT_EQ(users[2].held_out.size(), 1U);
}

TEST(UserData, WithoutHeldOutRatingsNobodyHasAny) {
  const UserData users(halves().training);
  for (std::uint32_t u = 0; u < users.size(); ++u) EXPECT_TRUE(users[u].held_out.empty());
}

class RatingTestTest : public ::testing::Test {
 protected:
  Halves data_ = halves();
  UserData users_{data_.training};
  dataset::ByUser test_{data_.test};
  std::unique_ptr<model::Model> model_ =
      model::make_model("mf", {{"initial_scale", "1"}}, {.items = 4, .contract = {}}).value();
  model::ServerState state_ = model_->initial();
};

TEST_F(RatingTestTest, ErrorsAreThoseOfTheClippedScores) {
  state_.shared.tensors[0].values[0] = 10;  // the first item's bias, beyond the scale
  double squares = 0;
  double absolutes = 0;
  bool clipped = false;
  for (const dataset::Entry& entry : data_.test.entries) {
    const auto mine = model_->solve(state_.shared, users_[entry.user]);
    const double score = model_->score(state_.shared, mine, entry.item);
    clipped |= score < 1 || score > 5;
    const double error = std::clamp(score, 1.0, 5.0) - double{entry.value};
    squares += error * error;
    absolutes += std::abs(error);
  }
  EXPECT_TRUE(clipped) << "the example should show the clipping";
  const auto error = test_ratings(*model_, state_.shared, users_, test_, 0, 3);
  ASSERT_TRUE(error.has_value()) << error.error().to_string();
  EXPECT_EQ(error->count(), 4U);
  EXPECT_NEAR(error->rmse(), std::sqrt(squares / 4), 1e-12);
  EXPECT_NEAR(error->mae(), absolutes / 4, 1e-12);
}

TEST_F(RatingTestTest, TheOrderIsOfLikedRatingsAboveOthers) {
  // Everybody has ratings of all four items, and likes the first two; the third scores between them.
  dataset::RatingTable all = data_.test;
  all.entries.clear();
  for (std::uint32_t u = 0; u < 3; ++u) {
    for (std::uint32_t i = 0; i < 4; ++i) {
      all.entries.push_back({.user = u, .item = i, .value = i < 2 ? 4.0F : 3.5F, .when = 0});
    }
  }
  const dataset::ByUser tests(all);
  std::ranges::fill(state_.shared.tensors[0].values, 0.0F);
  const std::size_t d = state_.shared.tensors[0].columns;
  const float biases[] = {9, 5, 7, 1};
  for (std::size_t i = 0; i < 4; ++i) state_.shared.tensors[0].values[i * d] = biases[i];
  EXPECT_EQ(test_ratings(*model_, state_.shared, users_, tests, 0, 3)->auc(), 0.75);
  for (dataset::Entry& entry : all.entries) entry.value = 4;
  const dataset::ByUser only_liked(all);
  EXPECT_EQ(test_ratings(*model_, state_.shared, users_, only_liked, 0, 3)->auc(), 0);
}

TEST_F(RatingTestTest, PartsAddUpToTheWhole) {
  metrics::RatingError sum;
  for (std::uint32_t u = 0; u < 3; ++u) {
    sum.add(test_ratings(*model_, state_.shared, users_, test_, u, u + 1).value());
  }
  const auto whole = test_ratings(*model_, state_.shared, users_, test_, 0, 3).value();
  EXPECT_EQ(sum.count(), whole.count());
  EXPECT_NEAR(sum.rmse(), whole.rmse(), 1e-14);
  EXPECT_EQ(test_ratings(*model_, state_.shared, users_, test_, 1, 1)->count(), 0U);
}

}  // namespace
}  // namespace chorus::evaluation
