#include "common/privacy/private_encoding.hpp"

#include <cmath>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/ring/packing.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::privacy {
namespace {

using plan::UpdateLayout;

constexpr std::uint32_t kItems = 40;
constexpr std::uint32_t kCap = 6;

// Rows of 3 numbers an item in units of 1/1024, clipped at 1, and 2 dense ones.
UpdateLayout layout(int bits = 24, std::uint32_t contributors = 50) {
  return UpdateLayout::create(
             {{.name = "rows", .rows = kItems, .columns = 3, .per_item = true, .scale_log2 = 10, .clip = 1},
              {.name = "rest", .rows = 1, .columns = 2, .scale_log2 = 8, .clip = 2}},
             bits, contributors)
      .value();
}

PrivateEncoding encoding(double sigma = 4) {
  const std::vector<ClipGroup> groups{{.tensors = 1, .norm = 1024}, {.tensors = 1, .norm = 256}};
  return PrivateEncoding::create(layout(), groups, kCap, sigma).value();
}

double uniform(crypto::RandomSource& random, double span) {
  return (static_cast<double>(random.u64() >> 11) * 0x1p-53 - 0.5) * 2 * span;
}

ring::Contribution contribution_of(crypto::RandomSource& random, std::size_t items, double span) {
  ring::Contribution out;
  out.reset(layout(), items);
  for (std::size_t i = 0; i < items; ++i) out.items[i] = static_cast<std::uint32_t>(5 * i + random.below(5));
  for (double& x : out.rows) x = uniform(random, span);
  for (double& x : out.dense) x = uniform(random, span);
  return out;
}

// Σ of squared ring coordinates of the numbers, as the layout scales them.
double squared_norm(const ring::Contribution& contribution) {
  double sum = 0;
  for (const double x : contribution.rows) sum += std::pow(x * 1024, 2);
  for (const double x : contribution.dense) sum += std::pow(x * 256, 2);
  return sum;
}

TEST(Sensitivity, MatchesEveryReferenceRow) {
  const auto table = nlohmann::json::parse(std::ifstream(CHORUS_SOURCE_DIR "/tests/vectors/accountant.json"));
  ASSERT_FALSE(table["rounding_sensitivity"].empty());
  for (const auto& row : table["rounding_sensitivity"]) {
    const double norm = row["clip"].get<double>() * row["scale"].get<double>();
    EXPECT_NEAR(rounding_sensitivity(norm, row["coordinates"]), row["delta2"], 5e-4) << row;
  }
}

TEST(Sensitivity, CountsOnlyTheCoordinatesThatADeviceMayTouch) {
  const std::uint64_t rows = static_cast<std::uint64_t>(std::pow(rounding_sensitivity(1024, 3 * kCap), 2));
  const std::uint64_t rest = static_cast<std::uint64_t>(std::pow(rounding_sensitivity(256, 2), 2));
  EXPECT_EQ(encoding().squared_sensitivity(), rows + rest);
}

TEST(LocalSigma, IsSizedForTheHonestMembersThatStay) {
  EXPECT_EQ(honest_contributors(100, {1, 20}, {3, 20}), 80U);
  EXPECT_EQ(honest_contributors(76, {1, 20}, {3, 20}), 62U);  // ⌊3.8⌋ and ⌊11.4⌋
  EXPECT_EQ(honest_contributors(1, {1, 2}, {1, 2}), 1U);
  EXPECT_EQ(honest_contributors(2, {1, 2}, {1, 2}), 0U);
  EXPECT_DOUBLE_EQ(local_sigma(5, 1000, 64), 625);
  EXPECT_EQ(local_sigma(0.001, 1000, 64), kLeastLocalSigma);
}

TEST(ClipAndRound, NoNormIsEverAboveTheSensitivity) {
  sim::SeededRandom random(1);
  const PrivateEncoding small = encoding();
  PrivateCounts counts;
  for (int i = 0; i < 2'000; ++i) {
    const auto contribution = contribution_of(random, random.below(kCap + 1), i % 2 == 0 ? 0.4 : 5);
    const auto rounded = small.clip_and_round(contribution, random, counts);
    ASSERT_TRUE(rounded.has_value()) << rounded.error().to_string();
    EXPECT_LE(squared_norm(*rounded), static_cast<double>(small.squared_sensitivity()));
    for (const double x : rounded->rows) EXPECT_EQ(x * 1024, std::floor(x * 1024));
  }
  EXPECT_GT(counts.norm_clipped, 500U);
}

// Where the norm is tight and the fractions are halves, most first tries are too long.
TEST(ClipAndRound, TriesAgainUntilTheNormIsSmallEnough) {
  const auto one =
      UpdateLayout::create({{.name = "x", .rows = 1, .columns = 10'000, .scale_log2 = 0, .clip = 1000}}, 24, 50)
          .value();
  // All of the clip in halves: E[norm²] = 10⁴·½ against Δ² = 50² + 10⁴/4 + 50 + 50.
  const std::vector<ClipGroup> groups{{.tensors = 1, .norm = 50}};
  const PrivateEncoding tight = PrivateEncoding::create(one, groups, 0, 4).value();
  sim::SeededRandom random(2);
  PrivateCounts counts;
  for (int i = 0; i < 200; ++i) {
    ring::Contribution half;
    half.reset(one, 0);
    for (double& x : half.dense) x = 0.5;
    const auto rounded = tight.clip_and_round(half, random, counts);
    ASSERT_TRUE(rounded.has_value());
    double sum = 0;
    for (const double x : rounded->dense) sum += x * x;
    EXPECT_LE(sum, static_cast<double>(tight.squared_sensitivity()));
  }
  EXPECT_GT(counts.retries, 0U) << "or the test shows nothing";
}

TEST(ClipAndRound, RoundsWithoutABias) {
  sim::SeededRandom random(3);
  const PrivateEncoding small = encoding();
  auto contribution = contribution_of(random, 2, 0.2);
  contribution.rows[0] = 0.25 / 1024;
  contribution.rows[1] = -0.25 / 1024;
  contribution.rows[2] = 3.0 / 1024;  // an integer stays
  PrivateCounts counts;
  double first = 0;
  double second = 0;
  constexpr int kTimes = 20'000;
  for (int i = 0; i < kTimes; ++i) {
    const auto rounded = small.clip_and_round(contribution, random, counts).value();
    first += rounded.rows[0] * 1024;
    second += rounded.rows[1] * 1024;
    EXPECT_EQ(rounded.rows[2] * 1024, 3);
  }
  // Five standard errors of a coin of ¼.
  EXPECT_NEAR(first / kTimes, 0.25, 5 * std::sqrt(0.1875 / kTimes));
  EXPECT_NEAR(second / kTimes, -0.25, 5 * std::sqrt(0.1875 / kTimes));
  EXPECT_EQ(counts.clipped, 0U);
  EXPECT_EQ(counts.norm_clipped, 0U);
}

TEST(ClipAndRound, ClipsEachGroupByItselfAndEachNumberToItsOwnClip) {
  sim::SeededRandom random(4);
  const PrivateEncoding small = encoding();
  ring::Contribution contribution;
  contribution.reset(layout(), 1);
  contribution.rows[0] = 30;  // 30 times the group's norm
  contribution.dense[0] = 0.5;
  PrivateCounts counts;
  const auto rounded = small.clip_and_round(contribution, random, counts).value();
  EXPECT_NEAR(rounded.rows[0], 1, 1.0 / 1024);
  EXPECT_EQ(rounded.dense[0], 0.5) << "another group";
  EXPECT_EQ(counts.norm_clipped, 1U);

  const std::vector<ClipGroup> wide{{.tensors = 2, .norm = 1e6}};
  counts = {};
  const auto own =
      PrivateEncoding::create(layout(), wide, kCap, 4).value().clip_and_round(contribution, random, counts);
  EXPECT_EQ(own->rows[0], 1);
  EXPECT_EQ(counts.clipped, 1U);
  EXPECT_EQ(counts.norm_clipped, 0U);
}

TEST(ClipAndRound, HugeNumbersDoNotOverflowTheNorm) {
  sim::SeededRandom random(5);
  ring::Contribution contribution;
  contribution.reset(layout(), 1);
  contribution.rows[0] = 1e300;
  contribution.rows[1] = -1e300;
  PrivateCounts counts;
  const auto rounded = encoding().clip_and_round(contribution, random, counts);
  ASSERT_TRUE(rounded.has_value());
  EXPECT_NEAR(rounded->rows[0], std::sqrt(0.5), 2.0 / 1024);
  EXPECT_NEAR(rounded->rows[1], -std::sqrt(0.5), 2.0 / 1024);
}

TEST(PrivateEncoding, TheSumIsTheRoundedNumbersAndNoiseOfTheRightWidth) {
  constexpr std::uint32_t kMembers = 50;
  constexpr int kRounds = 100;
  sim::SeededRandom random(6);
  const PrivateEncoding noisy = encoding(20);
  const UpdateLayout shape = layout();
  const auto contribution = contribution_of(random, 4, 0.2);
  double sum = 0;
  double squares = 0;
  std::uint64_t saturated = 0;
  PrivateCounts counts;
  for (int round = 0; round < kRounds; ++round) {
    ring::CohortSum cohort(shape);
    for (std::uint32_t member = 0; member < kMembers; ++member) {
      ASSERT_TRUE(cohort.add(noisy.encode(contribution, random, counts).value()).has_value());
    }
    saturated += noisy.count_saturated(cohort);
    ring::RoundSum lifted(shape);
    lifted.add(cohort);
    // Coordinates that nobody touches are noise alone: N(0, 50 · 20²) but for the discreteness.
    for (std::size_t k = 25 * 3; k < std::size_t{kItems} * 3; ++k) {
      const auto value = static_cast<double>(lifted.coordinates()[k]);
      sum += value;
      squares += value * value;
    }
    // And those that all touch are the numbers' sum.
    const std::size_t first = std::size_t{contribution.items[0]} * 3;
    EXPECT_NEAR(static_cast<double>(lifted.coordinates()[first]), kMembers * contribution.rows[0] * 1024,
                6 * std::sqrt(kMembers * (400 + 0.25)));
  }
  const double count = kRounds * (kItems - 25.0) * 3;
  const double variance = kMembers * 400.0;
  EXPECT_NEAR(sum / count, 0, 5 * std::sqrt(variance / count));
  EXPECT_NEAR(squares / count, variance, 5 * variance * std::sqrt(2 / count));
  EXPECT_EQ(saturated, 0U);
  EXPECT_EQ(counts.wrapped, 0U);
}

TEST(PrivateEncoding, TwoEncodingsOfTheSameNumbersShareNothing) {
  sim::SeededRandom random(7);
  const auto contribution = contribution_of(random, 3, 0.2);
  PrivateCounts counts;
  const auto one = encoding(1000).encode(contribution, random, counts).value();
  const auto two = encoding(1000).encode(contribution, random, counts).value();
  std::size_t same = 0;
  std::vector<std::uint32_t> a(layout().dimension());
  std::vector<std::uint32_t> b(layout().dimension());
  ring::add_packed(24, one, a);
  ring::add_packed(24, two, b);
  for (std::size_t k = 0; k < a.size(); ++k) same += static_cast<std::size_t>(a[k] == b[k]);
  EXPECT_LT(same, 4U) << "each coordinate agrees with a chance of 0.0003";
}

TEST(PrivateEncoding, CountsWrapsOfADeviceAndSaturationOfASum) {
  const auto narrow =
      UpdateLayout::create({{.name = "x", .rows = 1, .columns = 4'000, .scale_log2 = 0, .clip = 30'000}}, 16, 1)
          .value();
  const std::vector<ClipGroup> groups{{.tensors = 1, .norm = 2e6}};
  const auto wide = PrivateEncoding::create(narrow, groups, 0, 3'000).value();
  sim::SeededRandom random(8);
  ring::Contribution full;
  full.reset(narrow, 0);
  for (double& x : full.dense) x = 30'000;
  PrivateCounts counts;
  ring::CohortSum sum(narrow);
  ASSERT_TRUE(sum.add(wide.encode(full, random, counts).value()).has_value());
  // 2^15 is 2,768 above: 0.92 standard deviations, 18 % of the coordinates.
  EXPECT_NEAR(static_cast<double>(counts.wrapped), 0.178 * 4'000, 5 * std::sqrt(4'000 * 0.178 * 0.822));
  EXPECT_EQ(wide.count_saturated(sum), 0U) << "within six standard deviations everything is possible";

  // A member that does not clip.
  ring::CohortSum unclipped(layout(24, 50));
  std::vector<std::uint32_t> lanes(layout().dimension(), 0);
  lanes[7] = 5'000;
  crypto::ZeroizingBytes packed(layout().packed_size());
  ring::pack(24, lanes, packed);
  ASSERT_TRUE(unclipped.add(packed).has_value());
  EXPECT_EQ(encoding().count_saturated(unclipped), 1U);
}

TEST(PrivateEncoding, RefusesWhatItCannotPromise) {
  sim::SeededRandom random(9);
  const std::vector<ClipGroup> groups{{.tensors = 1, .norm = 1024}, {.tensors = 1, .norm = 256}};
  EXPECT_EQ(PrivateEncoding::create(layout(), groups, kCap, 3.99).error().code(), ErrorCode::parameter_below_floor);
  EXPECT_EQ(PrivateEncoding::create(layout(), groups, kCap, std::nan("")).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(PrivateEncoding::create(layout(), groups, 0, 4).error().where(), "most_items");
  EXPECT_EQ(PrivateEncoding::create(layout(), std::vector<ClipGroup>{{1, 1024}}, kCap, 4).error().where(), "groups");
  EXPECT_EQ(PrivateEncoding::create(layout(), std::vector<ClipGroup>{{3, 1024}}, kCap, 4).error().where(), "groups");
  EXPECT_EQ(PrivateEncoding::create(layout(), std::vector<ClipGroup>{{2, 0}}, kCap, 4).error().where(), "groups");
  const auto limbs =
      UpdateLayout::create({{.name = "x", .rows = 1, .columns = 1, .limbs = 2, .scale_log2 = 0, .clip = 9}}, 24, 50);
  EXPECT_EQ(PrivateEncoding::create(*limbs, std::vector<ClipGroup>{{1, 9}}, 0, 4).error().where(), "field 'layout'");
  PrivateCounts counts;
  EXPECT_EQ(encoding().encode(contribution_of(random, kCap + 1, 1), random, counts).error().code(),
            ErrorCode::too_large);
  auto broken = contribution_of(random, 2, 1);
  broken.rows[4] = std::nan("");
  EXPECT_EQ(encoding().encode(broken, random, counts).error().code(), ErrorCode::non_finite);
  EXPECT_LT(encoding().noise_delta(), 1e-25);
}

}  // namespace
}  // namespace chorus::privacy
