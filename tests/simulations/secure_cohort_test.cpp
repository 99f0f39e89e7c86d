#include "simulations/world/secure_cohort.hpp"

#include <gtest/gtest.h>

#include "common/ring/packing.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::sim {
namespace {

constexpr WallTime kEnrolled{std::chrono::seconds{1'700'000'000}};
constexpr WallTime kToday{std::chrono::seconds{1'710'000'000}};
constexpr WallTime kExpiry{std::chrono::seconds{1'720'000'000}};

plan::UpdateLayout layout_of(int bits) {
  plan::TensorLayout rows{
      .name = "rows", .rows = 50, .columns = 3, .per_item = true, .limbs = 1, .scale_log2 = 2, .clip = 8};
  plan::TensorLayout rest{
      .name = "rest", .rows = 1, .columns = 5, .per_item = false, .limbs = 1, .scale_log2 = 2, .clip = 8};
  return plan::UpdateLayout::create({rows, rest}, bits, 16).value();
}

class Cohort : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kMembers = 8;

  CohortRun run(int bits) {
    CohortRun run{{{1, 2, 3}, layout_of(bits), {5, kMembers, {1, 8}, {3, 8}}}, {}, {}, {}};
    run.today = kToday;
    const std::size_t size = run.terms.layout.packed_size();
    for (std::uint32_t m = 0; m < kMembers; ++m) {
      run.devices.push_back(m);
      crypto::ZeroizingBytes update(size);
      random.fill(update);
      plain.emplace_back(update.begin(), update.end());
      run.updates.push_back(std::move(update));
    }
    return run;
  }

  // The sum of the same bytes without masks.
  ring::CohortSum expected(const plan::UpdateLayout& layout, const std::vector<std::uint32_t>& survivors) {
    ring::CohortSum sum(layout);
    for (const std::uint32_t m : survivors) EXPECT_TRUE(sum.add(plain[m]).has_value());
    return sum;
  }

  void expect_exact(const plan::UpdateLayout& layout, const CohortOutcome& outcome) {
    const ring::CohortSum wanted = expected(layout, outcome.survivors);
    EXPECT_TRUE(std::equal(wanted.coordinates().begin(), wanted.coordinates().end(), outcome.sum.coordinates().begin(),
                           outcome.sum.coordinates().end()));
  }

  SeededRandom random{31};
  EnrolledDevices devices{kMembers, kEnrolled, kExpiry, random};
  std::vector<Bytes> plain;
};

TEST_F(Cohort, SumsExactlyInEveryRing) {
  for (const int bits : {16, 24, 32}) {
    plain.clear();
    CohortRun session = run(bits);
    const plan::UpdateLayout layout = session.terms.layout;
    const Result<CohortOutcome> outcome = run_cohort(devices, std::move(session), random);
    ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
    EXPECT_EQ(outcome->survivors.size(), kMembers);
    expect_exact(layout, *outcome);
  }
}

// Any one, two or three members fall silent at any phase: the sum is exactly the survivors' one, or the cohort aborts.
TEST_F(Cohort, SumsTheSurvivorsExactlyOrAbortsWhateverTheSilence) {
  constexpr std::array kPhases = {Silence::before_advertising, Silence::before_shares, Silence::before_masked,
                                  Silence::before_vote, Silence::before_openings};
  int summed = 0;
  for (const Silence phase : kPhases) {
    for (std::uint32_t quiet = 1; quiet <= 4; ++quiet) {
      plain.clear();
      CohortRun session = run(24);
      session.silence.assign(kMembers, Silence::never);
      for (std::uint32_t m = 0; m < quiet; ++m) session.silence[(m * 3) % kMembers] = phase;
      const plan::UpdateLayout layout = session.terms.layout;
      const Result<CohortOutcome> outcome = run_cohort(devices, std::move(session), random);
      if (!outcome.has_value()) {
        // A threshold of 5 of 8: four silent members are always one too many.
        EXPECT_GE(quiet, 3U) << outcome.error().to_string();
        continue;
      }
      ++summed;
      expect_exact(layout, *outcome);
    }
  }
  EXPECT_GE(summed, 10);
}

TEST_F(Cohort, TooFewMembersAbortByName) {
  CohortRun session = run(24);
  session.silence.assign(kMembers, Silence::before_advertising);
  session.silence[0] = Silence::never;
  const Result<CohortOutcome> outcome = run_cohort(devices, std::move(session), random);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code(), ErrorCode::cohort_too_small);
}

TEST_F(Cohort, OneMemberTooFewOrTooManyAbortsByName) {
  struct Case {
    std::uint32_t least;
    std::uint32_t most;
    std::optional<ErrorCode> code;
  };
  for (const Case& each : {Case{kMembers, kMembers, std::nullopt}, Case{kMembers + 1, 16, ErrorCode::cohort_too_small},
                           Case{5, kMembers - 1, ErrorCode::too_large}}) {
    plain.clear();
    CohortRun session = run(24);
    session.terms.bounds.least_members = each.least;
    session.terms.bounds.most_members = each.most;
    const Result<CohortOutcome> outcome = run_cohort(devices, std::move(session), random);
    EXPECT_EQ(outcome.has_value() ? std::nullopt : std::optional(outcome.error().code()), each.code);
  }
}

}  // namespace
}  // namespace chorus::sim
