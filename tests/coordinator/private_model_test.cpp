// A model with differential privacy: every plan asks for the noise that its question needs, and the job ends where the
// questions end.
#include <gmock/gmock.h>

#include "common/privacy/gaussian_accountant.hpp"
#include "common/privacy/private_encoding.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

protocol::JobDescription private_job(std::uint64_t rounds, const char* against) {
  protocol::JobDescription job = make_job(rounds);
  job.settings = model::make_model("mf", {{"update", "dp"}, {"mu", "2"}, {"against", against}, {"cohort", "5"}},
                                   {.items = 1, .contract = job.contract, .max_contributors = job.max_contributors})
                     .value()
                     ->settings();
  return job;
}

// Whose budget has room for all the questions of private_job().
FederationSettings rich_settings() {
  FederationSettings settings = make_settings();
  settings.budget = {.epsilon = 30, .delta = 1e-5};
  return settings;
}

TEST(PrivateModel, EveryPlanHasTheNoiseOfItsQuestionAndTheJobEndsWithTheLast) {
  for (const char* against : {"readers", "coordinator"}) {
    SCOPED_TRACE(against);
    Town town(rich_settings(), new_job(private_job(0, against), make_items(20), make_key()).value());
    const model::Model& model = town.federation().publisher().model();
    town.connect(1, 5);
    town.advance(5s);
    ASSERT_TRUE(town.federation().finished());
    EXPECT_EQ(town.federation().version().header.training_rounds, model.preset_rounds());
    EXPECT_TRUE(town.logged<RoundAborted>().empty());
    double cost = 0;
    std::size_t plans = 0;
    for (const protocol::Message& message : town.device(1).heard) {
      const auto* const manifest = std::get_if<protocol::Manifest>(&message);
      if (manifest == nullptr) continue;
      const auto plan = plan::RoundPlan::decode(manifest->plan.document, kTestFloors).value();
      EXPECT_NE(plan.fields().purpose, plan::Purpose::measure) << "errors are personal";
      const auto question = model.privacy(plan.fields().purpose, plans == 0 ? 0 : plans - 1);
      ASSERT_TRUE(question.has_value());
      EXPECT_GE(plan.fields().local_noise, privacy::kLeastLocalSigma);
      const auto sensitivity = plan::squared_sensitivity(plan.layout(), question->groups, question->most_items);
      // Five members: one may be lost, and a twentieth of them is nobody.
      const double honest = 4;
      cost += static_cast<double>(sensitivity) / (honest * plan.fields().local_noise * plan.fields().local_noise);
      ++plans;
    }
    EXPECT_EQ(plans, model.preset_rounds() + 1);
    EXPECT_NEAR(cost, 4, 1e-6) << "the budget's mu squared, and no more";
  }
}

TEST(PrivateModel, NoiseAgainstReadersIsSharedByTheCohortsAndNoiseAgainstTheCoordinatorIsNot) {
  const auto noise_of = [](const char* against, std::uint32_t devices) {
    FederationSettings settings = rich_settings();
    settings.devices = devices;
    Town town(settings, new_job(private_job(1, against), make_items(20), make_key()).value());
    town.connect(1, devices);
    town.advance(5s);
    const auto* const manifest = town.device(1).last<protocol::Manifest>();
    return plan::RoundPlan::decode(manifest->plan.document, kTestFloors).value().fields().local_noise;
  };
  // Ten devices in two cohorts of five: eight of them honest instead of four, so each adds less.
  EXPECT_NEAR(noise_of("readers", 5) / noise_of("readers", 10), std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(noise_of("coordinator", 5) / noise_of("coordinator", 10), 1, 1e-6);
}

TEST(PrivateModel, EveryVersionCarriesWhatWasSpentUpToIt) {
  Town town(rich_settings(), new_job(private_job(0, "coordinator"), make_items(20), make_key()).value());
  town.connect(1, 5);
  town.advance(5s);
  double before = 0;
  std::uint64_t versions = 0;
  for (const VersionPublished& published : town.logged<VersionPublished>()) {
    ASSERT_TRUE(published.privacy.has_value());
    ++versions;
    EXPECT_EQ(published.privacy->rounds, versions);
    EXPECT_EQ(published.privacy->unprotected, 0U);
    EXPECT_EQ(published.privacy->survivors, 5U);
    EXPECT_EQ(published.privacy->assumed_honest, 4U);
    EXPECT_EQ(published.privacy->delta, 1e-5);
    EXPECT_GT(published.privacy->coordinator.exact, before);
    before = published.privacy->coordinator.exact;
  }
  EXPECT_NEAR(before, privacy::gaussian_epsilon(2, 1e-5).value(), 1e-6) << "mu is 2, all of it spent";
  EXPECT_EQ(town.federation().version().header.privacy->coordinator.exact, before) << "signed with the model";
}

TEST(PrivateModel, ARoundThatNoBudgetHoldsIsNotOpenedAndTheJobEnds) {
  FederationSettings settings = make_settings();
  settings.budget = {.epsilon = 6, .delta = 1e-5};
  Town town(settings, new_job(private_job(0, "coordinator"), make_items(20), make_key()).value());
  town.connect(1, 5);
  town.advance(5s);
  EXPECT_TRUE(town.federation().finished());
  ASSERT_EQ(town.logged<BudgetSpent>().size(), 1U);
  EXPECT_EQ(town.logged<BudgetSpent>().front().reason.code(), ErrorCode::budget_exhausted);
  EXPECT_GT(town.federation().version().header.training_rounds, 0U) << "some rounds fit";
  EXPECT_LE(town.federation().version().header.privacy->coordinator.exact, 6.0);
  EXPECT_TRUE(town.logged<RoundAborted>().empty()) << "nothing was asked in vain";
}

TEST(PrivateModel, WithoutNoiseTheReportSaysThatNothingIsProtected) {
  Town town(make_settings(), new_job(make_job(2), make_items(20), make_key()).value());
  town.connect(1, 5);
  town.advance(5s);
  const auto& report = town.federation().version().header.privacy;
  ASSERT_TRUE(report.has_value());
  EXPECT_GT(report->unprotected, 0U);
  EXPECT_TRUE(std::isinf(report->coordinator.exact));
  EXPECT_THAT(privacy::to_words(*report), ::testing::HasSubstr("NO DIFFERENCING PROTECTION"));
}

}  // namespace
}  // namespace chorus::coordinator
