// Newton's trial: who is held out, which candidate wins, and what becomes of the factors.
#include <set>

#include "common/dataset/seeded_generator.hpp"
#include "common/model/mf/trial.hpp"
#include "tests/common/model/mf_fixture.hpp"

namespace chorus::model::testing_mf {
namespace {

namespace trial = mf::trial;

std::vector<Observation> ratings_of(std::size_t count, std::uint32_t first = 0) {
  std::vector<Observation> all;
  for (std::uint32_t k = 0; k < count; ++k) all.push_back({.item = first + 3 * k, .value = 4});
  return all;
}

TEST(TrialHalves, ATenthIsHeldOutAndAtLeastOneOfTwo) {
  const std::pair<std::size_t, std::size_t> expected[] = {{0, 0}, {1, 0}, {2, 1}, {10, 1}, {11, 2}, {100, 10}};
  for (const auto& [ratings, out] : expected) {
    const auto halves = trial::halves_of(ratings_of(ratings));
    EXPECT_EQ(halves.held_out.size(), out) << ratings;
    EXPECT_EQ(halves.training.size(), ratings - out);
    EXPECT_TRUE(std::ranges::is_sorted(halves.training, std::ranges::less_equal(), &Observation::item) ||
                halves.training.size() < 2);
    std::set<std::uint32_t> items;
    for (const auto& half : {halves.training, halves.held_out}) {
      for (const Observation& rating : half) items.insert(rating.item);
    }
    EXPECT_EQ(items.size(), ratings);
  }
}

TEST(TrialHalves, AreTheSameInEveryRoundAndOthersForOthers) {
  EXPECT_EQ(trial::halves_of(ratings_of(30)).held_out.front().item,
            trial::halves_of(ratings_of(30)).held_out.front().item);
  std::set<std::uint32_t> places;
  for (std::uint32_t first = 0; first < 40; ++first) {
    places.insert((trial::halves_of(ratings_of(10, first)).held_out.front().item - first) / 3);
  }
  EXPECT_GE(places.size(), 8U);  // of ten
}

TEST(TrialCandidates, TheModelMustBeStrictlyTheBest) {
  EXPECT_EQ(trial::best_candidate(std::vector<double>{1, 2, 3, 4}), trial::kModel);
  EXPECT_EQ(trial::best_candidate(std::vector<double>{2, 2, 3, 4}), 1U);
  EXPECT_EQ(trial::best_candidate(std::vector<double>{5, 2, 1, 1}), 2U);
  EXPECT_EQ(trial::best_candidate(std::vector<double>{5, 3, 2, 1}), 3U);
  EXPECT_EQ(trial::best_candidate(std::vector<double>{0, 0, 0, 0}), 1U);
}

// People whose ratings say nothing, or say a strong taste.
class TrialTest : public MfTest {
 protected:
  void people(double taste) {
    training_.clear();
    held_out_.clear();
    dataset::SeededGenerator random(7, 0);
    const auto number = [&random] { return 2 * random.unit() - 1; };
    std::vector<double> side(kItems);
    for (double& q : side) q = number() > 0 ? 1 : -1;
    for (int u = 0; u < 300; ++u) {
      std::vector<Observation> mine;
      const double p = number() > 0 ? 1 : -1;
      for (std::uint32_t i = 0; i < kItems; ++i) {
        if (random.unit() > 0.4) continue;
        const double rating = 3 + taste * p * side[i] + 2 * (1 - taste) * number();
        mine.push_back({.item = i, .value = static_cast<float>(std::clamp(std::round(rating), 1.0, 5.0))});
      }
      training_.push_back(std::move(mine));
      held_out_.emplace_back();
    }
    contract_.minimum = 1;
    contract_.maximum = 5;
    contract_.step = 1;
  }
  static float winner(const ServerState& state) { return state.shared.find("trial")->values[0]; }
  static double total(std::span<const float> values) { return std::accumulate(values.begin(), values.end(), 0.0); }
  std::size_t ratings() const {
    std::size_t all = 0;
    for (const auto& mine : training_) all += mine.size();
    return all;
  }
};

TEST_F(TrialTest, WithoutTasteBiasesAloneAreServed) {
  people(0);
  const auto model = make({{"trial", "on"}});
  EXPECT_EQ(winner(trained(*model, trial::kRounds - 1)), 0);
  const ServerState state = trained(*model, trial::kRounds);
  ASSERT_GE(winner(state), 1);
  const std::size_t d = state.shared.tensors[0].columns;
  for (const int more : {0, 3}) {
    ServerState later = state;
    for (int r = 0; r < more; ++r) advance(*model, later, Purpose::train);
    for (std::size_t k = 0; k < factors(later).size(); ++k) {
      if (k % d != 0) {
        ASSERT_EQ(factors(later)[k], 0) << k;
      }
    }
    const PrivateState mine = model->solve(later.shared, data(0));
    EXPECT_NE(mine.factor[0], 0);
    for (std::size_t k = 1; k < d; ++k) EXPECT_EQ(mine.factor[k], 0);
    const Explanation why = model->explain(later.shared, data(0), 3);
    double sum = 0;
    for (const ScorePart& part : why.parts) sum += part.amount;
    EXPECT_NEAR(sum, why.score, 1e-9);
    EXPECT_NEAR(model->score(later.shared, mine, 3), why.score, 1e-9);
  }
}

// Σ_u (r − b_u − c_i) = m λ_b c_i, and the same for b_u, is what alternating ridges end at.
TEST_F(TrialTest, TheBiasesThatAreServedSolveTheRidgeThatWon) {
  people(0);
  const auto model = make({{"trial", "on"}});
  const ServerState state = trained(*model, 40);
  const double ridge = 1.5 * trial::kMultiples[static_cast<std::size_t>(winner(state)) - 1];
  const std::size_t d = state.shared.tensors[0].columns;
  std::vector<double> pull(kItems);
  for (std::size_t u = 0; u < training_.size(); ++u) {
    const double own = model->solve(state.shared, data(u)).factor[0];
    double sum = 0;
    for (const Observation& rating : training_[u]) {
      const double residual = (double{rating.value} - double{scale(state)[0]}) / double{scale(state)[1]} - own -
                              double{factors(state)[rating.item * d]};
      sum += residual;
      pull[rating.item] += residual;
    }
    EXPECT_NEAR(sum, ridge * own, 1e-9);
  }
  for (std::uint32_t i = 0; i < kItems; ++i) EXPECT_NEAR(pull[i], ridge * double{factors(state)[i * d]}, 1e-3);
}

TEST_F(TrialTest, WithTasteTheFactorsStay) {
  people(0.8);
  const auto model = make({{"trial", "on"}});
  const ServerState state = trained(*model, trial::kRounds + 2);
  EXPECT_EQ(winner(state), 0);
  EXPECT_GT(std::abs(factors(state)[1]), 0);
}

TEST_F(TrialTest, TheRoundsAfterTheTrialTrainOnEverything) {
  people(0.8);
  const auto model = make({{"trial", "on"}});
  const auto counted = [&](int rounds) { return total(trained(*model, rounds).shared.find("popularity")->values); };
  std::size_t kept = 0;
  for (const auto& mine : training_) kept += trial::halves_of(mine).training.size();
  ASSERT_LT(kept, ratings());
  EXPECT_EQ(counted(1), static_cast<double>(kept));
  EXPECT_EQ(counted(trial::kRounds), static_cast<double>(kept));
  EXPECT_EQ(counted(trial::kRounds + 1), static_cast<double>(ratings()));
}

TEST_F(TrialTest, ItemsThatComeLaterHaveNoFactorsWhereBiasesWon) {
  people(0);
  const auto model = make({{"trial", "on"}});
  const auto longer = make({{"trial", "on"}}, kItems + 5);
  ServerState lost = trained(*model, trial::kRounds);
  longer->grow(lost);
  ServerState early = trained(*model, 1);
  longer->grow(early);
  const std::size_t d = lost.shared.tensors[0].columns;
  ASSERT_EQ(factors(lost).size(), (kItems + 5) * d);
  for (std::size_t k = kItems * d; k < factors(lost).size(); ++k) EXPECT_EQ(factors(lost)[k], 0);
  EXPECT_NE(factors(early)[kItems * d + 1], 0);
}

TEST_F(TrialTest, ItemsThatFewRatedLoseTheirFactorsToo) {
  people(0);
  const auto model = make({{"trial", "on"}, {"least_raters", "1000"}});
  const ServerState state = trained(*model, trial::kRounds);
  ASSERT_GE(winner(state), 1);
  EXPECT_EQ(factors(state)[1], 0);
}

TEST_F(TrialTest, AWinnerThatThereIsNotIsRefused) {
  const auto model = make({{"trial", "on"}});
  for (const float wrong : {-1.0F, 0.5F, 4.0F, 1e9F, std::numeric_limits<float>::quiet_NaN()}) {
    ServerState state = model->initial();
    state.shared.find("trial")->values[0] = wrong;
    EXPECT_FALSE(model->check_shared(state.shared).has_value()) << wrong;
  }
  ServerState bare = model->initial();
  bare.shared.tensors.pop_back();
  EXPECT_FALSE(model->check_shared(bare.shared).has_value());
}

TEST_F(TrialTest, OneRatingEachHoldsNothingOutAndServesBiases) {
  people(0);
  for (auto& mine : training_) mine.resize(std::min<std::size_t>(1, mine.size()));
  const auto model = make({{"trial", "on"}});
  const ServerState state = trained(*model, trial::kRounds + 2);
  EXPECT_EQ(winner(state), 1);
  for (const float x : factors(state)) EXPECT_TRUE(std::isfinite(x));
}

TEST_F(TrialTest, OtherUpdatesHaveNone) {
  for (const char* const update : {"vb", "als", "gradient"}) {
    EXPECT_EQ(make({{"update", update}})->settings().at("trial"), "off");
    const auto refused = make_model("mf", {{"update", update}, {"trial", "on"}}, model_->shape());
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().sentence(), HasSubstr("trial"));
  }
  EXPECT_FALSE(make_model("mf", {{"participation", "0.1"}, {"trial", "on"}}, model_->shape()).has_value());
  EXPECT_TRUE(make_model("mf", {{"twin", "on"}}, model_->shape()).has_value());
  EXPECT_EQ(make_model("mf", {}, model_->shape()).value()->settings().at("trial"), "on");
}

}  // namespace
}  // namespace chorus::model::testing_mf
