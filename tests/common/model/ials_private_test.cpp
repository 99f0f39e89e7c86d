// Implicit alternating least squares under differential privacy: what devices say never exceeds what the noise was
// sized for, the budget is spent exactly, and what it learns is worth something.
#include "common/model/ials/private.hpp"
#include "tests/common/model/private_fixture.hpp"

namespace chorus::model {
namespace {

using namespace testing_private;
using ::testing::HasSubstr;

class IalsPrivateTest : public PrivateModelTest {
 protected:
  IalsPrivateTest() : PrivateModelTest("ials", dataset::Feedback::events) {
    for (auto* all : {&training_, &held_out_}) {
      for (auto& events : *all) {
        for (Observation& event : events) event.value = 1;
      }
    }
  }
  // How often a held-out event is above an item that the person has no event with, given the scores of everybody.
  double auc(const std::function<void(std::size_t, std::span<float>)>& score_all) const {
    double above = 0;
    double pairs = 0;
    std::vector<float> scores(kItems);
    for (std::size_t u = 0; u < kUsers; ++u) {
      score_all(u, scores);
      std::vector<bool> had(kItems);
      for (const auto& events : {training_[u], held_out_[u]}) {
        for (const Observation& event : events) had[event.item] = true;
      }
      for (const Observation& event : held_out_[u]) {
        for (std::uint32_t i = 0; i < kItems; ++i) {
          if (had[i]) continue;
          pairs += 1;
          above += scores[event.item] > scores[i] ? 1 : scores[event.item] == scores[i] ? 0.5 : 0;
        }
      }
    }
    return above / pairs;
  }
};

TEST_F(IalsPrivateTest, NoContributionIsLongerThanItsSensitivityAndTheLongestReachesIt) {
  for (const char* mu : {"3.2354", "0.2367"}) {
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
      EXPECT_GT(largest[0], 0.5) << "the longest is about what the noise was made for";
      ASSERT_TRUE(model->step(purpose_of(round), state, total, kUsers).has_value());
    }
  }
}

TEST_F(IalsPrivateTest, TheQuestionsSpendTheBudgetExactly) {
  for (const double mu : {3.2354, 1.8481, 1.0204, 0.4483, 0.2367, 0.05, 9.0}) {
    for (const char* passes : {"auto", "1", "5"}) {
      SCOPED_TRACE(mu);
      const auto model = make({{"mu", std::to_string(mu)}, {"passes", passes}});
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
}

TEST_F(IalsPrivateTest, AQuestionBeyondTheLastIsRefusedAndNothingChanges) {
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

TEST_F(IalsPrivateTest, WithoutNoiseItRanksBetterThanPopularity) {
  const auto model = make({{"mu", "0"}, {"rank", "6"}});
  ServerState state = model->initial();
  learn(*model, state);
  const double learned = auc([&](std::size_t u, std::span<float> scores) {
    const PrivateState mine = model->solve(state.shared, {.training = training_[u], .held_out = {}});
    model->score_all(state.shared, mine, scores);
  });
  const double popular = auc([&](std::size_t, std::span<float> scores) {
    std::ranges::copy(model->popularity(state.shared), scores.begin());
  });
  EXPECT_GT(learned, popular + 0.02) << popular;
}

TEST_F(IalsPrivateTest, WhatFewPeopleSaidOfAnItemIsNotPublished) {
  const auto model = make({{"mu", "0"}, {"features", "off"}, {"rank", "8"}});
  ServerState state = model->initial();
  auto counts = sums(*model, Purpose::survey, state, [](const auto&, const auto&) {});
  counts[0][5] = 0.25;  // one person with sixteen events
  ASSERT_TRUE(model->step(Purpose::survey, state, counts, kUsers).has_value());
  const auto published = [&](std::size_t item, double said) {
    ServerState after = state;
    auto total = sums(*model, Purpose::train, after, [](const auto&, const auto&) {});
    total[0][8 * item + 1] = said;
    EXPECT_TRUE(model->step(Purpose::train, after, total, kUsers).has_value());
    return after.shared.tensors[0].values;
  };
  EXPECT_EQ(published(5, 0.1), published(5, 0.9));
  EXPECT_NE(published(6, 0.1), published(6, 0.9)) << "control: an item that many had";
  EXPECT_EQ(state.shared.find("popularity")->values[5], 0);
}

TEST_F(IalsPrivateTest, ANonFiniteSumIsRefusedWithItsItemAndNothingChanges) {
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

TEST_F(IalsPrivateTest, WhateverTheNoiseSaysTheModelIsSound) {
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

TEST_F(IalsPrivateTest, PeopleWithOneEventOrNoneAreServedAndTheirContributionsAreFinite) {
  const auto model = make({{"mu", "0"}});
  const std::vector<Observation> one = {training_[0].front()};
  for (const std::span<const Observation> events :
       {std::span<const Observation>(), std::span<const Observation>(one)}) {
    const LocalData data{.training = events, .held_out = {}};
    ServerState state = model->initial();
    for (std::size_t round = 0; round <= model->preset_rounds(); ++round) {
      ring::Contribution c;
      model->contribute(purpose_of(round), state.shared, data, c);
      for (const double x : c.rows) EXPECT_TRUE(std::isfinite(x));
      for (const double x : c.dense) EXPECT_TRUE(std::isfinite(x));
      const auto total = sums(*model, purpose_of(round), state, [](const auto&, const auto&) {});
      ASSERT_TRUE(model->step(purpose_of(round), state, total, kUsers).has_value());
    }
    const PrivateState mine = model->solve(state.shared, data);
    std::vector<float> scores(kItems);
    model->score_all(state.shared, mine, scores);
    for (const float score : scores) EXPECT_TRUE(std::isfinite(score));
  }
}

TEST_F(IalsPrivateTest, ExplanationsAddUpToTheScore) {
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

TEST_F(IalsPrivateTest, ALongerCatalogueKeepsItsRowsAndRecommendsNothingNewUnheard) {
  const auto model = make({{"mu", "0"}});
  ServerState state = model->initial();
  learn(*model, state);
  const ServerState before = state;
  const auto grown = make({{"mu", "0"}}, kItems + 1);
  grown->grow(state);
  ASSERT_TRUE(grown->check_shared(state.shared).has_value());
  const auto& rows = state.shared.tensors[0].values;
  const auto& old = before.shared.tensors[0].values;
  EXPECT_TRUE(std::equal(old.begin(), old.end(), rows.begin()));
  const PrivateState mine = grown->solve(state.shared, {.training = training_[0], .held_out = {}});
  EXPECT_EQ(grown->score(state.shared, mine, kItems), 0);
}

TEST_F(IalsPrivateTest, AWrongSettingIsNamed) {
  const auto refused = make_model("ials", {{"update", "dp"}, {"momentum", "0.4"}},
                                  {.items = kItems, .contract = contract_, .max_contributors = 512, .catalogue = {}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("'momentum'"));
}

}  // namespace
}  // namespace chorus::model
