#include "common/crypto/random_source.hpp"

#include <array>
#include <deque>
#include <set>

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::crypto {
namespace {

// Gives the listed integers, one after the other.
class ListedRandom final : public RandomSource {
 public:
  explicit ListedRandom(std::deque<std::uint64_t> values) : values_(std::move(values)) {}
  void fill(std::span<std::uint8_t> out) override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(values_.front() >> (8 * i));
    values_.pop_front();
  }
  [[nodiscard]] std::size_t left() const { return values_.size(); }

 private:
  std::deque<std::uint64_t> values_;
};

TEST(RandomSource, ReadsIntegersLittleEndian) {
  ListedRandom random({0x0807060504030201});
  EXPECT_EQ(random.u64(), 0x0807060504030201U);
}

// Pearson's chi-squared test on 7 bins, 6 degrees of freedom: P(statistic > 27.9) = 0.0001. The seed is fixed.
TEST(RandomSource, IntegersBelowABoundAreUniform) {
  sim::SeededRandom random(20240607);
  constexpr std::size_t kBins = 7;
  constexpr int kDraws = 70'000;
  std::array<int, kBins> counts{};
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t value = random.below(kBins);
    ASSERT_LT(value, kBins);
    ++counts[value];
  }
  double statistic = 0;
  constexpr double kExpected = static_cast<double>(kDraws) / kBins;
  for (const int count : counts) statistic += (count - kExpected) * (count - kExpected) / kExpected;
  EXPECT_LT(statistic, 27.9);
}

// With the bound 3 * 2^62, a draw reduced modulo the bound without rejection would hit [0, 2^62) twice as often.
TEST(RandomSource, DrawsThatWouldFavourSmallIntegersAreDrawnAgain) {
  constexpr std::uint64_t kBound = std::uint64_t{3} << 62;
  constexpr std::uint64_t kExcess = std::uint64_t{1} << 62;  // 2^64 mod kBound
  ListedRandom random({0, kExcess - 1, kExcess, 77});
  EXPECT_EQ(random.below(kBound), kExcess);
  EXPECT_EQ(random.left(), 1U);
}

TEST(RandomSource, BelowOneIsZeroAndBelowAPowerOfTwoRejectsNothing) {
  ListedRandom random({UINT64_MAX, UINT64_MAX, 0});
  EXPECT_EQ(random.below(1), 0U);
  EXPECT_EQ(random.below(std::uint64_t{1} << 63), (std::uint64_t{1} << 63) - 1);
  EXPECT_EQ(random.below(2), 0U);
}

TEST(RandomSourceDeathTest, NoIntegerIsBelowZero) {
  ListedRandom random({1});
  EXPECT_DEATH(static_cast<void>(random.below(0)), "below the bound");
}

TEST(SystemRandom, DoesNotRepeatItself) {
  const std::unique_ptr<RandomSource> random = make_system_random();
  std::set<ByteArray<16>> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(random->array<16>()).second);
}

TEST(SystemRandom, FillsEveryByte) {
  const std::unique_ptr<RandomSource> random = make_system_random();
  // A byte that is never written stays zero; a written one is zero eight times in a row once in 2^64.
  std::array<std::uint8_t, 33> seen{};
  for (int i = 0; i < 8; ++i) {
    const ByteArray<33> drawn = random->array<33>();
    for (std::size_t j = 0; j < drawn.size(); ++j) seen[j] = static_cast<std::uint8_t>(seen[j] | drawn[j]);
  }
  for (const std::uint8_t byte : seen) EXPECT_NE(byte, 0);
}

// AES-256-CTR from a zero counter block under SHA-256 of 07 00 00 00 00 00 00 00.
TEST(SeededRandom, IsTheSameOnEveryMachine) {
  sim::SeededRandom random(7);
  EXPECT_EQ(to_hex(random.array<32>()), "a169ff524c7955a61e0714cefa4d272fbcee6684a709d552f461cfc2dea4dca5");
}

TEST(SeededRandom, OtherSeedsGiveOtherBytes) {
  sim::SeededRandom a(1);
  sim::SeededRandom b(2);
  EXPECT_NE(to_hex(a.array<32>()), to_hex(b.array<32>()));
}

}  // namespace
}  // namespace chorus::crypto
