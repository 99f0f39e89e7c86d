#include "common/dataset/split.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "tests/common/dataset/temporary_folder.hpp"

namespace chorus::dataset {
namespace {

using Key = std::tuple<std::uint32_t, std::uint32_t, float, std::int64_t>;

std::multiset<Key> keys(const RatingTable& table) {
  std::multiset<Key> all;
  for (const Entry& entry : table.entries) all.insert({entry.user, entry.item, entry.value, entry.when});
  return all;
}

// Both halves together are exactly the ratings.
void expect_partition(const RatingTable& ratings, const Split& split) {
  std::multiset<Key> both = keys(split.train);
  both.merge(keys(split.test));
  EXPECT_EQ(both, keys(ratings));
  EXPECT_EQ(split.train.users, split.test.users);
  EXPECT_EQ(split.train.items, split.test.items);
}

RatingTable generated() {
  PlantedOptions options;
  options.users = 80;
  options.items = 60;
  options.ratings_per_user = 15;
  return PlantedPopulation::create(options).value().table();
}

SplitSpec spec(std::string_view text) {
  return SplitSpec::parse(text).value();
}

TEST(SplitSpecTest, EveryFormIsRead) {
  EXPECT_EQ(spec("test:a/b:c.test").file, "a/b:c.test");
  EXPECT_EQ(spec("random:0.9").share, 0.9);
  EXPECT_EQ(spec("kfold:5").folds, 5U);
  EXPECT_EQ(spec("loo").kind, SplitSpec::Kind::leave_one_out);
  EXPECT_EQ(spec("cold-items:0.2").kind, SplitSpec::Kind::cold_items);
}

TEST(SplitSpecTest, EverythingElseIsRefusedWithTheForms) {
  for (const char* text : {"",           "random",      "random:", "random:0", "random:1", "random:1.5", "random:-0.1",
                           "random:nan", "random:0.9x", "kfold",   "kfold:1",  "kfold:0",  "kfold:-5",   "kfold:1001",
                           "kfold:2.5",  "loo:1",       "loo:",    "test",     "test:",    "cold-items", "cold-items:1",
                           "LOO",        "other:1"}) {
    const auto refused = SplitSpec::parse(text);
    ASSERT_FALSE(refused.has_value()) << text;
    EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
    EXPECT_NE(refused.error().sentence().find("kfold:COUNT"), std::string::npos);
  }
}

TEST(SplitTest, ARandomSplitIsAPartitionOfTheShare) {
  const RatingTable ratings = generated();
  const Split split = make_split(ratings, spec("random:0.9"), 1).value();
  expect_partition(ratings, split);
  EXPECT_NEAR(static_cast<double>(split.train.size()), 0.9 * static_cast<double>(ratings.size()), 0.51);
}

TEST(SplitTest, TheSeedAloneDecides) {
  const RatingTable ratings = generated();
  for (const char* text : {"random:0.9", "kfold:5", "cold-items:0.2"}) {
    const auto first = make_split(ratings, spec(text), 1).value().test.entries;
    EXPECT_EQ(make_split(ratings, spec(text), 1).value().test.entries, first) << text;
    EXPECT_NE(make_split(ratings, spec(text), 2).value().test.entries, first) << text;
  }
}

TEST(SplitTest, FoldsPartitionTheRatingsEvenly) {
  const RatingTable ratings = generated();
  std::multiset<Key> tested;
  std::size_t smallest = ratings.size();
  std::size_t largest = 0;
  for (std::uint32_t fold = 0; fold < 5; ++fold) {
    const Split split = make_split(ratings, spec("kfold:5"), 7, fold).value();
    expect_partition(ratings, split);
    tested.merge(keys(split.test));
    smallest = std::min(smallest, split.test.size());
    largest = std::max(largest, split.test.size());
  }
  EXPECT_EQ(tested, keys(ratings));
  EXPECT_LE(largest - smallest, 1U);
}

TEST(SplitTest, LeaveOneOutTestsTheLatestAndTheLastInTheFileAmongEquals) {
  const std::vector<Rating> rows{{"1", "a", 1, 5}, {"1", "b", 2, 9}, {"1", "c", 3, 9}, {"1", "d", 4, 7},
                                 {"2", "a", 5, 1}, {"3", "b", 1, 0}, {"3", "a", 2, 0}};
  const RatingTable ratings = make_table(rows).value();
  const Split split = make_split(ratings, spec("loo"), 1).value();
  expect_partition(ratings, split);
  ASSERT_EQ(split.test.size(), 2U);  // user 2 has one rating only
  EXPECT_EQ(split.test.entries[0], ratings.entries[2]);
  EXPECT_EQ(split.test.entries[1], ratings.entries[6]);
}

TEST(SplitTest, ColdItemsAreNeverTrainedOn) {
  const RatingTable ratings = generated();
  const Split split = make_split(ratings, spec("cold-items:0.2"), 1).value();
  expect_partition(ratings, split);
  std::set<std::uint32_t> warm;
  std::set<std::uint32_t> cold;
  for (const Entry& entry : split.train.entries) warm.insert(entry.item);
  for (const Entry& entry : split.test.entries) cold.insert(entry.item);
  for (const std::uint32_t item : cold) EXPECT_FALSE(warm.contains(item));
  EXPECT_NEAR(static_cast<double>(cold.size()), 0.2 * static_cast<double>(warm.size() + cold.size()), 0.51);
}

TEST(SplitTest, ATestFilesRatingsAreNotTrainedOnAndItsNewIdsAreInTheMaps) {
  TemporaryFolder folder;
  const std::vector<Rating> rows{{"1", "10", 1, 1}, {"1", "20", 2, 2}, {"3", "10", 3, 3}};
  const RatingTable ratings = make_table(rows).value();
  SplitSpec by_file = spec("test:x");
  by_file.file = folder.write("test.tsv", "1\t20\t5\t9\n2\t15\t4\t9\n");
  const Split split = make_split(ratings, by_file, 1).value();
  EXPECT_EQ(split.overlap, 1U);
  EXPECT_EQ(split.train.user_count(), 3U);
  EXPECT_EQ(split.train.item_count(), 3U);
  EXPECT_EQ(split.train.entries, (std::vector<Entry>{{0, 0, 1, 1}, {2, 0, 3, 3}}));
  EXPECT_EQ(split.test.entries, (std::vector<Entry>{{0, 2, 5, 9}, {1, 1, 4, 9}}));
  ASSERT_TRUE(split.test_report.has_value());
  EXPECT_EQ(split.test_report->ratings, 2U);

  by_file.file = folder.path() / "absent";
  EXPECT_EQ(make_split(ratings, by_file, 1).error().code(), ErrorCode::not_found);
}

TEST(SplitTest, EmptyHalvesAreRefused) {
  const std::vector<Rating> rows{{"1", "a", 1, 5}};
  const RatingTable one = make_table(rows).value();
  for (const char* text : {"random:0.9", "random:0.1", "kfold:2", "loo", "cold-items:0.5"}) {
    for (std::uint32_t fold = 0; fold < spec(text).folds; ++fold) {
      const auto refused = make_split(one, spec(text), 1, fold);
      ASSERT_FALSE(refused.has_value()) << text;
      EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
    }
  }
}

TEST(SplitTest, HoldingOutTakesTheShareOfEveryUserAndNeverEverything) {
  const RatingTable ratings = generated();
  const Split split = hold_out(ratings, 0.1, 1);
  expect_partition(ratings, split);
  const ByUser all(ratings);
  const ByUser held(split.test);
  for (std::uint32_t user = 0; user < ratings.user_count(); ++user) {
    const double wanted = 0.1 * static_cast<double>(all[user].size());
    EXPECT_LT(std::abs(static_cast<double>(held[user].size()) - wanted), 1.0);
    EXPECT_LT(held[user].size(), all[user].size());
  }
  // Users with few ratings contribute in the mean, too.
  EXPECT_NEAR(static_cast<double>(split.test.size()), 0.1 * static_cast<double>(ratings.size()),
              0.02 * static_cast<double>(ratings.size()));
  EXPECT_EQ(hold_out(ratings, 0, 1).test.size(), 0U);
  const ByUser kept(hold_out(ratings, 0.999, 1).train);
  for (std::uint32_t user = 0; user < ratings.user_count(); ++user) EXPECT_GE(kept[user].size(), 1U);
}

TEST(PublicSplits, TheOfficialFoldsAddUpToTheRatings) {
  CHORUS_PUBLIC_DATA(folder, "ml-100k");
  const RatingTable base = read_ratings(folder / "u1.base").value().ratings;
  SplitSpec by_file = spec("test:x");
  by_file.file = folder / "u1.test";
  const Split apart = make_split(base, by_file, 1).value();
  EXPECT_EQ(apart.train.size(), 80'000U);
  EXPECT_EQ(apart.test.size(), 20'000U);
  EXPECT_EQ(apart.overlap, 0U);
  EXPECT_EQ(apart.train.user_count(), 943U);
  EXPECT_EQ(apart.train.item_count(), 1682U);
  // From the whole set, the test half is taken out.
  const Split whole = make_split(read_ratings(folder).value().ratings, by_file, 1).value();
  EXPECT_EQ(whole.overlap, 20'000U);
  EXPECT_EQ(keys(whole.train), keys(apart.train));
}

}  // namespace
}  // namespace chorus::dataset
