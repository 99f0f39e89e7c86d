#include "common/privacy/wide_integer.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "common/privacy/interval.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::privacy {
namespace {

template <std::size_t N>
WideInteger<N> random_wide(crypto::RandomSource& random, std::size_t words) {
  WideInteger<N> out;
  for (std::size_t i = 0; i < words; ++i) out.words[i] = random.u64();
  return out;
}

TEST(WideInteger, AQuotientTimesItsDivisorAndTheRestGiveTheDividend) {
  sim::SeededRandom random(1);
  for (int i = 0; i < 200; ++i) {
    const auto a = random_wide<6>(random, 1 + random.below(5));
    const auto b = random_wide<4>(random, 1 + random.below(3));
    const auto q = quotient(a, b);
    const auto back = resized<6>(product(q, b));
    ASSERT_LE(back, a);
    EXPECT_LT(a - back, resized<6>(b));
  }
}

TEST(WideInteger, SumsAndShiftsUndoThemselvesAcrossWords) {
  sim::SeededRandom random(2);
  for (std::size_t shift = 0; shift < 130; ++shift) {
    const auto a = random_wide<5>(random, 2);
    const auto b = random_wide<5>(random, 3);
    EXPECT_EQ((a + b) - b, a);
    EXPECT_EQ((a << shift) >> shift, a);
    EXPECT_EQ(product(a, WideInteger<1>(1) << (shift % 64)), resized<6>(a << (shift % 64)));
    EXPECT_EQ((WideInteger<5>(1) << shift).bit_length(), shift + 1);
  }
}

// e^(−1) to 80 digits: 0.36787944117144232159552377016146086744581113103176783450783680169746149574489980
TEST(Interval, HoldsEToTheMinusOneBetweenItsEnds) {
  const Interval e = exp_minus(Interval::of(1.0));
  Interval ten = Interval::of(std::uint64_t{10});
  // The digits as an interval: Σ digit_i / 10^i, and one more unit of the last place.
  const std::string digits = "36787944117144232159552377016146086744581113103176783450783680169746149574489980";
  Interval scale = Interval::of(std::uint64_t{1});
  Interval value = Interval::of(std::uint64_t{0});
  for (const char digit : digits) {
    scale = scale / ten;
    value = value + Interval::of(static_cast<std::uint64_t>(digit - '0')) * scale;
  }
  value.high = value.high + scale.high;
  EXPECT_LE(e.low, value.high);
  EXPECT_GE(e.high, value.low);
  EXPECT_LE((e.high - e.low).bit_length(), 16U) << "and is no wider than 2^-240";
}

TEST(Interval, AgreesWithDoublesAndStaysNarrow) {
  for (const double x : {0.0, 1e-9, 0.3, 1.0, 7.25, 40.0, 300.0}) {
    const Interval e = exp_minus(Interval::of(x));
    if (x < 160) {
      EXPECT_NEAR(to_double(e.low) / std::exp(-x), 1, 1e-14) << x;
    }
    EXPECT_LE((e.high - e.low).bit_length(), 24U) << x;
  }
  const Interval third = Interval::of(1.0) / Interval::of(3.0);
  const Interval one = third * Interval::of(3.0);
  EXPECT_LT(one.low, one.high);
  EXPECT_LE(one.low, Interval::of(1.0).low);
  EXPECT_GE(one.high, Interval::of(1.0).high);
}

}  // namespace
}  // namespace chorus::privacy
