#include "common/model/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const ModelShape kShape{.items = 10, .contract = {}, .max_contributors = 512};

void expect_refused(const Settings& settings, std::string_view words, const ModelShape& shape = kShape) {
  const auto model = make_model("mf", settings, shape);
  ASSERT_FALSE(model.has_value()) << words;
  EXPECT_EQ(model.error().code(), ErrorCode::invalid_argument);
  EXPECT_THAT(model.error().sentence(), HasSubstr(std::string(words)));
}

TEST(Registry, AnUnknownFamilyListsTheKnownOnes) {
  const auto model = make_model("mff", {}, kShape);
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code(), ErrorCode::invalid_argument);
  EXPECT_THAT(model.error().sentence(), AllOf(HasSubstr("'mff'; known: "), HasSubstr(" mf")));
}

TEST(Registry, EveryFamilyStandsOnItsPreset) {
  for (const Family& family : families()) {
    ModelShape shape = kShape;
    shape.contract.feedback = family.feedback;
    const auto model = make_model(family.name, {}, shape);
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    EXPECT_EQ((*model)->family(), family.name);
    ASSERT_EQ((*model)->settings().size(), family.settings.size());
    for (const SettingDescription& setting : family.settings) {
      EXPECT_EQ((*model)->settings().at(std::string(setting.name)), setting.value);
      EXPECT_FALSE(setting.meaning.empty());
    }
  }
}

TEST(Registry, SettingsAreKeptInCanonicalForm) {
  const auto model = make_model("mf", {{"lambda", "12.50"}, {"rank", "007"}, {"rate", "1e0"}}, kShape).value();
  EXPECT_EQ(model->settings().at("lambda"), "12.5");
  EXPECT_EQ(model->settings().at("rank"), "7");
  EXPECT_EQ(model->settings().at("rate"), "1");
}

TEST(Registry, AutoIsTheirPresetForEverySettingOfEveryFamily) {
  for (const Family& family : families()) {
    ModelShape shape = kShape;
    shape.contract.feedback = family.feedback;
    Settings automatic;
    for (const SettingDescription& setting : family.settings) {
      if (setting.name != "update") automatic.emplace(setting.name, "auto");
    }
    const auto model = make_model(family.name, automatic, shape);
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    EXPECT_EQ((*model)->settings(), make_model(family.name, {}, shape).value()->settings());
  }
}

TEST(Registry, AnAutomaticUpdateIsTheBestForTheDevicesOfARound) {
  const auto settings_of = [](const Settings& given) { return make_model("mf", given, kShape).value()->settings(); };
  EXPECT_EQ(settings_of({{"update", "auto"}}), settings_of({{"update", "vb"}}));
  EXPECT_EQ(settings_of({{"update", "auto"}, {"participation", "auto"}}), settings_of({{"update", "vb"}}));
  EXPECT_EQ(settings_of({{"update", "auto"}, {"participation", "0.1"}}),
            settings_of({{"update", "newton"}, {"participation", "0.1"}}));
  // A setting that is automatic follows the update that was chosen.
  EXPECT_EQ(settings_of({{"update", "vb"}, {"lambda", "auto"}}).at("lambda"),
            settings_of({{"update", "vb"}}).at("lambda"));
}

TEST(Registry, WrongSettingsNameKeyValueAndWhatWasExpected) {
  expect_refused({{"lamda", "1"}}, "no setting 'lamda'; it has: update, rank, lambda, lambda_bias");
  expect_refused({{"rank", "0"}}, "'rank' of the model 'mf' is '0'; expected a whole number from 1 to 127, or auto");
  expect_refused({{"rank", "128"}}, "128");
  expect_refused({{"rank", "1.5"}}, "1.5");
  expect_refused({{"rank", ""}}, "rank");
  expect_refused({{"rank", "Auto"}}, "'Auto'");
  expect_refused({{"rank", "auto "}}, "'auto '");
  expect_refused({{"lamda", "auto"}}, "no setting 'lamda'");
  expect_refused({{"lambda", "-1"}}, "lambda");
  expect_refused({{"lambda", "nan"}}, "lambda");
  expect_refused({{"lambda", "1x"}}, "1x");
  expect_refused({{"update", "sgd"}}, "'sgd'; expected one of: newton, gradient, als, vb");
  expect_refused({{"update", "als"}, {"participation", "0.5"}}, "needs every device");
  expect_refused({{"update", "gradient"}, {"twin", "on"}}, "twin");
  expect_refused({{"participation", "0"}}, "participation");
  expect_refused({{"bits", "16"}}, "'16'; expected one of: 24, 32");
  expect_refused({{"momentum", "1"}}, "momentum");
}

TEST(Registry, ShapesThatTheModelCannotWorkOnAreRefused) {
  ModelShape shape = kShape;
  shape.items = 0;
  expect_refused({}, "items", shape);
  shape = kShape;
  shape.max_contributors = 0;
  expect_refused({}, "contributor", shape);
  shape = kShape;
  shape.contract.feedback = dataset::Feedback::events;
  expect_refused({}, "ratings", shape);
  shape = kShape;
  shape.contract.maximum = shape.contract.minimum;
  EXPECT_FALSE(make_model("mf", {}, shape).has_value());
  shape = kShape;
  shape.max_contributors = 4096;  // the low limbs of 24 bits hold 4,095
  expect_refused({}, "4096", shape);
  EXPECT_TRUE(make_model("mf", {{"bits", "32"}}, shape).has_value());
}

TEST(Registry, LayoutsHaveHeadroomForEveryCohortSize) {
  for (const std::uint32_t contributors : {1U, 64U, 512U, 1000U, 4000U}) {
    ModelShape shape = kShape;
    shape.max_contributors = contributors;
    const auto model = make_model("mf", {}, shape);
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    for (const auto purpose : {plan::Purpose::survey, plan::Purpose::train, plan::Purpose::measure}) {
      EXPECT_EQ((*model)->layout(purpose, 0).max_contributors(), contributors);
      EXPECT_EQ((*model)->layout(purpose, 0).bits(), 24);
    }
    EXPECT_EQ((*model)->layout(plan::Purpose::train, 0).items(), shape.items);
  }
}

}  // namespace
}  // namespace chorus::model
