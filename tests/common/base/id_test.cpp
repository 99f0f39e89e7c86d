#include "common/base/id.hpp"

#include <concepts>
#include <type_traits>
#include <unordered_set>

#include <gtest/gtest.h>

namespace chorus {
namespace {

template <typename A, typename B>
concept Comparable = requires(A a, B b) { a == b; };
template <typename A>
concept Addable = requires(A a) { a + a; };
template <typename A>
concept Incrementable = requires(A a) { ++a; };

TEST(Id, HasNoArithmeticAndDoesNotMixWithAnotherKindOrANumber) {
  static_assert(!Addable<ItemIndex> && !Incrementable<ItemIndex>);
  static_assert(Comparable<ItemIndex, ItemIndex> && !Comparable<ItemIndex, CohortId>);
  static_assert(!Comparable<RoundId, std::uint64_t> && !std::convertible_to<std::uint64_t, RoundId>);
  static_assert(!std::convertible_to<RoundId, ModelVersion>);
  EXPECT_EQ(RoundId{}.value(), 0U);
}

TEST(Id, IsOrderedAndHashedByItsValue) {
  EXPECT_LT(RoundId{1}, RoundId{2});
  const std::unordered_set<ItemIndex> items{ItemIndex{3}, ItemIndex{3}, ItemIndex{4}};
  EXPECT_EQ(items.size(), 2U);
  EXPECT_TRUE(items.contains(ItemIndex{4}));
}

}  // namespace
}  // namespace chorus
