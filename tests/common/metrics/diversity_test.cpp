#include "common/metrics/diversity.hpp"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace chorus::metrics {
namespace {

TEST(DiversityTest, CoverageCountsDistinctItems) {
  const std::vector<ItemList> lists{{0, 1}, {1, 0}, {3}, {}};
  EXPECT_DOUBLE_EQ(coverage(lists, 4).value(), 0.75);
  EXPECT_EQ(coverage({}, 4).value(), 0);
}

TEST(DiversityTest, ItemsOutsideTheCatalogueAreRefused) {
  const std::vector<ItemList> lists{{0, 4}};
  const std::vector<float> popularity{1, 1, 1, 1};
  EXPECT_EQ(coverage(lists, 4).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(coverage(lists, 0).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(mean_popularity(lists, popularity).error().code(), ErrorCode::invalid_argument);
}

TEST(DiversityTest, MeanPopularityIsOfUsersNotOfItems) {
  const std::vector<ItemList> lists{{0}, {1, 2, 2}, {}};
  const std::vector<float> popularity{10, 4, 1};
  EXPECT_DOUBLE_EQ(mean_popularity(lists, popularity).value(), (10.0 + 2.0) / 2);
}

TEST(DiversityTest, BiasIsZeroForWhatPeopleChoseAndPositiveForTheBestSeller) {
  const std::vector<float> popularity{10, 4, 1};
  const std::vector<ItemList> histories{{0, 1}, {2}};
  const std::vector<ItemList> best_seller{{0}, {0}};
  const std::vector<ItemList> niche{{2}, {2}};
  EXPECT_DOUBLE_EQ(popularity_bias(histories, histories, popularity).value(), 0);
  EXPECT_DOUBLE_EQ(popularity_bias(best_seller, histories, popularity).value(), 10.0 / 4 - 1);
  EXPECT_DOUBLE_EQ(popularity_bias(niche, histories, popularity).value(), 1.0 / 4 - 1);
}

TEST(DiversityTest, NothingToMeasureAndNanAreRefused) {
  const std::vector<ItemList> empty{{}, {}};
  const std::vector<ItemList> lists{{0}};
  EXPECT_EQ(mean_popularity(empty, std::vector<float>{1}).error().code(), ErrorCode::invalid_argument);
  const std::vector<float> broken{std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(mean_popularity(lists, broken).error().code(), ErrorCode::non_finite);
  EXPECT_EQ(popularity_bias(lists, lists, std::vector<float>{0}).error().code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace chorus::metrics
