// Training through secure sums is training: the same versions, byte for byte.
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "common/model/registry.hpp"
#include "simulations/world/training_run.hpp"

namespace chorus::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MaskedTraining : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kUsers = 161;
  static constexpr std::uint32_t kItems = 40;

  MaskedTraining()
      : planted_(
            dataset::PlantedPopulation::create({.users = kUsers, .items = kItems, .ratings_per_user = 12}).value()),
        users_(planted_.table()) {
    std::iota(everybody_.begin(), everybody_.end(), 0U);
  }

  std::unique_ptr<model::Model> make_model(std::uint32_t cohort_size) const {
    return model::make_model("mf", {{"rank", "3"}, {"lambda", "1"}},
                             {.items = kItems, .contract = planted_.contract(), .max_contributors = cohort_size})
        .value();
  }

  // Three numbers a factor, where there are factors.
  static model::Settings small(const model::Family& family) {
    const bool factors =
        std::ranges::find(family.settings, "rank", &model::SettingDescription::name) != family.settings.end();
    return factors ? model::Settings{{"rank", "3"}} : model::Settings{};
  }

  dataset::PlantedPopulation planted_;
  evaluation::UserData users_;
  std::vector<std::uint32_t> everybody_ = std::vector<std::uint32_t>(kUsers);
};

TEST_F(MaskedTraining, MakesTheVersionsOfPlainTrainingInOneCohortAndInSeveral) {
  const auto model = make_model(100);
  Training plain(*model, users_, Aggregation::plain, 1);
  Training masked(*model, users_, Aggregation::masked, 2);
  const Digest untrained = plain.digest();
  struct Round {
    plan::Purpose purpose;
    std::size_t people;
  };
  for (const Round& round : {Round{plan::Purpose::survey, 76}, Round{plan::Purpose::train, kUsers},
                             Round{plan::Purpose::train, 76}, Round{plan::Purpose::measure, kUsers}}) {
    const auto people = std::span(everybody_).first(round.people);
    const Result<RoundOutcome> wanted = plain.round(round.purpose, people);
    const Result<RoundOutcome> made = masked.round(round.purpose, people);
    ASSERT_TRUE(wanted.has_value()) << wanted.error().to_string();
    ASSERT_TRUE(made.has_value()) << made.error().to_string();
    EXPECT_EQ(made->contributors, round.people);
    EXPECT_EQ(made->clipped, wanted->clipped);
    EXPECT_EQ(made->quality.training_rmse, wanted->quality.training_rmse);
    EXPECT_EQ(masked.digest(), plain.digest()) << to_string(round.purpose) << " of " << round.people;
    EXPECT_EQ(masked.version(), plain.version());
  }
  EXPECT_NE(plain.digest(), untrained) << "something was learned";
}

TEST_F(MaskedTraining, MakesTheVersionsOfPlainTrainingInEveryFamily) {
  for (const model::Family& family : model::families()) {
    SCOPED_TRACE(family.name);
    dataset::DataContract contract = planted_.contract();
    contract.feedback = family.feedback;
    const auto model =
        model::make_model(family.name, small(family), {.items = kItems, .contract = contract, .max_contributors = 100})
            .value();
    Training plain(*model, users_, Aggregation::plain, 1);
    Training masked(*model, users_, Aggregation::masked, 2);
    const auto people = std::span(everybody_).first(76);
    std::vector<plan::Purpose> purposes = {plan::Purpose::train, plan::Purpose::train, plan::Purpose::measure};
    if (model->needs_survey()) purposes.insert(purposes.begin(), plan::Purpose::survey);
    const Digest untrained = plain.digest();
    for (const plan::Purpose purpose : purposes) {
      const Result<RoundOutcome> wanted = plain.round(purpose, people);
      const Result<RoundOutcome> made = masked.round(purpose, people);
      ASSERT_TRUE(wanted.has_value()) << wanted.error().to_string();
      ASSERT_TRUE(made.has_value()) << made.error().to_string();
      EXPECT_EQ(made->clipped, wanted->clipped);
      EXPECT_EQ(made->quality.ndcg_at_10, wanted->quality.ndcg_at_10);
      EXPECT_EQ(masked.digest(), plain.digest()) << to_string(purpose);
    }
    EXPECT_NE(plain.digest(), untrained) << "something was learned";
  }
}

TEST_F(MaskedTraining, GivesOneResultForEverySeedOfItsMasks) {
  const auto model = make_model(100);
  Training one(*model, users_, Aggregation::masked, 1, 1);
  Training other(*model, users_, Aggregation::masked, 2, 2);
  for (Training* each : {&one, &other}) {
    ASSERT_TRUE(each->round(plan::Purpose::survey, std::span(everybody_).first(76)).has_value());
  }
  EXPECT_EQ(one.digest(), other.digest());
}

TEST_F(MaskedTraining, ACohortBelowWhatADeviceAcceptsIsNamedAndLeavesTheModelAsItWas) {
  const auto model = make_model(100);
  Training masked(*model, users_, Aggregation::masked, 1);
  const Digest before = masked.digest();
  // 151 in cohorts of at most 100 are 76 and 75.
  const Result<RoundOutcome> made = masked.round(plan::Purpose::survey, std::span(everybody_).first(151));
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code(), ErrorCode::cohort_too_small);
  EXPECT_EQ(made.error().where(), "cohort 2");
  EXPECT_THAT(made.error().sentence(), HasSubstr("75 of the round's 151 people"));
  EXPECT_EQ(masked.digest(), before);
  EXPECT_EQ(masked.version(), ModelVersion(0));
}

TEST_F(MaskedTraining, ContributorsAreDividedInTheirOrderAsEquallyAsCanBe) {
  std::vector<std::size_t> sizes;
  std::vector<std::uint32_t> joined;
  for (const auto& cohort : cohorts_of(everybody_, 60)) {
    sizes.push_back(cohort.size());
    joined.insert(joined.end(), cohort.begin(), cohort.end());
  }
  EXPECT_THAT(sizes, ElementsAre(54, 54, 53));
  EXPECT_EQ(joined, everybody_);
}

}  // namespace
}  // namespace chorus::sim
