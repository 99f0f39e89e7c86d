// A plan that claims more noise than it asks for: the device computes the multiplier itself.
#include <cmath>

#include <gtest/gtest.h>

#include "client/policy/policy.hpp"
#include "common/model/registry.hpp"
#include "common/privacy/private_encoding.hpp"

namespace chorus::client {
namespace {

constexpr dataset::DataContract kContract{.minimum = 1, .maximum = 5, .step = 1, .max_items_per_user = 100};

class NoiseClaim : public ::testing::Test {
 protected:
  static std::unique_ptr<model::Model> make(const char* update) {
    return std::move(
        model::make_model("mf", {{"update", update}}, {.items = 40, .contract = kContract, .max_contributors = 128})
            .value());
  }
  // The policy's answer to a plan with noise of 40 that claims `share` of the multiplier that it makes.
  static Status check(const model::Model& model, double multiplier) {
    const protocol::ModelHeader held;
    plan::RoundPlanFields fields;
    fields.round = RoundId(1);
    fields.least_members = 76;
    fields.most_members = 128;
    fields.local_noise = kNoise;
    fields.noise_multiplier = multiplier;
    const auto plan =
        plan::RoundPlan::create(fields, model.layout(plan::Purpose::train, 0), plan::kProductionFloors).value();
    return Policy(plan::kProductionFloors)
        .check(plan, {.job = fields.job, .model = model, .held = held, .highest_round = RoundId(0)});
  }
  static constexpr double kNoise = 40;
};

TEST_F(NoiseClaim, IsAgreedToUpToWhatTheNoiseMakesAndRefusedBeyond) {
  const auto model = make("dp");
  const auto question = model->privacy(plan::Purpose::train, 0).value();
  const double squared = static_cast<double>(
      plan::squared_sensitivity(model->layout(plan::Purpose::train, 0), question.groups, question.most_items));
  const double honest = privacy::honest_contributors(76, {1, 20}, {3, 20});
  EXPECT_EQ(honest, 76 - 11 - 3);
  const double made = std::sqrt(honest / squared) * kNoise;
  EXPECT_TRUE(check(*model, 0).has_value()) << "a plan may claim nothing: the ledger charges what it costs";
  EXPECT_TRUE(check(*model, made).has_value());
  EXPECT_TRUE(check(*model, 0.9 * made).has_value());
  const Status refused = check(*model, 1.0001 * made);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::parameter_below_floor);
  EXPECT_EQ(refused.error().where(), "field 'noise_multiplier'");
}

TEST_F(NoiseClaim, OfAModelThatDoesNotSayHowFarADeviceMovesItsSumsIsRefused) {
  const Status refused = check(*make("newton"), 1);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().where(), "field 'noise_multiplier'");
}

}  // namespace
}  // namespace chorus::client
