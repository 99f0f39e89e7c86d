#include "common/plan/round_plan.hpp"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::plan {
namespace {

using ::testing::HasSubstr;

UpdateLayout small_layout(std::uint32_t contributors = 512, std::uint32_t items = 5) {
  return UpdateLayout::create(
             {{.name = "gradient", .rows = items, .columns = 3, .per_item = true, .scale_log2 = 10, .clip = 8}}, 24,
             contributors)
      .value();
}

RoundPlanFields legal_fields() {
  RoundPlanFields fields;
  fields.job.fill(1);
  fields.session.fill(2);
  fields.round = RoundId(7);
  fields.cohort = CohortId(3);
  fields.model_version = ModelVersion(6);
  fields.model_id.fill(4);
  fields.least_members = 76;
  fields.most_members = 128;
  return fields;
}

void expect_refused(const RoundPlanFields& fields, ErrorCode code, std::string_view where,
                    const UpdateLayout& layout = small_layout(), const Floors& floors = kProductionFloors) {
  const auto plan = RoundPlan::create(fields, layout, floors);
  ASSERT_FALSE(plan.has_value()) << where;
  EXPECT_EQ(plan.error().code(), code) << plan.error().to_string();
  EXPECT_THAT(plan.error().where(), HasSubstr(std::string(where)));
}

TEST(Floors, SeventySixMembersLeaveSixtyFourAfterFifteenPercent) {
  EXPECT_EQ(least_cohort(kProductionFloors, Ratio{3, 20}), 76U);
  EXPECT_EQ(least_cohort(kProductionFloors, Ratio{0, 1}), 64U);
  EXPECT_EQ(least_cohort(kProductionFloors, Ratio{1, 3}), 96U);
}

TEST(Floors, TheLeastCohortIsTheSmallestThatKeepsItsSurvivors) {
  for (std::uint32_t denominator = 1; denominator <= 40; ++denominator) {
    for (std::uint32_t numerator = 0; 3 * numerator <= denominator; ++numerator) {
      const Ratio dropout{numerator, denominator};
      const std::uint32_t n = least_cohort(kProductionFloors, dropout);
      // ⌈64 / (1 − δ)⌉ by the definition: the least n with n·(1 − δ) ≥ 64.
      EXPECT_GE(n * (denominator - numerator), 64 * denominator);
      EXPECT_LT((n - 1) * (denominator - numerator), 64 * denominator);
      EXPECT_GE(n - dropout.of(n), 64U);
    }
  }
}

TEST(RoundPlan, ALegalPlanIsAccepted) {
  const auto plan = RoundPlan::create(legal_fields(), small_layout(), kProductionFloors);
  ASSERT_TRUE(plan.has_value()) << plan.error().to_string();
  EXPECT_EQ(plan->fields().round, RoundId(7));
}

TEST(RoundPlan, RoundZeroIsRefused) {
  RoundPlanFields fields = legal_fields();
  fields.round = RoundId(0);
  expect_refused(fields, ErrorCode::invalid_argument, "round");
}

TEST(RoundPlan, ADropoutThatIsNoShareIsRefused) {
  RoundPlanFields fields = legal_fields();
  fields.dropout = {1, 0};
  expect_refused(fields, ErrorCode::invalid_argument, "dropout");
  fields.dropout = {4, 4};
  expect_refused(fields, ErrorCode::invalid_argument, "dropout");
}

TEST(RoundPlan, ADropoutAboveTheCeilingIsRefused) {
  RoundPlanFields fields = legal_fields();
  fields.most_members = fields.least_members = 200;
  fields.dropout = {1, 3};
  EXPECT_TRUE(RoundPlan::create(fields, small_layout(), kProductionFloors).has_value());
  fields.dropout = {33334, 100000};
  expect_refused(fields, ErrorCode::parameter_above_ceiling, "dropout");
  fields.dropout = {9, 10};
  expect_refused(fields, ErrorCode::parameter_above_ceiling, "dropout");
}

TEST(RoundPlan, TooSmallACohortIsRefused) {
  RoundPlanFields fields = legal_fields();
  fields.least_members = 75;
  expect_refused(fields, ErrorCode::parameter_below_floor, "least_members");
  fields.least_members = 2;
  expect_refused(fields, ErrorCode::parameter_below_floor, "least_members");
  Floors floors = kProductionFloors;
  floors.least_survivors = 2;
  fields.least_members = 3;
  EXPECT_TRUE(RoundPlan::create(fields, small_layout(), floors).has_value());
}

TEST(RoundPlan, ALargestCohortBelowTheSmallestIsRefused) {
  RoundPlanFields fields = legal_fields();
  fields.most_members = 75;
  expect_refused(fields, ErrorCode::cohort_too_small, "most_members");
}

TEST(RoundPlan, TooLargeACohortIsRefused) {
  RoundPlanFields fields = legal_fields();
  fields.most_members = 513;
  expect_refused(fields, ErrorCode::parameter_above_ceiling, "most_members", small_layout(600));
  fields.most_members = 512;
  EXPECT_TRUE(RoundPlan::create(fields, small_layout(600), kProductionFloors).has_value());
}

TEST(RoundPlan, ALayoutWithoutHeadroomForTheCohortIsRefused) {
  expect_refused(legal_fields(), ErrorCode::invalid_argument, "layout", small_layout(127));
}

TEST(RoundPlan, TooManyCoordinatesAreRefused) {
  Floors floors = kProductionFloors;
  floors.most_coordinates = 14;
  expect_refused(legal_fields(), ErrorCode::parameter_above_ceiling, "layout", small_layout(), floors);
}

TEST(RoundPlan, AnImpossibleDeadlineIsRefused) {
  RoundPlanFields fields = legal_fields();
  Duration& upload = fields.deadlines[static_cast<std::size_t>(SumPhase::upload)];
  upload = 0s;
  expect_refused(fields, ErrorCode::parameter_below_floor, "deadlines.upload");
  upload = -1s;
  expect_refused(fields, ErrorCode::parameter_below_floor, "deadlines.upload");
  upload = 10min + 1ms;
  expect_refused(fields, ErrorCode::parameter_above_ceiling, "deadlines.upload");
  upload = 1500us;
  expect_refused(fields, ErrorCode::invalid_argument, "deadlines.upload");
}

TEST(RoundPlan, ACorruptShareBelowTheFloorIsRefused) {
  RoundPlanFields fields = legal_fields();
  fields.corrupt = {1, 21};
  expect_refused(fields, ErrorCode::parameter_below_floor, "corrupt");
  fields.corrupt = {0, 1};
  expect_refused(fields, ErrorCode::parameter_below_floor, "corrupt");
  fields.corrupt = {1, 0};
  expect_refused(fields, ErrorCode::invalid_argument, "corrupt");
  fields.corrupt = {2, 40};
  EXPECT_TRUE(RoundPlan::create(fields, small_layout(), kProductionFloors).has_value());
}

TEST(RoundPlan, NoiseIsNoneOrEnough) {
  RoundPlanFields fields = legal_fields();
  for (const double some : {4.0, 1e5}) {
    fields.local_noise = some;
    EXPECT_TRUE(RoundPlan::create(fields, small_layout(), kProductionFloors).has_value());
  }
  for (const double little : {3.999, 1e-300}) {
    fields.local_noise = little;
    expect_refused(fields, ErrorCode::parameter_below_floor, "local_noise");
  }
  const double infinite = std::numeric_limits<double>::infinity();
  for (const double none : {-0.0, -4.0, infinite, std::numeric_limits<double>::quiet_NaN()}) {
    fields.local_noise = none;
    expect_refused(fields, ErrorCode::invalid_argument, "local_noise");
  }
}

// The layout's 128 · 8192 = 2^20 leave 2^23 − 2^20 for six standard deviations of 128 members: √128 · σ · 6.
TEST(RoundPlan, NoiseNeedsHeadroomBesideTheClips) {
  RoundPlanFields fields = legal_fields();
  const UpdateLayout layout = small_layout();
  const double most = (8'388'608.0 - 1'048'576.0) / 6 / std::sqrt(128.0);
  fields.local_noise = most * 0.999;
  EXPECT_TRUE(RoundPlan::create(fields, layout, kProductionFloors).has_value());
  fields.local_noise = most * 1.001;
  expect_refused(fields, ErrorCode::invalid_argument, "local_noise");
  fields.most_members = 76;  // fewer members, more room
  EXPECT_TRUE(RoundPlan::create(fields, layout, kProductionFloors).has_value());
}

// The design's example: n = 1000, c∞·s = 2^10, and z = 5 noise of σ_loc·√n = 5 · 1025.7 need 22 bits.
TEST(RoundPlan, AThousandMembersWithAMultiplierOfFiveFitTwentyFourBits) {
  Floors floors;
  floors.most_members = 1'000;
  RoundPlanFields fields = legal_fields();
  fields.most_members = 1'000;
  fields.local_noise = 5 * 1025.7 / std::sqrt(1'000.0);
  const auto layout = [](int bits) {
    return UpdateLayout::create({{.name = "x", .rows = 1, .columns = 3, .scale_log2 = 10, .clip = 1}}, bits, 1'000);
  };
  EXPECT_TRUE(RoundPlan::create(fields, *layout(24), floors).has_value());
  EXPECT_FALSE(layout(16).has_value());
}

TEST(RoundPlan, EncodingRoundTrips) {
  for (const Purpose purpose : {Purpose::survey, Purpose::train, Purpose::measure}) {
    RoundPlanFields fields = legal_fields();
    fields.purpose = purpose;
    fields.deadlines[2] = 12'345ms;
    const RoundPlan plan = RoundPlan::create(fields, small_layout(), kProductionFloors).value();
    const auto decoded = RoundPlan::decode(plan.encode(), kProductionFloors);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
    EXPECT_EQ(*decoded, plan);
    EXPECT_EQ(decoded->fields().purpose, purpose);
    EXPECT_EQ(decoded->fields().deadlines[2], 12'345ms);
    EXPECT_EQ(decoded->fields().model_id, fields.model_id);
    EXPECT_EQ(decoded->layout(), plan.layout());
  }
}

TEST(RoundPlan, EveryTruncationAndExtensionIsRefused) {
  Bytes bytes = RoundPlan::create(legal_fields(), small_layout(), kProductionFloors)->encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = RoundPlan::decode(ByteView(bytes).first(size), kProductionFloors);
    ASSERT_FALSE(decoded.has_value()) << size;
    EXPECT_EQ(decoded.error().code(), ErrorCode::malformed) << size;
  }
  bytes.push_back(0);
  EXPECT_EQ(RoundPlan::decode(bytes, kProductionFloors).error().code(), ErrorCode::malformed);
}

TEST(RoundPlan, EveryAcceptedByteStringIsCanonical) {
  const Bytes legal = RoundPlan::create(legal_fields(), small_layout(), kProductionFloors)->encode();
  for (std::size_t position = 0; position < legal.size(); ++position) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      Bytes bytes = legal;
      bytes[position] = static_cast<std::uint8_t>(bytes[position] ^ flip);
      const auto decoded = RoundPlan::decode(bytes, kProductionFloors);
      if (decoded) {
        ASSERT_EQ(decoded->encode(), bytes) << position;
      }
    }
  }
}

TEST(RoundPlan, ANoiseMultiplierIsClaimedOnlyWhereThereIsNoise) {
  const auto create = [](double noise, double multiplier) {
    RoundPlanFields fields = legal_fields();
    fields.local_noise = noise;
    fields.noise_multiplier = multiplier;
    return RoundPlan::create(fields, small_layout(), kProductionFloors);
  };
  EXPECT_TRUE(create(4, 0.5).has_value());
  EXPECT_EQ(RoundPlan::decode(create(4, 0.5)->encode(), kProductionFloors)->fields().noise_multiplier, 0.5);
  for (const double claim : {0.5, -0.0}) {
    EXPECT_EQ(create(0, claim).error().where(), "field 'noise_multiplier'") << claim;
  }
  for (const double claim : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(create(4, claim).error().where(), "field 'noise_multiplier'") << claim;
  }
}

TEST(RoundPlan, ALaterVersionSaysSo) {
  Bytes bytes = RoundPlan::create(legal_fields(), small_layout(), kProductionFloors)->encode();
  bytes[4 + 13] = RoundPlan::kVersion + 1;  // behind the label and its length
  const auto decoded = RoundPlan::decode(bytes, kProductionFloors);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code(), ErrorCode::unsupported_version);
}

TEST(RoundPlan, DecodingAppliesTheReadersFloorsNotTheWriters) {
  Floors weak = kProductionFloors;
  weak.least_survivors = 2;
  RoundPlanFields fields = legal_fields();
  fields.least_members = 3;
  const Bytes bytes = RoundPlan::create(fields, small_layout(), weak)->encode();
  EXPECT_EQ(RoundPlan::decode(bytes, kProductionFloors).error().code(), ErrorCode::parameter_below_floor);
}

}  // namespace
}  // namespace chorus::plan
