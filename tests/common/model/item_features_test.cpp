// Public features: genres in the order of their appearance, hats over years, and what titles tell.
#include "common/model/item_features.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::model {
namespace {

using ::testing::Each;

dataset::Catalogue catalogue() {
  return dataset::Catalogue::create({{.id = "1", .title = "Rocky II", .genres = {"Action", "Drama"}, .year = 1979},
                                     {.id = "2",
                                      .title = "City of Lost Children, The (Cité des enfants perdus, La)",
                                      .genres = {"Drama"},
                                      .year = 1995},
                                     {.id = "3", .title = "Seven (a.k.a. Se7en)", .genres = {}, .year = 0},
                                     {.id = "4", .title = "2001", .genres = {"War"}, .year = 2100}})
      .value();
}

TEST(ItemFeatures, SayGenreYearAndTitle) {
  const auto known = catalogue();
  const std::vector<double> rows = public_features(&known, 4);
  const auto at = [&](std::size_t item, std::size_t column) { return rows[item * feature::kPublic + column]; };
  EXPECT_EQ(at(0, 0), 1) << "Action is the first genre";
  EXPECT_EQ(at(0, 1), 1);
  EXPECT_EQ(at(1, 0), 0);
  EXPECT_EQ(at(1, 1), 1);
  EXPECT_EQ(at(3, 2), 1) << "War is the third";
  // 1979 lies halfway between 1975 and 1983.
  EXPECT_DOUBLE_EQ(at(0, feature::kGenres + 5), 0.5);
  EXPECT_DOUBLE_EQ(at(0, feature::kGenres + 6), 0.5);
  EXPECT_EQ(at(3, feature::kGenres + feature::kYears - 1), 1) << "beyond the last hat";
  for (std::size_t y = 0; y < feature::kYears; ++y) EXPECT_EQ(at(2, feature::kGenres + y), 0) << "no year is known";
  EXPECT_EQ(at(0, feature::kSequel), 1);
  EXPECT_EQ(at(3, feature::kSequel), 0) << "a title that is a number is no sequel";
  EXPECT_EQ(at(1, feature::kForeign), 1);
  EXPECT_EQ(at(2, feature::kForeign), 0) << "another name is no foreign title";
}

TEST(ItemFeatures, AreZeroWhereNothingIsKnownAndKeepTheFirstItemsOfALongerCatalogue) {
  EXPECT_THAT(public_features(nullptr, 3), Each(0));
  const auto known = catalogue();
  const std::vector<double> fewer = public_features(&known, 2);
  const std::vector<double> all = public_features(&known, 6);
  EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), all.begin()));
}

}  // namespace
}  // namespace chorus::model
