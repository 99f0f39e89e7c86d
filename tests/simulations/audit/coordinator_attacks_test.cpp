// What a coordinator can tell from uploads, sums, sizes and times: A1, A2, A3 and A6, each where nothing defends and
// where something does.
#include "simulations/audit/differencing.hpp"
#include "simulations/audit/masked_session.hpp"
#include "simulations/audit/plain_uploads.hpp"
#include "simulations/audit/secure_sums.hpp"
#include "simulations/audit/side_channels.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/simulations/audit/audit_fixture.hpp"

namespace chorus::sim::audit {
namespace {

using CoordinatorAttacks = Audited;

TEST_F(CoordinatorAttacks, PlainUploadsGiveEveryRatingAway) {
  const auto found = attack_plain_uploads(scene_, *model_, published_);
  ASSERT_TRUE(found.has_value()) << found.error().to_string();
  EXPECT_TRUE(holds(*found));
  EXPECT_THAT(found->figures, ::testing::Contains(::testing::Pair("auc", 1.0)));
  EXPECT_THAT(found->figures, ::testing::Contains(::testing::Pair("ratings_recovered", 1.0)));
}

TEST_F(CoordinatorAttacks, MaskedUploadsBreakTheControlSoThatAnAuditOfThemWouldBeCalledBroken) {
  SeededRandom random(3);
  const auto masked = [&random](const plan::UpdateLayout& layout,
                                const ring::Contribution& contribution) -> Result<crypto::ZeroizingBytes> {
    CHORUS_TRY(crypto::ZeroizingBytes packed, unmasked(layout, contribution));
    random.fill(packed);  // what a mask makes of it
    return packed;
  };
  const auto found = attack_plain_uploads(scene_, *model_, published_, masked);
  ASSERT_TRUE(found.has_value()) << found.error().to_string();
  for (const Control& control : found->controls) EXPECT_FALSE(control.holds) << control.what << " " << control.value;
  EXPECT_NEAR(found->controls[0].value, 0.5, 0.01) << "which items";
  EXPECT_LT(found->controls[1].value, 0.4) << "which ratings: no better than a guess";
}

TEST_F(CoordinatorAttacks, OneMembersSumGivesItsItemsAwayAndACohortsSumOnlyItsCounts) {
  const auto sum = published_.release(plan::Purpose::train, scene_.cohort()).value();
  const auto found = attack_secure_sums(scene_, published_, sum.sum);
  ASSERT_TRUE(found.has_value()) << found.error().to_string();
  EXPECT_TRUE(holds(*found));
  EXPECT_EQ(found->verdict, Verdict::held) << found->result;
  // A cohort of two is attacked with success: the bar can be missed.
  const auto few = scene_.cohort().first(2);
  const auto two = published_.release(plan::Purpose::train, few).value();
  EXPECT_GT(attack_sum(scene_, published_, few, two.sum).value().auc, 0.95);
}

TEST_F(CoordinatorAttacks, AMaskedSessionHasTheSumOfThePlainUploadsAndMembersOfEqualSizes) {
  const auto session = run_masked(scene_, *model_, published_);
  ASSERT_TRUE(session.has_value()) << session.error().to_string();
  const auto plain = published_.release(plan::Purpose::train, scene_.cohort()).value();
  EXPECT_TRUE(std::ranges::equal(session->sum.coordinates(), plain.sum.coordinates()));
  ASSERT_EQ(session->sent.size(), scene_.cohort().size());
  for (const SentBytes& sent : session->sent) {
    EXPECT_EQ(sent[static_cast<std::size_t>(Sent::leaf)], session->sent[0][static_cast<std::size_t>(Sent::leaf)]);
    EXPECT_EQ(sent[static_cast<std::size_t>(Sent::masked)], session->sent[0][static_cast<std::size_t>(Sent::masked)]);
  }
}

TEST_F(CoordinatorAttacks, DifferencesOfSumsWithoutNoiseAreUpdatesAndNoiseHoldsTheAdvantageUnderItsBound) {
  EXPECT_EQ(difference_plain_cohorts(scene_, *model_, published_).value(), 1);
  const auto hidden = scene_.private_model(scene_.cohort().size()).value();
  const auto noisy = difference_private_cohorts(scene_, *hidden, 300, 1).value();
  // ε = 5 and δ = 1e-6 are μ = 1.02: 2Φ(μ/2) − 1 = .39.
  EXPECT_LT(noisy.value, 0.39 + 4 * noisy.error);
  EXPECT_GT(noisy.value, 0.1) << "the attack sees something";
  const auto bare = difference_private_cohorts(scene_, *hidden, 100, 0.25).value();
  EXPECT_GT(bare.value, 0.39 + 4 * bare.error) << "and more where there is less noise";
}

class SideChannels : public ::testing::Test {
 protected:
  static constexpr std::size_t kMembers = 100;
  SideChannels() {
    SeededRandom random(4);
    for (std::size_t m = 0; m < kMembers; ++m) {
      rated_.push_back(static_cast<double>(20 + m));
      session_.sent.push_back({100, 5000, 86789, 64, m < 90 ? 3000U : 0U});
      session_.seconds_after_delivery.push_back(static_cast<double>(random.below(1000)));
      session_.seconds_solving.push_back(rated_.back() + static_cast<double>(random.below(10)));
      session_.bytes_not_zero.push_back(70 * m + random.below(50));
    }
  }
  static plan::UpdateLayout layout() {
    std::vector<plan::TensorLayout> tensors = {{.name = "g", .rows = 1, .columns = 1, .scale_log2 = 8, .clip = 1}};
    return plan::UpdateLayout::create(std::move(tensors), 24, kMembers).value();
  }
  std::vector<double> rated_;
  MaskedSession session_{.sum = ring::RoundSum(layout()),
                         .sent = {},
                         .seconds_after_delivery = {},
                         .seconds_solving = {},
                         .bytes_not_zero = {}};
};

TEST_F(SideChannels, EqualSizesAndTimesThatTellNothingHoldAlsoWhereSomeWereNotAsked) {
  const Finding found = attack_side_channels(session_, rated_);
  for (const Control& control : found.controls) EXPECT_TRUE(control.holds) << control.what;
  EXPECT_EQ(found.verdict, Verdict::held) << found.result;
}

TEST_F(SideChannels, OneMessageOfAnotherSizeIsSeen) {
  session_.sent[7][static_cast<std::size_t>(Sent::masked)] += 1;
  EXPECT_EQ(attack_side_channels(session_, rated_).verdict, Verdict::exceeded);
}

TEST_F(SideChannels, AMaskThatTakesLongerForMoreRatingsIsSeen) {
  for (std::size_t m = 0; m < kMembers; ++m) session_.seconds_after_delivery[m] += 30 * rated_[m];
  EXPECT_EQ(attack_side_channels(session_, rated_).verdict, Verdict::exceeded);
}

TEST_F(SideChannels, AClockThatStandsStillBreaksTheControl) {
  session_.seconds_solving.assign(kMembers, 0);
  EXPECT_FALSE(attack_side_channels(session_, rated_).controls[1].holds);
}

}  // namespace
}  // namespace chorus::sim::audit
