#include "tests/common/model/mf_fixture.hpp"

namespace chorus::model::testing_mf {
namespace {

TEST_F(MfTest, PartsOfAnExplanationAddUpToTheScore) {
  const ServerState state = trained(*model_, 4);
  for (std::size_t u = 0; u < training_.size(); ++u) {
    const PrivateState mine = model_->solve(state.shared, data(u));
    for (const std::uint32_t item : {0U, 17U, kItems - 1}) {
      const Explanation explanation = model_->explain(state.shared, data(u), item);
      EXPECT_NEAR(explanation.score, model_->score(state.shared, mine, item), 1e-12);
      double sum = 0;
      std::size_t history = 0;
      for (const ScorePart& part : explanation.parts) {
        sum += part.amount;
        if (part.kind != ScorePart::Kind::history) continue;
        EXPECT_EQ(part.item, training_[u][history++].item);
      }
      EXPECT_EQ(history, training_[u].size());
      EXPECT_NEAR(sum, explanation.score, 1e-6);
    }
  }
}

TEST_F(MfTest, RemovingARatingChangesTheScoreAsItsShareSays) {
  // The score is linear in the ratings: a rating moved to its own zero residual takes exactly its part away.
  const ServerState state = trained(*model_, 4);
  const Explanation full = model_->explain(state.shared, data(5), 2);
  std::vector<Observation> changed = training_[5];
  Observation& first = changed.front();
  first.value =
      static_cast<float>(double{scale(state)[0]} + double{scale(state)[1]} * double{factors(state)[first.item * 6]});
  const double without = model_->explain(state.shared, {.training = changed, .held_out = {}}, 2).score;
  EXPECT_NEAR(full.score - without, full.parts[2].amount, 1e-6);
}

TEST_F(MfTest, AllScoresAreTheSingleScores) {
  const ServerState state = trained(*model_, 3);
  const PrivateState mine = model_->solve(state.shared, data(1));
  std::vector<float> scores(kItems);
  model_->score_all(state.shared, mine, scores);
  for (std::uint32_t i = 0; i < kItems; ++i) {
    EXPECT_NEAR(scores[i], model_->score(state.shared, mine, i), 1e-5) << i;
  }
}

TEST_F(MfTest, PopularityIsEmptyBeforeTheFirstTrainingRound) {
  EXPECT_TRUE(model_->popularity(model_->initial().shared).empty());
  EXPECT_TRUE(model_->popularity(trained(*model_, 0).shared).empty());
  EXPECT_EQ(model_->popularity(trained(*model_, 1).shared).size(), kItems);
}

TEST_F(MfTest, ANonFiniteSumNamesTheItemAndChangesNothing) {
  ServerState state = trained(*model_, 1);
  const ServerState before = state;
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e300}) {
    auto summed = sums(*model_, Purpose::train, state);
    summed[mf::tensor::kGradient][17 * 6 + 3] = bad;
    const Status stepped = model_->step(Purpose::train, state, summed, 60);
    ASSERT_FALSE(stepped.has_value());
    EXPECT_EQ(stepped.error().code(), ErrorCode::non_finite);
    EXPECT_EQ(stepped.error().where(), "item 17");
    EXPECT_EQ(state.shared, before.shared);
    EXPECT_EQ(state.hidden, before.hidden);
  }
}

TEST_F(MfTest, ACurvatureThatIsNotPositiveIsRefusedAndChangesNothing) {
  ServerState state = trained(*model_, 1);
  const ServerState before = state;
  auto summed = sums(*model_, Purpose::train, state);
  for (double& x : summed[mf::tensor::kCurvature]) x = -1e6;
  const Status stepped = model_->step(Purpose::train, state, summed, 60);
  ASSERT_FALSE(stepped.has_value());
  EXPECT_EQ(stepped.error().code(), ErrorCode::non_finite);
  EXPECT_EQ(state.shared, before.shared);
  EXPECT_EQ(state.hidden, before.hidden);
}

TEST_F(MfTest, ARoundOfNobodyShrinksTheFactorsAndStaysFinite) {
  ServerState state = trained(*model_, 2);
  const ServerState before = state;
  std::vector<std::vector<double>> nothing;
  const plan::UpdateLayout layout = model_->layout(Purpose::train, 0);
  for (const auto& tensor : layout.tensors()) nothing.emplace_back(tensor.numbers(), 0.0);
  state.hidden["momentum"].assign(kItems * 6, 0.0);
  ASSERT_TRUE(model_->step(Purpose::train, state, nothing, 0).has_value());
  for (std::size_t k = 0; k < factors(state).size(); ++k) {
    EXPECT_NEAR(factors(state)[k], 0.2F * factors(before)[k], 1e-6);
  }
}

TEST_F(MfTest, SharedTensorsOfAnotherModelAreRefused) {
  const TensorSet good = trained(*model_, 1).shared;
  ASSERT_TRUE(model_->check_shared(good).has_value());
  const auto refused = [&](ErrorCode code, auto change, std::string_view words) {
    TensorSet shared = good;
    change(shared);
    const Status checked = model_->check_shared(shared);
    ASSERT_FALSE(checked.has_value()) << words;
    EXPECT_EQ(checked.error().code(), code);
    EXPECT_THAT(checked.error().to_string(), HasSubstr(std::string(words)));
  };
  refused(ErrorCode::wrong_model, [](TensorSet& s) { s.tensors.pop_back(); }, "3 shared tensors");
  refused(ErrorCode::wrong_model, [](TensorSet& s) { s.tensors[0].name = "factors"; }, "item_factors");
  refused(ErrorCode::wrong_model, [](TensorSet& s) { s.tensors[0].rows = 41; }, "40 x 6");
  refused(ErrorCode::wrong_model, [](TensorSet& s) { s.tensors[0].values.pop_back(); }, "item_factors");
  refused(ErrorCode::wrong_model, [](TensorSet& s) { s.tensors[1].values[1] = 0; }, "deviation");
  refused(ErrorCode::wrong_model, [](TensorSet& s) { s.tensors[2].values[3] = -1; }, "popularity");
  refused(ErrorCode::non_finite, [](TensorSet& s) { s.tensors[0].values[9 * 6] = NAN; }, "item 9");
  refused(ErrorCode::non_finite, [](TensorSet& s) { s.tensors[2].values[3] = INFINITY; }, "item 3");
  EXPECT_EQ(make({{"rank", "6"}})->check_shared(good).error().code(), ErrorCode::wrong_model);
}

TEST_F(MfTest, AbsurdButFiniteFactorsStillGiveAFiniteContribution) {
  ServerState state = trained(*model_, 1);
  for (float& x : state.shared.tensors[0].values) x = 3e38F;
  ASSERT_TRUE(model_->check_shared(state.shared).has_value());
  ring::Contribution contribution;
  model_->contribute(Purpose::train, state.shared, data(0), contribution);
  ring::EncodeCounts counts;
  EXPECT_TRUE(ring::encode(model_->layout(Purpose::train, 0), contribution, counts).has_value());
}

}  // namespace
}  // namespace chorus::model::testing_mf
