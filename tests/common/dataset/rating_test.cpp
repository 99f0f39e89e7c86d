#include "common/dataset/rating.hpp"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace chorus::dataset {
namespace {

std::vector<std::string> ids_of(const IdMap& map) {
  return {map.ids().begin(), map.ids().end()};
}

TEST(IdMapTest, NumbersAreOrderedByValueAtAnyLength) {
  const IdMap map = IdMap::of({"10", "9", "100000000000000000000000", "2", "9"});
  EXPECT_EQ(ids_of(map), (std::vector<std::string>{"2", "9", "10", "100000000000000000000000"}));
}

TEST(IdMapTest, LeadingZerosStayAndMakeAnotherId) {
  const IdMap map = IdMap::of({"0104257", "7", "07", "0", "00", "104257"});
  EXPECT_EQ(ids_of(map), (std::vector<std::string>{"0", "00", "7", "07", "104257", "0104257"}));
  for (std::uint32_t i = 0; i < map.size(); ++i) EXPECT_EQ(map.find(map[i]), i);
  EXPECT_EQ(map.find("007"), std::nullopt);
}

TEST(IdMapTest, OneWordAmongNumbersMakesTheOrderThatOfBytes) {
  const IdMap map = IdMap::of({"10", "9", "b", "a"});
  EXPECT_EQ(ids_of(map), (std::vector<std::string>{"10", "9", "a", "b"}));
  for (std::uint32_t i = 0; i < map.size(); ++i) EXPECT_EQ(map.find(map[i]), i);
}

TEST(IdMapTest, UnknownIdsAreNotFound) {
  const IdMap map = IdMap::of({"1", "3"});
  for (const char* id : {"2", "4", "", "x", "-1"}) EXPECT_EQ(map.find(id), std::nullopt) << id;
  EXPECT_EQ(IdMap().find("1"), std::nullopt);
}

TEST(RatingTableTest, IndicesFollowTheIdsWhateverTheOrderOfTheRows) {
  const std::vector<Rating> rows{{"10", "b", 3, 1}, {"9", "a", 4, 2}, {"10", "a", 5, 3}};
  const RatingTable table = make_table(rows).value();
  EXPECT_EQ(ids_of(*table.users), (std::vector<std::string>{"9", "10"}));
  EXPECT_EQ(table.entries, (std::vector<Entry>{{1, 1, 3, 1}, {0, 0, 4, 2}, {1, 0, 5, 3}}));
}

TEST(RatingTableTest, TheLastRowOfAPairWinsAndTheOthersAreCounted) {
  RatingTableBuilder builder;
  for (const double value : {1.0, 2.0, 3.0}) {
    ASSERT_TRUE(builder.add("u", "i", value, 0).has_value());
    ASSERT_TRUE(builder.add("u", "other" + std::to_string(value), value, 0).has_value());
    ASSERT_TRUE(builder.add("v", "j", value, 0).has_value());
  }
  const auto built = std::move(builder).build();
  EXPECT_EQ(built.duplicates, 4U);
  ASSERT_EQ(built.table.size(), 5U);
  EXPECT_EQ(built.table.entries[2].value, 3);
  EXPECT_EQ((*built.table.items)[built.table.entries[2].item], "i");
  EXPECT_EQ(built.table.entries[4].value, 3);
}

TEST(RatingTableTest, RefusedRowsLeaveNoTrace) {
  RatingTableBuilder builder;
  EXPECT_EQ(builder.add("", "i", 1, 0).error().code(), ErrorCode::malformed);
  EXPECT_EQ(builder.add("u", "a\x1b", 1, 0).error().code(), ErrorCode::malformed);
  EXPECT_EQ(builder.add("u", "\xff", 1, 0).error().code(), ErrorCode::malformed);
  EXPECT_EQ(builder.add(std::string(kMaxIdBytes + 1, 'x'), "i", 1, 0).error().code(), ErrorCode::too_large);
  EXPECT_EQ(builder.add("u", "i", std::numeric_limits<double>::quiet_NaN(), 0).error().code(), ErrorCode::non_finite);
  EXPECT_EQ(builder.add("u", "i", 1e300, 0).error().code(), ErrorCode::non_finite);
  EXPECT_TRUE(builder.add(std::string(kMaxIdBytes, 'x'), "i", 1, 0).has_value());
  const auto built = std::move(builder).build();
  EXPECT_EQ(built.table.size(), 1U);
  EXPECT_EQ(built.table.user_count(), 1U);
  EXPECT_EQ(built.table.item_count(), 1U);
}

TEST(RatingTableTest, ErrorsNameTheRow) {
  const std::vector<Rating> rows{{"u", "i", 1, 0}, {"u", "", 1, 0}};
  EXPECT_EQ(make_table(rows).error().where(), "row 2");
}

TEST(RatingTableTest, GroupsOfUsersKeepTheOrderOfTheTable) {
  const std::vector<Rating> rows{{"2", "a", 1, 9}, {"1", "b", 2, 8}, {"2", "b", 3, 7}, {"3", "a", 4, 6}};
  const ByUser grouped(make_table(rows).value());
  ASSERT_EQ(grouped.user_count(), 3U);
  ASSERT_EQ(grouped[1].size(), 2U);
  EXPECT_EQ(grouped[1][0].value, 1);
  EXPECT_EQ(grouped[1][1].value, 3);
  EXPECT_EQ(grouped[2][0].value, 4);
}

TEST(RatingTableTest, ReindexedRatingsAreAboutTheSameUsersAndItems) {
  const std::vector<Rating> rows{{"5", "b", 1, 0}, {"7", "c", 2, 0}};
  const RatingTable table = make_table(rows).value();
  const auto users = std::make_shared<const IdMap>(merged(*table.users, IdMap::of({"1", "7"})));
  const auto items = std::make_shared<const IdMap>(merged(*table.items, IdMap::of({"a"})));
  const RatingTable moved = reindexed(table, users, items);
  EXPECT_EQ(moved.user_count(), 3U);
  EXPECT_EQ(moved.item_count(), 3U);
  EXPECT_EQ(moved.entries, (std::vector<Entry>{{1, 1, 1, 0}, {2, 2, 2, 0}}));
}

}  // namespace
}  // namespace chorus::dataset
