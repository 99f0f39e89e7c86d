#include "common/ring/fixed_point.hpp"

#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::ring {
namespace {

using plan::TensorLayout;
using plan::UpdateLayout;
using ::testing::HasSubstr;

constexpr std::uint32_t kItems = 11;
constexpr std::uint32_t kContributors = 12;

// Both kinds of tensor, one and two limbs, interleaved.
UpdateLayout mixed_layout(int bits) {
  return UpdateLayout::create(
             {{.name = "gradient", .rows = kItems, .columns = 3, .per_item = true, .scale_log2 = 6, .clip = 4},
              {.name = "metrics", .rows = 1, .columns = 2, .limbs = 2, .scale_log2 = 8, .clip = 1000.5},
              {.name = "square",
               .rows = kItems,
               .columns = 2,
               .per_item = true,
               .limbs = 2,
               .scale_log2 = 10,
               .clip = 77},
              {.name = "weight", .rows = 1, .columns = 1, .scale_log2 = -2, .clip = 2000}},
             bits, kContributors)
      .value();
}

double uniform(crypto::RandomSource& random, double span) {
  return (static_cast<double>(random.u64() >> 11) / 9007199254740992.0 - 0.5) * 2 * span;
}

Contribution random_contribution(const UpdateLayout& layout, crypto::RandomSource& random) {
  std::vector<std::uint32_t> items;
  for (std::uint32_t i = 0; i < layout.items(); ++i) {
    if (random.below(2) == 1) items.push_back(i);
  }
  Contribution contribution;
  contribution.reset(layout, items.size());
  std::ranges::copy(items, contribution.items.begin());
  for (double& x : contribution.rows) x = uniform(random, 100);  // some beyond every clip
  for (double& x : contribution.dense) x = uniform(random, 2500);
  return contribution;
}

UpdateLayout one_number(int bits, int scale_log2, double clip, int limbs = 1) {
  return UpdateLayout::create({{.name = "x",
                                .rows = 1,
                                .columns = 1,
                                .limbs = static_cast<std::uint8_t>(limbs),
                                .scale_log2 = static_cast<std::int8_t>(scale_log2),
                                .clip = clip}},
                              bits, 1)
      .value();
}

// Through the packed form and back.
double round_trip(const UpdateLayout& layout, double x) {
  Contribution contribution;
  contribution.reset(layout, 0);
  contribution.dense[0] = x;
  EncodeCounts counts;
  CohortSum cohort(layout);
  EXPECT_TRUE(cohort.add(encode(layout, contribution, counts).value()).has_value());
  RoundSum sum(layout);
  sum.add(cohort);
  return sum.numbers(0)[0];
}

TEST(FixedPoint, HalvesRoundToEven) {
  const UpdateLayout layout = one_number(24, 0, 1000);
  for (const auto& [x, expected] : std::vector<std::pair<double, double>>{{0.5, 0},
                                                                          {1.5, 2},
                                                                          {2.5, 2},
                                                                          {-0.5, 0},
                                                                          {-1.5, -2},
                                                                          {-2.5, -2},
                                                                          {0.49999999999999994, 0},
                                                                          {-0.0, 0},
                                                                          {999.5, 1000},
                                                                          {998.5, 998},
                                                                          {0.75, 1},
                                                                          {-0.75, -1}}) {
    EXPECT_EQ(round_trip(layout, x), expected) << x;
  }
}

TEST(FixedPoint, ScalesArePowersOfTwoInBothDirections) {
  EXPECT_EQ(round_trip(one_number(24, 3, 100), 1.3), 1.25);
  EXPECT_EQ(round_trip(one_number(24, -3, 1000), 20.1), 24);
  EXPECT_EQ(round_trip(one_number(24, -3, 1000), 19.9), 16);
}

TEST(FixedPoint, TheClipPointItselfIsExactAndNotCounted) {
  for (const int bits : {16, 24, 32}) {
    for (const int limbs : {1, 2}) {
      const double clip = std::ldexp(1.0, bits - 1 + (limbs == 2 ? plan::kLimbBits : 0)) - (limbs == 2 ? 2049 : 1);
      const UpdateLayout layout = one_number(bits, 0, clip, limbs);
      EXPECT_EQ(round_trip(layout, clip), clip);
      EXPECT_EQ(round_trip(layout, -clip), -clip);
      EXPECT_EQ(round_trip(layout, 1e300), clip);
      EXPECT_EQ(round_trip(layout, -1e300), -clip);
      Contribution contribution;
      contribution.reset(layout, 0);
      EncodeCounts counts;
      contribution.dense[0] = clip;
      ASSERT_TRUE(encode(layout, contribution, counts).has_value());
      EXPECT_EQ(counts.clipped, 0U);
      contribution.dense[0] = std::nextafter(clip, 1e300);
      ASSERT_TRUE(encode(layout, contribution, counts).has_value());
      EXPECT_EQ(counts.clipped, 1U);
    }
  }
}

TEST(FixedPoint, LimbsJoinAtEveryBoundary) {
  const UpdateLayout layout = one_number(24, 0, 100'000, 2);
  for (const double edge : {0.0, 2048.0, 4096.0, 6144.0, 8192.0, 65536.0}) {
    for (double x = edge - 2; x <= edge + 2; ++x) {
      EXPECT_EQ(round_trip(layout, x), x);
      EXPECT_EQ(round_trip(layout, -x), -x);
    }
  }
}

TEST(FixedPoint, AnEmptyContributionIsAllZeroBytes) {
  const UpdateLayout layout = mixed_layout(24);
  Contribution contribution;
  contribution.reset(layout, 0);
  EncodeCounts counts;
  const auto packed = encode(layout, contribution, counts).value();
  EXPECT_EQ(packed.size(), layout.packed_size());
  EXPECT_TRUE(std::ranges::all_of(packed, [](std::uint8_t byte) { return byte == 0; }));
}

TEST(FixedPoint, PackedCoordinatesAreLittleEndianTwosComplement) {
  const UpdateLayout layout =
      UpdateLayout::create({{.name = "x", .rows = 1, .columns = 2, .scale_log2 = 0, .clip = 1000}}, 24, 1).value();
  Contribution contribution;
  contribution.reset(layout, 0);
  contribution.dense[0] = 258;
  contribution.dense[1] = -2;
  EncodeCounts counts;
  const auto packed = encode(layout, contribution, counts).value();
  EXPECT_THAT(packed, ::testing::ElementsAre(0x02, 0x01, 0x00, 0xFE, 0xFF, 0xFF));
}

TEST(FixedPoint, TheSumOfPackedUploadsIsTheSumOfContributions) {
  constexpr std::uint64_t kSeed = 20240611;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  for (const int bits : {16, 24, 32}) {
    sim::SeededRandom random(kSeed + static_cast<std::uint64_t>(bits));
    const UpdateLayout layout = mixed_layout(bits);
    for (int repetition = 0; repetition < 20; ++repetition) {
      CohortSum cohort(layout);
      RoundSum direct(layout);
      EncodeCounts packed_counts;
      EncodeCounts direct_counts;
      for (std::uint32_t u = 0; u < kContributors; ++u) {
        const Contribution contribution = random_contribution(layout, random);
        ASSERT_TRUE(cohort.add(encode(layout, contribution, packed_counts).value()).has_value());
        ASSERT_TRUE(direct.add(contribution, direct_counts).has_value());
      }
      RoundSum lifted(layout);
      lifted.add(cohort);
      EXPECT_TRUE(std::ranges::equal(lifted.coordinates(), direct.coordinates()));
      EXPECT_EQ(lifted.contributors(), direct.contributors());
      EXPECT_EQ(packed_counts.clipped, direct_counts.clipped);
      EXPECT_GT(direct_counts.clipped, 0U);
    }
  }
}

TEST(FixedPoint, SixteenBitSumsAreExactToTheLastContributorAtTheClip) {
  const UpdateLayout layout =
      UpdateLayout::create({{.name = "x", .rows = 3, .columns = 1, .per_item = true, .scale_log2 = 3, .clip = 7.8}}, 16,
                           512)
          .value();
  CohortSum cohort(layout);
  EncodeCounts counts;
  for (int u = 0; u < 512; ++u) {
    Contribution contribution;
    contribution.reset(layout, 3);
    std::iota(contribution.items.begin(), contribution.items.end(), 0U);
    contribution.rows[0] = 9;
    contribution.rows[1] = -9;
    contribution.rows[2] = u % 2 == 0 ? 1 : -1;
    ASSERT_TRUE(cohort.add(encode(layout, contribution, counts).value()).has_value());
  }
  RoundSum sum(layout);
  sum.add(cohort);
  EXPECT_THAT(sum.numbers(0), ::testing::ElementsAre(512 * 7.75, -512 * 7.75, 0));
  EXPECT_EQ(counts.clipped, 1024U);
}

TEST(FixedPoint, NumbersComeBackWithinHalfAStep) {
  constexpr std::uint64_t kSeed = 77;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  sim::SeededRandom random(kSeed);
  const UpdateLayout layout = one_number(24, 10, 4000);
  for (int k = 0; k < 1000; ++k) {
    const double x = uniform(random, 4000);
    EXPECT_NEAR(round_trip(layout, x), x, std::ldexp(0.5, -10)) << x;
  }
}

TEST(FixedPoint, NonFiniteNumbersAreNamedAndLeaveTheSumAlone) {
  const UpdateLayout layout = mixed_layout(24);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()}) {
    Contribution contribution;
    contribution.reset(layout, 2);
    contribution.items[0] = 4;
    contribution.items[1] = 9;
    contribution.rows[0] = 1;
    contribution.rows[layout.row_width() + 4] = bad;
    RoundSum sum(layout);
    EncodeCounts counts;
    const Status added = sum.add(contribution, counts);
    ASSERT_FALSE(added.has_value());
    EXPECT_EQ(added.error().code(), ErrorCode::non_finite);
    EXPECT_THAT(added.error().sentence(), HasSubstr("'square'"));
    EXPECT_EQ(added.error().where(), "item 9");
    EXPECT_EQ(sum.contributors(), 0U);
    EXPECT_TRUE(std::ranges::all_of(sum.coordinates(), [](std::int64_t x) { return x == 0; }));
    EXPECT_EQ(encode(layout, contribution, counts).error(), added.error());

    contribution.rows[layout.row_width() + 4] = 0;
    contribution.dense[2] = bad;
    const Status dense = sum.add(contribution, counts);
    ASSERT_FALSE(dense.has_value());
    EXPECT_EQ(dense.error().code(), ErrorCode::non_finite);
    EXPECT_THAT(dense.error().sentence(), HasSubstr("'weight'"));
  }
}

TEST(FixedPoint, WrongShapesAreRefused) {
  const UpdateLayout layout = mixed_layout(24);
  const auto refused = [&layout](auto change) {
    Contribution contribution;
    contribution.reset(layout, 2);
    contribution.items[1] = 1;
    change(contribution);
    EncodeCounts counts;
    const auto packed = encode(layout, contribution, counts);
    ASSERT_FALSE(packed.has_value());
    EXPECT_EQ(packed.error().code(), ErrorCode::invalid_argument);
  };
  refused([](auto& c) { c.items[1] = kItems; });
  refused([](auto& c) { c.items[0] = 1; });
  refused([](auto& c) { c.items[0] = 2; });
  refused([](auto& c) { c.rows.pop_back(); });
  refused([](auto& c) { c.dense.push_back(0); });
}

TEST(CohortSum, AnUploadOfAnotherSizeIsRefusedAndTheSumUnchanged) {
  const UpdateLayout layout = mixed_layout(24);
  CohortSum cohort(layout);
  for (const std::size_t size : {std::size_t{0}, layout.packed_size() - 1, layout.packed_size() + 1}) {
    const Status added = cohort.add(Bytes(size, 0xFF));
    ASSERT_FALSE(added.has_value());
    EXPECT_EQ(added.error().code(), ErrorCode::malformed);
  }
  EXPECT_EQ(cohort.contributors(), 0U);
  EXPECT_TRUE(std::ranges::all_of(cohort.coordinates(), [](std::uint32_t x) { return x == 0; }));
}

TEST(CohortSum, MoreContributorsThanTheHeadroomAreRefused) {
  const UpdateLayout layout = one_number(24, 0, 10);
  CohortSum cohort(layout);
  const Bytes upload(layout.packed_size(), 0);
  ASSERT_TRUE(cohort.add(upload).has_value());
  const Status second = cohort.add(upload);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::too_large);
  EXPECT_EQ(cohort.contributors(), 1U);
}

TEST(CohortSum, SumsWrapModuloTheRing) {
  // Masked uploads are uniform in the ring: their sum must wrap, for every length of the vector's tail.
  constexpr std::uint64_t kSeed = 5;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  sim::SeededRandom random(kSeed);
  for (const int bits : {16, 24, 32}) {
    for (std::uint32_t columns = 1; columns <= 9; ++columns) {
      const UpdateLayout layout =
          UpdateLayout::create({{.name = "x", .rows = 1, .columns = columns, .scale_log2 = 0, .clip = 1}}, bits, 8)
              .value();
      CohortSum cohort(layout);
      std::vector<std::uint64_t> expected(columns, 0);
      for (int u = 0; u < 8; ++u) {
        Bytes upload(layout.packed_size());
        random.fill(upload);
        ASSERT_TRUE(cohort.add(upload).has_value());
        const auto width = static_cast<std::size_t>(bits / 8);
        for (std::size_t k = 0; k < columns; ++k) {
          for (std::size_t b = 0; b < width; ++b) expected[k] += std::uint64_t{upload[k * width + b]} << (8 * b);
        }
      }
      for (std::size_t k = 0; k < columns; ++k) {
        EXPECT_EQ(cohort.coordinates()[k], expected[k] & ((std::uint64_t{1} << bits) - 1)) << bits << ' ' << columns;
      }
    }
  }
}

TEST(RoundSum, SeveralCohortsAddUpAsIntegersBeyondTheRing) {
  const UpdateLayout layout = one_number(16, 0, 32767);
  RoundSum sum(layout);
  EncodeCounts counts;
  for (int c = 0; c < 5; ++c) {
    Contribution contribution;
    contribution.reset(layout, 0);
    contribution.dense[0] = -32767;
    CohortSum cohort(layout);
    ASSERT_TRUE(cohort.add(encode(layout, contribution, counts).value()).has_value());
    sum.add(cohort);
  }
  RoundSum twice(layout);
  twice.add(sum);
  twice.add(sum);
  EXPECT_EQ(sum.numbers(0)[0], -5.0 * 32767);
  EXPECT_EQ(twice.numbers(0)[0], -10.0 * 32767);
  EXPECT_EQ(twice.contributors(), 10U);
}

}  // namespace
}  // namespace chorus::ring
