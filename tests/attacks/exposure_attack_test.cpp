// What a sum gives away although the protocol holds, and what one corrupt member can do to it: rows 8, 18, 21 and 22.
// These are positive controls: they show what noise, floors and γ are for.
#include <gtest/gtest.h>

#include "common/ring/contribution.hpp"
#include "common/ring/fixed_point.hpp"
#include "tests/attacks/honest_coordinator.hpp"

namespace chorus::attacks {
namespace {

using client::FullChecks;
using secagg::MemberSet;

constexpr std::uint32_t kVictim = 3;

// Everything is as it should be, twice: the same model but for one bit (so that the model's id is another), and one
// member fewer. Without noise the difference of the sums is that member's update.
TEST(Attack, Row08ControlWithoutNoiseTwoNearlyEqualRoundsAreOneUpdate) {
  Scene scene;
  Play first(scene);
  const HonestOutcome with = run_honestly(first);
  scene.h0[31] ^= 1;
  Play second(scene);
  HonestRun run;
  run.silent_from.resize(8);
  run.silent_from[kVictim] = Step::shares;
  const HonestOutcome without = run_honestly(second, run);
  ASSERT_TRUE(with.sum && without.sum);
  EXPECT_EQ(first.x(kVictim), second.x(kVictim));
  EXPECT_EQ(subtract(scene.layout, *with.sum, *without.sum), first.x(kVictim));
}

// A masked round is no help: what each of the two releases alone tells nothing of the victim.
TEST(Attack, Row08TheTwoRoundsShowTheirSumsAndNothingElse) {
  Play play({});
  play.play_to_openings(play.everybody());
  EXPECT_EQ(play.fewest_honest_in_a_sum(), 8U);
}

// The numbers of the victim's update alone are in its item's row, exactly.
TEST(Attack, Row18ControlWithoutNoiseARowThatOneMemberTouchedIsItsOwn) {
  const plan::UpdateLayout layout = small_layout();
  Scene scene;
  Play play(scene);
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    ring::Contribution contribution;
    contribution.reset(layout, 1);
    contribution.items[0] = p == kVictim ? 2 : 0;  // item 2 is the victim's alone
    contribution.rows[0] = 0.25 * (p + 1);
    contribution.rows[1] = -0.5 * p;
    ring::EncodeCounts counts;
    const auto encoded = ring::encode(layout, contribution, counts);
    ASSERT_TRUE(encoded.has_value());
    const Bytes update(encoded->begin(), encoded->end());
    play.recast(p, &make_member<FullChecks>, &update);
  }
  const HonestOutcome outcome = run_honestly(play);
  ASSERT_TRUE(outcome.sum);
  ring::RoundSum sum(layout);
  sum.add(ring::CohortSum::of(layout, *outcome.sum, 8));
  const std::vector<double> rows = sum.numbers(layout.find("rows").value());
  EXPECT_EQ(rows[2 * 2], 0.25 * (kVictim + 1));
  EXPECT_EQ(rows[2 * 2 + 1], -0.5 * kVictim);
  // A row that seven touched is a sum.
  EXPECT_EQ(rows[0], 0.25 * (36 - (kVictim + 1)));
}

// An honest device clips: a million times the update moves the sum by its clip at most.
TEST(Attack, Row21AnHonestDeviceClipsWhatItContributes) {
  const plan::UpdateLayout layout = small_layout();
  ring::Contribution contribution;
  contribution.reset(layout, 1);
  contribution.items[0] = 1;
  contribution.rows[0] = 2.5e6;
  contribution.rows[1] = -1.5e6;
  for (double& number : contribution.dense) number = 3e6;
  ring::EncodeCounts counts;
  const auto encoded = ring::encode(layout, contribution, counts);
  ASSERT_TRUE(encoded.has_value());
  EXPECT_EQ(counts.clipped, 5U);
  ring::CohortSum cohort(layout);
  ASSERT_TRUE(cohort.add(*encoded).has_value());
  ring::RoundSum sum(layout);
  sum.add(cohort);
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    for (const double number : sum.numbers(t)) EXPECT_LE(std::abs(number), layout.tensors()[t].clip);
  }
  contribution.rows[0] = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(ring::encode(layout, contribution, counts).has_value());
}

// A corrupt one does not, and nobody sees it: validity of inputs is not claimed. One member can put any element of the
// ring into its cohort's sum, up to 2^(b−1) a coordinate, here 262,144 times what an honest member's clip allows. It
// never reaches beyond its cohort: cohorts are added as integers after they were summed in the ring.
TEST(Attack, Row21ControlWhatACorruptMemberCanDoToItsCohort) {
  const plan::UpdateLayout layout = small_layout();
  Play play({});
  const Bytes nothing(layout.packed_size(), 0);
  Bytes huge(layout.packed_size(), 0);
  for (std::size_t k = 0; k < layout.dimension(); ++k) huge[3 * k + 1] = huge[3 * k + 2] = 0x7f;
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    play.recast(p, &make_member<FullChecks>, p == kVictim ? &huge : &nothing);
  }
  const HonestOutcome outcome = run_honestly(play);
  ASSERT_TRUE(outcome.sum);
  EXPECT_TRUE(outcome.named.empty());
  ring::RoundSum sum(layout);
  sum.add(ring::CohortSum::of(layout, *outcome.sum, 8));
  double largest = 0;
  for (const double number : sum.numbers(0)) largest = std::max(largest, std::abs(number));
  const double times = largest / layout.tensors()[0].clip;
  RecordProperty("times_the_clip", std::to_string(times));
  EXPECT_GT(times, 1e5);
  EXPECT_LE(largest, std::ldexp(1.0, layout.bits() - 1 - layout.tensors()[0].scale_log2));
}

// γ is a promise about the roster: with all others corrupt nothing hides a device.
TEST(Attack, Row22ControlOneHonestMemberAmongTheCorruptIsExposed) {
  Play play({});
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    if (p != kVictim) play.corrupt(p);
  }
  play.play_to_openings(play.everybody());
  expect_exposed(play, kVictim);
}

// A corrupt members learn nothing but the sum of the others, N at least: and that is all that γ says.
TEST(Attack, Row22AsManyCorruptMembersAsGammaAllowsLearnTheSumOfTheHonest) {
  Play play({});
  play.corrupt(7);
  play.play_to_openings(play.except({1, 2}));
  EXPECT_EQ(play.fewest_honest_in_a_sum(), 5U);
  expect_hidden(play, 1);
}

}  // namespace
}  // namespace chorus::attacks
