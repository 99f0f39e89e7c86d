#include "common/dataset/candidates.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "tests/common/dataset/temporary_folder.hpp"

namespace chorus::dataset {
namespace {

Split generated() {
  PlantedOptions options;
  options.users = 60;
  options.items = 50;
  options.ratings_per_user = 12;
  const RatingTable table = PlantedPopulation::create(options).value().table();
  return make_split(table, SplitSpec::parse("loo").value(), 1).value();
}

TEST(CandidatesTest, DrawnItemsAreDistinctAndUnknownToTheUser) {
  const Split split = generated();
  std::set<std::pair<std::uint32_t, std::uint32_t>> rated;
  for (const RatingTable* half : {&split.train, &split.test}) {
    for (const Entry& entry : half->entries) rated.insert({entry.user, entry.item});
  }
  for (const std::size_t count : {std::size_t{5}, std::size_t{20}, std::size_t{99}}) {
    const auto all = draw_candidates(split, count, 3);
    ASSERT_EQ(all.size(), split.test.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].user, split.test.entries[i].user);
      EXPECT_EQ(all[i].positive, split.test.entries[i].item);
      const std::set<std::uint32_t> distinct(all[i].negatives.begin(), all[i].negatives.end());
      EXPECT_EQ(distinct.size(), all[i].negatives.size());
      for (const std::uint32_t item : distinct) EXPECT_FALSE(rated.contains({all[i].user, item}));
      const auto known = static_cast<std::size_t>(
          std::count_if(rated.begin(), rated.end(), [&](const auto& pair) { return pair.first == all[i].user; }));
      EXPECT_EQ(distinct.size(), std::min(count, split.test.item_count() - known));
    }
  }
}

TEST(CandidatesTest, TheSeedDecidesAndUsersDrawIndependently) {
  const Split split = generated();
  const auto first = draw_candidates(split, 10, 3);
  EXPECT_EQ(draw_candidates(split, 10, 3)[0].negatives, first[0].negatives);
  EXPECT_NE(draw_candidates(split, 10, 4)[0].negatives, first[0].negatives);
  Split without_first = split;
  without_first.test.entries.erase(without_first.test.entries.begin());
  EXPECT_EQ(draw_candidates(without_first, 10, 3)[0].negatives, first[1].negatives);
}

TEST(CandidatesTest, EveryFreeItemIsEquallyLikely) {
  const std::vector<Rating> rows{{"u", "0", 1, 0}, {"u", "1", 1, 1}, {"v", "2", 1, 0}, {"v", "3", 1, 0},
                                 {"v", "4", 1, 0}, {"v", "5", 1, 0}, {"w", "0", 1, 0}};
  const RatingTable table = make_table(rows).value();
  Split split{table, {table.users, table.items, {table.entries[1]}}, {}, 0};
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}}) {  // by trying, and from a list
    std::vector<int> drawn(table.item_count(), 0);
    for (std::uint64_t seed = 0; seed < 4000; ++seed) {
      const auto candidates = draw_candidates(split, count, seed);
      for (const std::uint32_t item : candidates[0].negatives) ++drawn[item];
    }
    EXPECT_EQ(drawn[0] + drawn[1], 0);
    for (std::size_t item = 2; item < drawn.size(); ++item) {
      EXPECT_NEAR(drawn[item], 1000.0 * static_cast<double>(count), 140) << item;  // five standard deviations
    }
  }
}

class NcfTest : public testing::Test {
 protected:
  NcfTest() {
    const std::vector<Rating> rows{{"7", "100", 1, 0}, {"7", "300", 2, 1}, {"9", "200", 3, 0}, {"9", "400", 4, 1}};
    ratings_ = make_table(rows).value();
    map_ = folder_.write("map.tsv", "number\titem\n0\t400\n1\t300\n2\t200\n3\t100\n");
  }
  Result<RankingTask> read(std::string_view content) {
    return read_ncf_candidates(ratings_, folder_.write("negatives", content), map_);
  }

  TemporaryFolder folder_;
  RatingTable ratings_;
  std::filesystem::path map_;
};

TEST_F(NcfTest, PairsAreTheTestHalfAndEverythingElseTrains) {
  const RankingTask task = read("(1,0)\t3\n(0,1)\t0\t2\n").value();
  EXPECT_EQ(task.split.test.entries, (std::vector<Entry>{ratings_.entries[1], ratings_.entries[3]}));
  EXPECT_EQ(task.split.train.entries, (std::vector<Entry>{ratings_.entries[0], ratings_.entries[2]}));
  ASSERT_EQ(task.candidates.size(), 2U);
  EXPECT_EQ(task.candidates[0].user, 0U);
  EXPECT_EQ(task.candidates[0].positive, 2U);  // "300"
  EXPECT_EQ(task.candidates[0].negatives, (std::vector<std::uint32_t>{1, 3}));
  EXPECT_EQ(task.candidates[1].negatives, (std::vector<std::uint32_t>{0}));
}

TEST_F(NcfTest, WithoutAMapNumbersCountTheItems) {
  const auto task = read_ncf_candidates(ratings_, folder_.write("negatives", "(1,3)\t0\n"));
  ASSERT_TRUE(task.has_value());
  EXPECT_EQ(task->split.test.entries, (std::vector<Entry>{ratings_.entries[3]}));
}

TEST_F(NcfTest, ACandidateThatIsThereTwiceCountsOnce) {
  const RankingTask task = read("(1,0)\t3\t0\t3\t0\t1\r\n").value();
  EXPECT_EQ(task.candidates[0].negatives, (std::vector<std::uint32_t>{0, 2}));
}

TEST_F(NcfTest, BadLinesSayWhereAndWhat) {
  struct Case {
    const char* content;
    ErrorCode code;
    const char* line;
  };
  for (const Case& bad :
       {Case{"1,0\t3\n", ErrorCode::malformed, ":1"}, Case{"(1)\t3\n", ErrorCode::malformed, ":1"},
        Case{"(x,0)\t3\n", ErrorCode::malformed, ":1"}, Case{"(1,)\t3\n", ErrorCode::malformed, ":1"},
        Case{"(1,0)\n", ErrorCode::malformed, ":1"}, Case{"(1,0)\t0\n", ErrorCode::malformed, ":1"},
        Case{"(1,0)\t3\t\n", ErrorCode::malformed, ":1"}, Case{"(1,0)\t3\n(2,0)\t3\n", ErrorCode::not_found, ":2"},
        Case{"(1,0)\t4\n", ErrorCode::not_found, ":1"}, Case{"(1,0)\t3\n(0,0)\t3\n", ErrorCode::not_found, ":2"},
        Case{"(1,0)\t3\n(1,0)\t2\n", ErrorCode::duplicate, ":2"}, Case{"", ErrorCode::malformed, "negatives"}}) {
    const auto refused = read(bad.content);
    ASSERT_FALSE(refused.has_value()) << bad.content;
    EXPECT_EQ(refused.error().code(), bad.code) << bad.content;
    EXPECT_TRUE(refused.error().where().ends_with(bad.line)) << refused.error().where();
  }
}

TEST_F(NcfTest, AMapThatIsWrongIsRefused) {
  const auto code = [&](std::string_view content) {
    map_ = folder_.write("map.tsv", content);
    return read("(1,0)\t3\n").error().code();
  };
  EXPECT_EQ(code("0\t400\n0\t300\n"), ErrorCode::duplicate);
  EXPECT_EQ(code("0\t999\n"), ErrorCode::not_found);
  EXPECT_EQ(code("0\n"), ErrorCode::malformed);
  EXPECT_EQ(code("number\titem\nx\t400\n"), ErrorCode::malformed);
  EXPECT_EQ(code("4000000000\t400\n"), ErrorCode::malformed);
}

TEST(PublicCandidates, ThePublishedFileGivesEveryUserATestItem) {
  CHORUS_PUBLIC_DATA(folder, "ml-1m");
  const RatingTable ratings = read_ratings(folder).value().ratings;
  const auto task = read_ncf_candidates(ratings, folder / "ncf-loo/ml-1m.test.negative",
                                        folder / "ncf-loo/ncf_item_id_to_MovieID.tsv");
  ASSERT_TRUE(task.has_value()) << task.error().to_string();
  ASSERT_EQ(task->candidates.size(), 6040U);
  EXPECT_EQ(task->split.train.size(), 1'000'209U - 6040U);
  std::size_t with_own_item = 0;
  std::set<std::uint32_t> users;
  for (const Candidates& candidates : task->candidates) {
    users.insert(candidates.user);
    if (candidates.negatives.size() == 98) ++with_own_item;
    EXPECT_GE(candidates.negatives.size(), 98U);
  }
  EXPECT_EQ(users.size(), 6040U);
  EXPECT_EQ(with_own_item, 156U);
}

}  // namespace
}  // namespace chorus::dataset
