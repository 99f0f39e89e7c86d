#include "common/dataset/seeded_generator.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace chorus::dataset {
namespace {

// The reference implementation's output for the seed 1234567.
TEST(SeededGeneratorTest, SplitMixGivesThePublishedNumbers) {
  std::uint64_t state = 1234567;
  for (const std::uint64_t expected : {6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                       4593380528125082431U, 16408922859458223821U}) {
    EXPECT_EQ(split_mix(state), expected);
  }
}

// The reference implementation's output from the state 1, 2, 3, 4.
TEST(SeededGeneratorTest, XoshiroGivesThePublishedNumbers) {
  SeededGenerator generator(std::array<std::uint64_t, 4>{1, 2, 3, 4});
  for (const std::uint64_t expected :
       {std::uint64_t{11520}, std::uint64_t{0}, std::uint64_t{1509978240}, std::uint64_t{1215971899390074240}}) {
    EXPECT_EQ(generator.next(), expected);
  }
}

TEST(SeededGeneratorTest, SeedsAndStreamsGiveDifferentSequences) {
  EXPECT_EQ(SeededGenerator(7, 3).next(), SeededGenerator(7, 3).next());
  EXPECT_NE(SeededGenerator(7, 3).next(), SeededGenerator(7, 4).next());
  EXPECT_NE(SeededGenerator(7, 3).next(), SeededGenerator(8, 3).next());
  EXPECT_NE(SeededGenerator(7, 3).next(), SeededGenerator(3, 7).next());
}

TEST(SeededGeneratorTest, NumbersBelowABoundAreEven) {
  SeededGenerator generator(1);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60'000; ++i) ++counts[generator.below(6)];
  // Five standard deviations: sqrt(60000 * 1/6 * 5/6) = 91.
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 456);
  EXPECT_EQ(generator.below(1), 0U);
}

TEST(SeededGeneratorTest, NormalNumbersHaveTheirMoments) {
  SeededGenerator generator(2);
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 100'000;
  for (int i = 0; i < kCount; ++i) {
    const double value = generator.normal();
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.016);
  EXPECT_NEAR(squares / kCount, 1, 0.023);
}

TEST(SeededGeneratorTest, EveryOrderOfThreeIsEquallyLikely) {
  SeededGenerator generator(3);
  std::array<int, 27> counts{};
  for (int i = 0; i < 12'000; ++i) {
    std::array<int, 3> order{0, 1, 2};
    shuffle(std::span<int>(order), generator);
    ++counts[static_cast<std::size_t>(order[0] * 9 + order[1] * 3 + order[2])];
  }
  int orders = 0;
  for (const int count : counts) {
    if (count == 0) continue;
    ++orders;
    EXPECT_NEAR(count, 2000, 205);  // five standard deviations
  }
  EXPECT_EQ(orders, 6);
}

}  // namespace
}  // namespace chorus::dataset
