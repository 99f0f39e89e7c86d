#include "common/secagg/member_set.hpp"

#include <gtest/gtest.h>

namespace chorus::secagg {
namespace {

TEST(MemberSet, RoundTripsEverySubsetOfEveryEncodedSize) {
  for (std::uint32_t members = 0; members <= 10; ++members) {
    for (std::uint32_t subset = 0; subset < (1U << members); ++subset) {
      MemberSet set(members);
      for (std::uint32_t i = 0; i < members; ++i) {
        if (((subset >> i) & 1) != 0) set.insert(i);
      }
      ByteWriter writer;
      set.encode(writer);
      ASSERT_EQ(writer.view().size(), MemberSet::encoded_size(members));
      ByteReader reader(writer.view());
      ASSERT_EQ(MemberSet::decode(reader, members), set);
      ASSERT_TRUE(reader.finish("set").has_value());
      ASSERT_EQ(set.size(), static_cast<std::uint32_t>(std::popcount(subset)));
      ASSERT_EQ(set.positions().size(), set.size());
    }
  }
}

TEST(MemberSet, PaddingBitsAreRefused) {
  const Bytes bytes{0xff, 0x04};
  ByteReader reader(bytes);
  static_cast<void>(MemberSet::decode(reader, 10));
  EXPECT_FALSE(reader.finish("set").has_value());
}

TEST(MemberSet, KnowsItsSubsets) {
  MemberSet small(130);
  MemberSet large(130);
  small.insert(129);
  large.insert(129);
  large.insert(3);
  EXPECT_TRUE(small.is_subset_of(large));
  EXPECT_FALSE(large.is_subset_of(small));
  EXPECT_FALSE(small.is_subset_of(MemberSet(131)));
  large.erase(129);
  EXPECT_FALSE(small.is_subset_of(large));
  EXPECT_FALSE(large.contains(500));
}

}  // namespace
}  // namespace chorus::secagg
