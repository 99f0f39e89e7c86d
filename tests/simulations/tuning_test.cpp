// The search of `chorus-sim tune`.
#include "simulations/world/tuning.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::sim {
namespace {

using ::testing::ElementsAre;

// (a − 3)² + (b + 1)² + coupling·a·b
std::function<Result<Trial>(const Assignments&)> bowl(double coupling, int* calls = nullptr) {
  return [coupling, calls](const Assignments& settings) -> Result<Trial> {
    if (calls != nullptr) ++*calls;
    const double a = std::stod(settings.at("a"));
    const double b = std::stod(settings.at("b"));
    return Trial{
        .settings = {}, .loss = (a - 3) * (a - 3) + (b + 1) * (b + 1) + coupling * a * b, .round = 1, .seconds = 2};
  };
}

const std::vector<TuneAxis> kAxes = {{.key = "a", .values = {"0", "1", "2", "3", "4"}},
                                     {.key = "b", .values = {"-2", "-1", "0", "1"}}};
const Assignments kStart = {{"a", "0"}, {"b", "1"}};

TEST(Tuning, FindsTheBestValuesOfEveryAxis) {
  int calls = 0;
  const auto trials = tune(kAxes, kStart, {.runs = 100, .seconds = 0}, bowl(0, &calls)).value();
  EXPECT_EQ(best_of(trials).settings, (Assignments{{"a", "3"}, {"b", "-1"}}));
  EXPECT_EQ(trials.front().settings, kStart);
  EXPECT_EQ(trials.size(), static_cast<std::size_t>(calls));
  for (std::size_t k = 0; k < trials.size(); ++k) {
    for (std::size_t l = 0; l < k; ++l) EXPECT_NE(trials[k].settings, trials[l].settings);
  }
}

TEST(Tuning, GoesRoundAgainWhereOneAxisMovesAnothersBest) {
  const auto trials = tune(kAxes, kStart, {.runs = 100, .seconds = 0}, bowl(1)).value();
  double least = 1e9;
  for (const std::string& a : kAxes[0].values) {
    for (const std::string& b : kAxes[1].values) least = std::min(least, bowl(1)({{"a", a}, {"b", b}})->loss);
  }
  EXPECT_EQ(best_of(trials).loss, least);
}

TEST(Tuning, StopsWhenTheBudgetIsSpent) {
  EXPECT_EQ(tune(kAxes, kStart, {.runs = 4, .seconds = 0}, bowl(0)).value().size(), 4U);
  EXPECT_EQ(tune(kAxes, kStart, {.runs = 100, .seconds = 5}, bowl(0)).value().size(), 3U);
  EXPECT_EQ(tune({}, kStart, {.runs = 100, .seconds = 0}, bowl(0)).value().size(), 1U);
}

TEST(Tuning, AFailedTrialEndsTheSearch) {
  const auto failed = tune(kAxes, kStart, {}, [](const Assignments&) -> Result<Trial> {
    return fail(ErrorCode::invalid_argument, "no such model");
  });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), ErrorCode::invalid_argument);
}

TEST(Tuning, AxesAreReadFromText) {
  const TuneAxis axis = TuneAxis::parse("model.lambda=5,10,20").value();
  EXPECT_EQ(axis.key, "model.lambda");
  EXPECT_THAT(axis.values, ElementsAre("5", "10", "20"));
  for (const char* wrong : {"model.lambda", "=1", "a=", "a=1,,2", "a=1,1", ""}) {
    EXPECT_FALSE(TuneAxis::parse(wrong).has_value()) << wrong;
  }
}

TEST(Tuning, EveryFamilyHasValuesToTryAndMakesAModelOfThem) {
  for (const model::Family& family : model::families()) {
    dataset::DataContract contract;
    contract.feedback = family.feedback;
    if (family.feedback == dataset::Feedback::events) {
      contract.minimum = 0;
      contract.maximum = 1;
      contract.step = 0;
    }
    const auto preset = family.make({}, {.items = 20, .contract = contract, .max_contributors = 512}).value();
    for (const TuneAxis& axis : default_axes(preset->settings())) {
      for (const std::string& value : axis.values) {
        const auto model =
            family.make({{axis.key.substr(6), value}}, {.items = 20, .contract = contract, .max_contributors = 512});
        EXPECT_TRUE(model.has_value()) << family.name << ' ' << axis.key << '=' << value;
      }
    }
  }
}

TEST(Tuning, WhatIsTriedLiesAroundThePresetOfTheChosenUpdate) {
  const auto tried = [](const model::Settings& given) {
    std::map<std::string, std::vector<std::string>> values;
    const auto preset = model::make_model("mf", given, {.items = 20, .contract = {}, .max_contributors = 512}).value();
    for (TuneAxis& axis : default_axes(preset->settings())) values[axis.key] = std::move(axis.values);
    return values;
  };
  const auto newton = tried({{"update", "newton"}});
  const auto variational = tried({{"update", "vb"}});
  EXPECT_EQ(newton.at("model.lambda")[1], "6.5");
  EXPECT_EQ(variational.at("model.lambda")[1], "3.5");
  EXPECT_FALSE(newton.contains("model.noise"));
  EXPECT_TRUE(variational.contains("model.noise"));
}

}  // namespace
}  // namespace chorus::sim
