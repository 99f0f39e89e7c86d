// A model with differential privacy: every plan asks for the noise that its question needs, and the job ends where the
// questions end.
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

TEST(PrivateModel, EveryPlanHasTheNoiseOfItsQuestionAndTheJobEndsWithTheLast) {
  for (const char* against : {"readers", "coordinator"}) {
    SCOPED_TRACE(against);
    Town town(make_settings(), new_job(private_job(0, against), make_items(20), make_key()).value());
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
    FederationSettings settings = make_settings();
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

}  // namespace
}  // namespace chorus::coordinator
