// Matrix factorization under differential privacy: what devices say never exceeds what the noise was sized for, the
// budget is spent exactly, and what it learns is worth something.
#include "common/model/mf/private.hpp"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/ridge.hpp"
#include "tests/common/model/private_fixture.hpp"

namespace chorus::model {
namespace {

using namespace testing_private;
using ::testing::HasSubstr;

class PrivateTest : public testing_private::PrivateModelTest {
 protected:
  PrivateTest() : PrivateModelTest("mf", dataset::Feedback::ratings) {}

  double rmse(const Model& model, const ServerState& state) const {
    double squares = 0;
    std::size_t count = 0;
    for (std::size_t u = 0; u < kUsers; ++u) {
      const PrivateState mine = model.solve(state.shared, {.training = training_[u], .held_out = {}});
      for (const Observation& rating : held_out_[u]) {
        const double error = model.score(state.shared, mine, rating.item) - double{rating.value};
        squares += error * error;
        ++count;
      }
    }
    return std::sqrt(squares / static_cast<double>(count));
  }
};

TEST_F(PrivateTest, NoContributionIsLongerThanItsSensitivityAndTheLongestReachesIt) {
  for (const char* mu : {"3.2354", "1.0204", "0.2367"}) {
    SCOPED_TRACE(mu);
    const auto model = make({{"mu", mu}});
    ServerState state = model->initial();
    for (std::size_t round = 0; round <= model->preset_rounds(); ++round) {
      SCOPED_TRACE(round);
      const auto question = model->privacy(purpose_of(round), model->training_rounds(state.shared));
      ASSERT_TRUE(question.has_value());
      std::vector<double> largest(question->groups.size(), 0);
      const auto total = sums(*model, purpose_of(round), state, [&](const auto& layout, const auto& c) {
        expect_within_groups(layout, c, question->groups, largest);
      });
      // Each person's counts have the same norm, and means are cut for somebody. Few people of a small population
      // differ enough from the prior for the other questions' clips.
      if (round == 0) {
        EXPECT_NEAR(largest[0], 1, 1e-9);
      }
      EXPECT_GT(largest[0], 0.05);
      ASSERT_TRUE(model->step(purpose_of(round), state, total, kUsers).has_value());
    }
  }
}

TEST_F(PrivateTest, TheQuestionsSpendTheBudgetExactly) {
  for (const double mu : {3.2354, 1.8481, 1.0204, 0.4483, 0.2367, 0.05, 9.0}) {
    SCOPED_TRACE(mu);
    const auto model = make({{"mu", std::to_string(mu)}});
    double spent = 0;
    for (std::size_t round = 0; round <= model->preset_rounds(); ++round) {
      const auto question = model->privacy(purpose_of(round), round == 0 ? 0 : round - 1);
      ASSERT_TRUE(question.has_value());
      spent += 1 / (question->noise_multiplier * question->noise_multiplier);
    }
    EXPECT_NEAR(spent / (mu * mu), 1, 1e-9);
    EXPECT_FALSE(model->privacy(Purpose::train, model->preset_rounds()).has_value()) << "nothing is left to ask";
    EXPECT_FALSE(model->privacy(Purpose::measure, 0).has_value());
  }
}

TEST_F(PrivateTest, AQuestionBeyondTheLastIsRefusedAndNothingChanges) {
  const auto model = make({{"mu", "0"}});
  ServerState state = model->initial();
  learn(*model, state);
  const ServerState before = state;
  const auto layout = model->layout(Purpose::train, model->training_rounds(state.shared));
  std::vector<std::vector<double>> sums;
  for (const auto& tensor : layout.tensors()) sums.emplace_back(tensor.numbers(), 1.0);
  const Status refused = model->step(Purpose::train, state, sums, kUsers);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::budget_exhausted);
  EXPECT_EQ(state.shared, before.shared);
}

TEST_F(PrivateTest, WithoutNoiseItLearnsMoreThanTheMeansOfItems) {
  const auto model = make({{"mu", "0"}});
  ServerState state = model->initial();
  for (const std::size_t round : {0U, 1U}) {
    const auto total = sums(*model, purpose_of(round), state, [](const auto&, const auto&) {});
    ASSERT_TRUE(model->step(purpose_of(round), state, total, kUsers).has_value());
  }
  const double means = rmse(*model, state);
  state = model->initial();
  learn(*model, state);
  EXPECT_LT(rmse(*model, state), 0.97 * means);
}

TEST_F(PrivateTest, WhatFewPeopleSaidOfAnItemIsNotPublished) {
  const auto model = make({{"mu", "0"}});
  ServerState state = model->initial();
  auto counts = sums(*model, Purpose::survey, state, [](const auto&, const auto&) {});
  counts[0][5] = 0.25;  // one person with sixteen ratings
  counts[0][6] = 5;
  ASSERT_TRUE(model->step(Purpose::survey, state, counts, kUsers).has_value());
  // The same answers to the question for means but for one item, of which somebody says much.
  const auto published = [&](std::size_t item, double said) {
    ServerState after = state;
    auto total = sums(*model, Purpose::train, after, [](const auto&, const auto&) {});
    total[0][2 * item + 1] = said;
    EXPECT_TRUE(model->step(Purpose::train, after, total, kUsers).has_value());
    return after.shared.tensors[0].values;
  };
  EXPECT_EQ(published(5, 0.1), published(5, 0.9));
  EXPECT_NE(published(6, 0.1), published(6, 0.9)) << "control: an item that many rated";
}

TEST_F(PrivateTest, ANonFiniteSumIsRefusedWithItsItemAndNothingChanges) {
  const auto model = make();
  ServerState state = model->initial();
  auto total = sums(*model, Purpose::survey, state, [](const auto&, const auto&) {});
  total[0][17] = std::nan("");
  const ServerState before = state;
  const Status refused = model->step(Purpose::survey, state, total, kUsers);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::non_finite);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("item 17"));
  EXPECT_EQ(state.shared, before.shared);
  EXPECT_EQ(state.hidden, before.hidden);
}

TEST_F(PrivateTest, WhateverTheNoiseSaysTheModelIsSound) {
  // Sums of pure noise, far larger than any signal: negative counts, a curvature that is not positive.
  for (const double size : {1.0, 1e3, 1e6}) {
    SCOPED_TRACE(size);
    const auto model = make({{"mu", "0.2367"}});
    ServerState state = model->initial();
    std::uint32_t draw = 1;
    for (std::size_t round = 0; round <= model->preset_rounds(); ++round) {
      const auto layout = model->layout(purpose_of(round), model->training_rounds(state.shared));
      std::vector<std::vector<double>> sums;
      for (const auto& tensor : layout.tensors()) {
        sums.emplace_back(tensor.numbers());
        for (double& x : sums.back()) {
          draw = draw * 1664525U + 1013904223U;
          x = size * (static_cast<double>(draw) / 2147483648.0 - 1);
        }
      }
      const Status stepped = model->step(purpose_of(round), state, sums, kUsers);
      ASSERT_TRUE(stepped.has_value()) << stepped.error().to_string();
      EXPECT_TRUE(model->check_shared(state.shared).has_value());
    }
    const PrivateState mine = model->solve(state.shared, {.training = training_[0], .held_out = {}});
    for (std::uint32_t i = 0; i < kItems; ++i) EXPECT_TRUE(std::isfinite(model->score(state.shared, mine, i)));
  }
}

TEST_F(PrivateTest, PeopleWithOneRatingOrNoneAreServedAndTheirContributionsAreFinite) {
  const auto model = make({{"mu", "0"}});
  ServerState state = model->initial();
  learn(*model, state);
  const std::vector<Observation> one = {training_[0].front()};
  for (const std::span<const Observation> ratings :
       {std::span<const Observation>(), std::span<const Observation>(one)}) {
    const LocalData data{.training = ratings, .held_out = {}};
    const PrivateState mine = model->solve(state.shared, data);
    std::vector<float> scores(kItems);
    model->score_all(state.shared, mine, scores);
    for (const float score : scores) EXPECT_TRUE(std::isfinite(score));
    ServerState fresh = model->initial();
    for (std::size_t round = 0; round <= model->preset_rounds(); ++round) {
      ring::Contribution c;
      fresh.shared.tensors[mf::private_tensor::kScale].values[2] = static_cast<float>(round == 0 ? 0 : round - 1);
      model->contribute(purpose_of(round), fresh.shared, data, c);
      for (const double x : c.rows) EXPECT_TRUE(std::isfinite(x));
      for (const double x : c.dense) EXPECT_TRUE(std::isfinite(x));
    }
  }
}

TEST_F(PrivateTest, ExplanationsAddUpToTheScore) {
  const auto model = make({{"mu", "0"}});
  ServerState state = model->initial();
  learn(*model, state);
  for (const std::size_t user : {0U, 7U, 100U}) {
    const LocalData data{.training = training_[user], .held_out = {}};
    const PrivateState mine = model->solve(state.shared, data);
    for (std::uint32_t item = 0; item < kItems; item += 7) {
      const Explanation explanation = model->explain(state.shared, data, item);
      double sum = 0;
      for (const ScorePart& part : explanation.parts) sum += part.amount;
      EXPECT_NEAR(sum, explanation.score, 1e-6);
      EXPECT_NEAR(explanation.score, model->score(state.shared, mine, item), 1e-6);
    }
  }
}

TEST_F(PrivateTest, ALongerCatalogueKeepsItsRowsAndPlacesNewItemsByTheirFeatures) {
  const auto model = make({{"mu", "0"}});
  ServerState state = model->initial();
  learn(*model, state);
  const ServerState before = state;
  auto longer = *catalogue_;
  dataset::CatalogueItem twin = catalogue_->items()[3];
  twin.id = "new";
  ASSERT_TRUE(longer.append({twin}).has_value());
  const auto known = std::make_shared<const dataset::Catalogue>(std::move(longer));
  const auto grown =
      make_model("mf", {{"update", "dp"}, {"mu", "0"}},
                 {.items = kItems + 1, .contract = contract_, .max_contributors = 512, .catalogue = known})
          .value();
  grown->grow(state);
  ASSERT_TRUE(grown->check_shared(state.shared).has_value());
  const auto& rows = state.shared.tensors[0].values;
  const auto& old = before.shared.tensors[0].values;
  EXPECT_TRUE(std::equal(old.begin(), old.end(), rows.begin()));
  const std::size_t width = mf::kPrivateFeatures + 1;
  double squares = 0;
  for (std::size_t k = 1; k < width; ++k) squares += std::pow(double{rows[kItems * width + k]}, 2);
  EXPECT_GT(squares, 0) << "a new item has a place";
}

TEST_F(PrivateTest, AWrongSettingIsNamed) {
  const auto refused = make_model("mf", {{"update", "dp"}, {"rank", "4"}},
                                  {.items = kItems, .contract = contract_, .max_contributors = 512, .catalogue = {}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("'rank'"));
}

}  // namespace
}  // namespace chorus::model
