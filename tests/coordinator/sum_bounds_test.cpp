// Sums that no honest members could have made are rejected whole.
#include "coordinator/round/sum_bounds.hpp"

#include <cmath>

#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

constexpr int kBits = 24;
constexpr std::uint32_t kMembers = 100;

// Two items of three numbers clipped to 2, and one number clipped to 8; both in units of 2^-4.
plan::UpdateLayout layout() {
  return plan::UpdateLayout::create(
             {{.name = "rows", .rows = 2, .columns = 3, .per_item = true, .limbs = 1, .scale_log2 = 4, .clip = 2},
              {.name = "once", .rows = 1, .columns = 1, .per_item = false, .limbs = 1, .scale_log2 = 4, .clip = 8}},
             kBits, kMembers)
      .value();
}

Status check(double noise, std::vector<double> coordinates, std::vector<plan::ClipGroup> groups = {}) {
  std::vector<std::uint32_t> ring;
  for (const double x : coordinates) {
    ring.push_back(static_cast<std::uint32_t>(static_cast<std::int32_t>(x)) & ((1U << kBits) - 1));
  }
  return check_bounds(layout(), noise, groups, ring::CohortSum::of(layout(), std::move(ring), 50));
}

TEST(SumBounds, ACoordinateIsWithinItsMembersClipsAndSixDeviationsOfTheirNoise) {
  const double most = 50 * 2 * 16;
  EXPECT_TRUE(check(0, {most, -most, 0, 0, 0, most, 50 * 8 * 16}).has_value());
  for (const double sign : {1.0, -1.0}) {
    const Status refused = check(0, {0, 0, 0, 0, 0, sign * (most + 1), 0});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), ErrorCode::sum_out_of_bounds);
    EXPECT_EQ(refused.error().where(), "item 1");
  }
  EXPECT_EQ(check(0, {0, 0, 0, 0, 0, 0, 50 * 8 * 16 + 1}).error().code(), ErrorCode::sum_out_of_bounds);
  const double noisy = most + std::floor(6 * std::sqrt(50.0) * 7);
  EXPECT_TRUE(check(7, {noisy, 0, 0, 0, 0, 0, 0}).has_value());
  EXPECT_FALSE(check(7, {noisy + 1, 0, 0, 0, 0, 0, 0}).has_value());
}

TEST(SumBounds, AGroupIsWithinItsMembersNorms) {
  // Each of 50 members at most 10 in norm over the first tensor's six numbers, each of which rounding may lengthen.
  const std::vector<plan::ClipGroup> groups{{.tensors = 1, .norm = 10}, {.tensors = 1, .norm = 128}};
  const double most = 50 * plan::rounding_sensitivity(10, 6);
  const double each = most / std::sqrt(6.0);
  const auto all = [](double x) { return std::vector<double>{x, -x, x, -x, x, x, 0}; };
  EXPECT_TRUE(check(0, all(std::floor(each)), groups).has_value());
  const Status refused = check(0, all(std::ceil(each) + 1), groups);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::sum_out_of_bounds);
  EXPECT_TRUE(check(0, all(std::ceil(each) + 1)).has_value()) << "control: within the clips of the coordinates";
}

TEST(SumBounds, ADeviceThatDoesNotClipCostsItsCohortTheRoundAndNothingOfItIsPublished) {
  FederationSettings settings = make_settings();
  settings.devices = 10;
  Town town(settings, new_job(make_job(1), make_items(20), make_key()).value());
  town.add(3).manner = Manner::does_not_clip;
  town.connect(1, 10);
  town.advance(5s);
  ASSERT_FALSE(town.logged<CohortAborted>().empty());
  EXPECT_EQ(town.logged<CohortAborted>().front().reason.code(), ErrorCode::sum_out_of_bounds);
  const auto closed = town.logged<RoundClosed>();
  ASSERT_FALSE(closed.empty());
  EXPECT_EQ(closed.front().cohorts, 2U);
  EXPECT_EQ(closed.front().cohorts_aborted, 1U) << "the other cohort's sum counts";
  EXPECT_EQ(closed.front().survivors, 5U);
}

}  // namespace
}  // namespace chorus::coordinator
