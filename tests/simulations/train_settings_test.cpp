// What `chorus-sim train --set KEY=VALUE` makes of its settings.
#include "simulations/world/train_settings.hpp"

#include <gtest/gtest.h>

namespace chorus::sim {
namespace {

const dataset::DataContract kContract;

Result<model::Settings> settings_of(const std::vector<std::string>& sets, double participation = 1,
                                    std::uint64_t seed = 1) {
  CHORUS_TRY(const TrainSettings settings, TrainSettings::create("mf", sets, "plain", participation));
  CHORUS_TRY(const auto made, settings.make_model(50, kContract, seed, nullptr));
  return made->settings();
}

TEST(TrainSettings, AutomaticOnesAreThePresets) {
  EXPECT_EQ(settings_of({"model.rank=auto", "model.lambda=auto", "server.rate=auto"}), settings_of({}));
  EXPECT_EQ(settings_of({"model.update=auto"}), settings_of({"model.update=vb"}));
}

TEST(TrainSettings, AnAutomaticSeedAndParticipationAreTheRunsOwn) {
  EXPECT_EQ(settings_of({"model.seed=auto"}, 1, 7)->at("seed"), "7");
  EXPECT_EQ(settings_of({"model.seed=3"}, 1, 7)->at("seed"), "3");
  const auto part = settings_of({"model.participation=auto", "model.update=auto"}, 0.1).value();
  EXPECT_EQ(part.at("participation"), "0.1");
  EXPECT_EQ(part.at("update"), "newton");
}

TEST(TrainSettings, AnAutomaticUpdateUnderABudgetIsPrivate) {
  const std::vector<std::string> before = {"model.update=auto", "privacy.epsilon=5"};
  const std::vector<std::string> after = {"privacy.epsilon=5", "model.update=auto"};
  EXPECT_EQ(settings_of(before)->at("update"), "dp");
  EXPECT_EQ(settings_of(after)->at("update"), "dp");
}

TEST(TrainSettings, WordsLikeAutoAreRefused) {
  for (const char* const wrong : {"model.rank=Auto", "model.rank=", "model.update=automatic", "model.rank=auto15"}) {
    const auto refused = settings_of({wrong});
    ASSERT_FALSE(refused.has_value()) << wrong;
    EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace chorus::sim
