// What readers of aggregates and models can tell of people: A4, A5 and A7.
#include "simulations/audit/attributes.hpp"
#include "simulations/audit/lone_raters.hpp"
#include "simulations/audit/membership.hpp"
#include "simulations/audit/row_evidence.hpp"
#include "tests/simulations/audit/audit_fixture.hpp"

namespace chorus::sim::audit {
namespace {

using InferenceAttacks = Audited;

TEST_F(InferenceAttacks, LoneRatersRowsAreReadFromTheSumAndTheModelUnlessTheModelWithholdsThem) {
  const auto found = attack_lone_raters(scene_);
  ASSERT_TRUE(found.has_value()) << found.error().to_string();
  ASSERT_NE(found->verdict, Verdict::skipped) << found->result;
  EXPECT_TRUE(holds(*found));
  EXPECT_EQ(found->verdict, Verdict::held) << found->result;
  // Without the threshold the same rows change: the bar can be missed.
  EXPECT_EQ(attack_lone_rows(scene_, *model_, 5).value().changed, 1);
  EXPECT_GT(attack_lone_rows(scene_, *model_, 5).value().rare_changed, 0);
}

TEST_F(InferenceAttacks, ACohortWithoutLoneRatersIsNotAttackedForThem) {
  AuditInput input = planted_input(200, 20);
  const Scene scene = Scene::create(std::move(input), {.threads = 2}).value();
  EXPECT_EQ(attack_lone_raters(scene).value().verdict, Verdict::skipped);
}

TEST_F(InferenceAttacks, SumsWithoutNoiseTellWhoTookPartAndSumsOfFewWithWhichRatings) {
  const auto all = infer_membership(scene_, *model_, 1, {.people = 100, .shadows = 4, .times = 2}).value();
  EXPECT_GE(all.person_auc, 0.9);
  EXPECT_EQ(all.people, 50U);
  const auto few = infer_membership(scene_, *model_, 1, {.people = 8, .shadows = 24, .times = 8}).value();
  EXPECT_GE(few.record_auc, 0.9);
}

TEST_F(InferenceAttacks, NoiseHoldsWhatAggregatesTellOfPeopleUnderItsBound) {
  const auto hidden = scene_.private_model(50).value();
  const auto found =
      infer_membership(scene_, *hidden, hidden->preset_rounds(), {.people = 100, .shadows = 3, .times = 3}).value();
  EXPECT_LT(found.person_auc, 0.765 + 3 * found.person_error) << "Φ(μ/√2) for ε = 5 and δ = 1e-6";
  EXPECT_NEAR(found.record_auc, 0.5, 0.03 + 3 * found.record_error);
}

TEST_F(InferenceAttacks, ARowThatNobodyTouchedRulesACandidateOutAndOneThatItAloneTouchedGivesItAway) {
  const auto sum = published_.release(plan::Purpose::train, scene_.cohort()).value();
  const Look look = look_at(scene_, *model_, published_, plan::Purpose::train, sum);
  const std::size_t gradient = *look.layout.find("gradient");
  const std::size_t count = *look.layout.find("count");
  const std::size_t columns = look.layout.tensors()[gradient].columns;
  std::size_t untouched = 0;
  std::size_t alone = 0;
  for (std::size_t item = 0; item < scene_.items(); ++item) {
    const auto row = std::span(look.seen[gradient]).subspan(item * columns, columns);
    if (look.seen[count][item] == 0) {
      ++untouched;
      EXPECT_EQ(evidence_of(look, gradient, item, std::vector<double>(columns, 0.1), false), -kMostEvidence);
    } else if (look.seen[count][item] == 1) {
      ++alone;
      EXPECT_GT(evidence_of(look, gradient, item, row, false), 5);
      std::vector<double> other(row.begin(), row.end());
      other[0] += 0.25;
      EXPECT_EQ(evidence_of(look, gradient, item, other, false), -kMostEvidence);
    }
  }
  EXPECT_GT(untouched, 0U);
  EXPECT_GT(alone, 0U);
}

TEST_F(InferenceAttacks, UploadsTellATraitAndTakingPartInASumDoesNotAddToWhatTheModelTells) {
  const auto found = infer_trait(scene_, *model_, 2, 1).value();
  ASSERT_GT(found.people, 0U);
  EXPECT_FALSE(found.genre.empty());
  EXPECT_GE(found.upload, 0.99) << "the control";
  EXPECT_LT(found.own - found.foreign, 0.25) << "four standard errors of so few people";
}

TEST_F(InferenceAttacks, WithoutGenresThereIsNoTraitToTell) {
  AuditInput input = planted_input();
  input.catalogue = nullptr;
  const Scene scene = Scene::create(std::move(input), {.threads = 2}).value();
  EXPECT_EQ(attack_attributes(scene).value().verdict, Verdict::skipped);
}

}  // namespace
}  // namespace chorus::sim::audit
