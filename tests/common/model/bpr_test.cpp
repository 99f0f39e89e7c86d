#include "common/model/bpr/logistic.hpp"
#include "common/model/bpr/negatives.hpp"
#include "tests/common/model/rating_family_fixture.hpp"

namespace chorus::model::testing_ratings {
namespace {

using bpr::NegativeSampler;

constexpr double kRate = 0.6;
constexpr double kMomentum = 0.2;
constexpr double kUserRidge = 0.1;
constexpr double kRidge = 0.4;
constexpr double kBiasRidge = 0.2;
constexpr std::size_t kNegatives = 3;
constexpr int kPasses = 3;
constexpr std::uint64_t kSeed = 9;
constexpr std::size_t kLeastPairs = 256;  // people with few events draw as many

class BprTest : public RatingFamilyTest {
 protected:
  BprTest()
      : RatingFamilyTest("bpr",
                         {{"rank", "5"},
                          {"lambda_user", "0.1"},
                          {"lambda", "0.4"},
                          {"lambda_bias", "0.2"},
                          {"negatives", "3"},
                          {"passes", "3"},
                          {"rate", "0.6"},
                          {"momentum", "0.2"},
                          {"seed", "9"}},
                         dataset::Feedback::events) {}
};

MatrixXd factors_of(const ServerState& state) {
  const Tensor& tensor = *state.shared.find("item_factors");
  MatrixXd m(Index{tensor.rows}, Index{tensor.columns});
  for (Index row = 0; row < m.rows(); ++row) {
    for (Index column = 0; column < m.cols(); ++column) {
      m(row, column) = double{tensor.values[static_cast<std::size_t>(row * m.cols() + column)]};
    }
  }
  return m;
}

double sigma(double x) {
  return 1 / (1 + std::exp(-x));
}
// Of the parabola above ln(1 + e^−x) that touches it at x.
double weight(double x) {
  return x == 0 ? 0.25 : std::tanh(x / 2) / (2 * x);
}

struct Pair {
  std::uint32_t user = 0;
  std::uint32_t chosen = 0;
  std::uint32_t other = 0;
  double share = 0;  // 1/K
};

// The same mathematics with everybody's pairs in one place.
struct Central {
  std::vector<Pair> pairs;
  std::vector<double> events;  // [people]
  MatrixXd p;                  // [people × d]
  MatrixXd w;                  // [items × (1 + d)] rows [b; q]

  Central(const std::vector<std::vector<Observation>>& training, std::uint64_t round, MatrixXd items)
      : w(std::move(items)) {
    for (std::uint32_t u = 0; u < training.size(); ++u) {
      const std::size_t n = training[u].size();
      const std::size_t each = std::max(kNegatives, (kLeastPairs + n - 1) / n);
      NegativeSampler sampler(kSeed, round, training[u], kItems);
      for (const Observation& event : training[u]) {
        for (std::size_t k = 0; k < each; ++k) {
          pairs.push_back({u, event.item, sampler.next(), 1 / static_cast<double>(each)});
        }
      }
      events.push_back(static_cast<double>(n));
    }
    p = MatrixXd::Zero(static_cast<Index>(training.size()), w.cols() - 1);
  }
  VectorXd difference(const Pair& pair) const { return (w.row(pair.chosen) - w.row(pair.other)).transpose(); }
  VectorXd z(std::uint32_t user) const {
    VectorXd z(w.cols());
    z << 1, p.row(user).transpose();
    return z;
  }
  double x(const Pair& pair) const { return difference(pair).dot(z(pair.user)); }

  void solve_users() {
    const Index d = p.cols();
    for (int pass = 0; pass < kPasses; ++pass) {
      std::vector<MatrixXd> normal;
      for (const double n : events) normal.emplace_back(MatrixXd::Identity(d, d) * kUserRidge * std::sqrt(n));
      MatrixXd right = MatrixXd::Zero(p.rows(), d);
      for (const Pair& pair : pairs) {
        const VectorXd delta = difference(pair);
        const double h = weight(x(pair));
        normal[pair.user] += pair.share * h * delta.tail(d) * delta.tail(d).transpose();
        right.row(pair.user) += pair.share * (0.5 - h * delta(0)) * delta.tail(d).transpose();
      }
      for (Index u = 0; u < p.rows(); ++u) {
        p.row(u) = normal[static_cast<std::size_t>(u)].ldlt().solve(right.row(u).transpose()).transpose();
      }
    }
  }
  double objective() const {
    double sum = 0;
    for (const Pair& pair : pairs) sum += pair.share * std::log1p(std::exp(-x(pair)));
    for (Index u = 0; u < p.rows(); ++u)
      sum += kUserRidge * std::sqrt(events[static_cast<std::size_t>(u)]) / 2 * p.row(u).squaredNorm();
    return sum + (w.cwiseAbs2() * prior()).sum() / 2;
  }
  // The ridge of an item's row.
  VectorXd prior() const {
    double all = 0;
    for (const double n : events) all += n;
    VectorXd prior = VectorXd::Constant(w.cols(), kRidge);
    prior(0) = kBiasRidge;
    return prior * std::sqrt(all / static_cast<double>(w.rows()));
  }
  // Minus the gradient of the objective in w, without the ridge.
  MatrixXd descent() const {
    MatrixXd g = MatrixXd::Zero(w.rows(), w.cols());
    for (const Pair& pair : pairs) {
      const VectorXd pull = pair.share * sigma(-x(pair)) * z(pair.user);
      g.row(pair.chosen) += pull.transpose();
      g.row(pair.other) -= pull.transpose();
    }
    return g;
  }
  void step(MatrixXd& momentum) {
    VectorXd v = VectorXd::Zero(w.rows());
    MatrixXd c = MatrixXd::Zero(w.cols(), w.cols());
    double total = 0;
    for (const Pair& pair : pairs) {
      const double h = pair.share * weight(x(pair));
      v(pair.chosen) += h;
      v(pair.other) += h;
      c += 2 * h * z(pair.user) * z(pair.user).transpose();
      total += 2 * h;
    }
    const MatrixXd g = descent();
    MatrixXd next = w;
    for (Index i = 0; i < w.rows(); ++i) {
      MatrixXd metric = v(i) / total * c;
      metric.diagonal() += prior();
      const VectorXd direction = g.row(i).transpose() - prior().cwiseProduct(w.row(i).transpose());
      momentum.row(i) = kMomentum * momentum.row(i) + metric.ldlt().solve(direction).transpose();
      next.row(i) += kRate * momentum.row(i);
    }
    w = next;
  }
};

TEST(Logistic, IsTheLibrarysToItsLastDigits) {
  for (double x = -745; x <= 745; x += 0.37) {
    EXPECT_NEAR(bpr::logistic(x), sigma(x), 2e-15) << x;
    if (x < -5 && x > -700) {
      EXPECT_NEAR(bpr::logistic(x) / sigma(x), 1, 1e-13) << x;
    }
    EXPECT_NEAR(bpr::logistic_weight(x), weight(x), 1e-13) << x;
  }
  for (const double x : {0.0, 1e-9, -1e-5, 9.99e-4, 1.01e-3}) EXPECT_NEAR(bpr::logistic_weight(x), weight(x), 1e-13);
  EXPECT_EQ(bpr::logistic(0), 0.5);
  EXPECT_EQ(bpr::logistic(std::numeric_limits<double>::infinity()), 1);
  EXPECT_EQ(bpr::logistic(-std::numeric_limits<double>::infinity()), 0);
}

TEST(NegativeSampler, DrawsEveryItemThatWasNotChosenAlikeAndNoOther) {
  const std::vector<Observation> training = {{.item = 0}, {.item = 3}, {.item = 4}, {.item = 9}};
  NegativeSampler sampler(1, 0, training, 10);
  constexpr int kDraws = 60'000;
  std::vector<int> drawn(10, 0);
  for (int k = 0; k < kDraws; ++k) ++drawn[sampler.next()];
  for (const Observation& event : training) EXPECT_EQ(drawn[event.item], 0);
  for (const std::size_t item : {1U, 2U, 5U, 6U, 7U, 8U}) EXPECT_NEAR(drawn[item], kDraws / 6, 500) << item;
}

TEST(NegativeSampler, DependsOnSeedRoundAndEventsAlone) {
  const std::vector<Observation> training = {{.item = 5}, {.item = 70}};
  const std::vector<Observation> others = {{.item = 5}, {.item = 71}};
  const auto draws = [](std::uint64_t seed, std::uint64_t round, std::span<const Observation> own) {
    NegativeSampler sampler(seed, round, own, 1000);
    std::vector<std::uint32_t> drawn(20);
    for (auto& item : drawn) item = sampler.next();
    return drawn;
  };
  EXPECT_EQ(draws(1, 2, training), draws(1, 2, training));
  EXPECT_NE(draws(1, 2, training), draws(2, 2, training));
  EXPECT_NE(draws(1, 2, training), draws(1, 3, training));
  EXPECT_NE(draws(1, 2, training), draws(1, 2, others));
}

TEST_F(BprTest, EveryStepIsTheCentralOne) {
  ServerState state = model_->initial();
  MatrixXd momentum = MatrixXd::Zero(kItems, 6);
  for (std::uint64_t round = 0; round < 5; ++round) {
    Central central(training_, round, factors_of(state));
    central.solve_users();
    for (const std::size_t u : {0U, 17U, 59U}) {
      const PrivateState mine = model_->solve(state.shared, data(u));
      for (std::size_t k = 0; k < 5; ++k) {
        ASSERT_NEAR(mine.factor[k], central.p(static_cast<Index>(u), static_cast<Index>(k)), 1e-6);
      }
    }
    central.step(momentum);
    advance(*model_, state, Purpose::train);
    ASSERT_LT((factors_of(state) - central.w).cwiseAbs().maxCoeff(), 1e-6) << "round " << round;
  }
}

TEST_F(BprTest, TheUploadedGradientIsTheObjectives) {
  const ServerState state = trained(*model_, 2);
  Central central(training_, 2, factors_of(state));
  central.solve_users();
  const auto total = sums(*model_, Purpose::train, state);
  constexpr double kStep = 1e-4;
  for (const Index i : {Index{0}, Index{7}, Index{kItems} - 1}) {
    for (Index k = 0; k < central.w.cols(); ++k) {
      const double descent =
          total[0][static_cast<std::size_t>(i * central.w.cols() + k)] - central.prior()(k) * central.w(i, k);
      Central above = central;
      Central below = central;
      above.w(i, k) += kStep;
      below.w(i, k) -= kStep;
      EXPECT_NEAR(-descent, (above.objective() - below.objective()) / (2 * kStep), 1e-6) << i << ", " << k;
    }
  }
}

TEST_F(BprTest, EveryPassBringsThePersonsOwnObjectiveDown) {
  const ServerState state = trained(*model_, 3);
  Central central(training_, 3, factors_of(state));
  double before = central.objective();  // at p = 0
  for (const char* const passes : {"1", "2", "3", "6"}) {
    const auto model = make({{"passes", passes}});
    for (std::size_t u = 0; u < training_.size(); ++u) {
      const PrivateState mine = model->solve(state.shared, data(u));
      for (std::size_t k = 0; k < 5; ++k) central.p(static_cast<Index>(u), static_cast<Index>(k)) = mine.factor[k];
    }
    const double now = central.objective();
    EXPECT_LT(now, before) << passes;
    before = now;
  }
}

TEST_F(BprTest, TrainingRanksHeldOutEventsBetterThanPopularity) {
  const auto gentle = make({{"lambda", "0.15"}});
  const auto gain = [&](const ServerState& state) {
    return model_->quality(Purpose::measure, sums(*model_, Purpose::measure, state)).ndcg_at_10;
  };
  ServerState popular = model_->initial();
  std::vector<float>& factors = popular.shared.find("item_factors")->values;
  std::ranges::fill(factors, 0.0F);
  for (const auto& own : training_) {
    for (const Observation& event : own) factors[6 * event.item] += 1;
  }
  EXPECT_GT(gain(trained(*gentle, 12)), gain(popular));
}

TEST_F(BprTest, ExplanationsAddUpToTheScore) {
  expect_exact_explanations(*model_, trained(*model_, 3));
}

TEST_F(BprTest, NonFiniteSumsAreRefusedWithTheirItem) {
  expect_refusal_of_non_finite_sums(*model_);
}

TEST_F(BprTest, NothingIsClippedAndLittleIsRounded) {
  ServerState exact = trained(*model_, 3);
  ServerState encoded = exact;
  ring::EncodeCounts counts;
  advance(*model_, exact, Purpose::train);
  const Status stepped =
      model_->step(Purpose::train, encoded, ring_sums(*model_, Purpose::train, encoded, counts), training_.size());
  ASSERT_TRUE(stepped.has_value());
  EXPECT_EQ(counts.clipped, 0U);
  EXPECT_LT((factors_of(exact) - factors_of(encoded)).cwiseAbs().maxCoeff(), 1e-2);
}

TEST_F(BprTest, HeldOutEventsAreNegativesLikeAllOthers) {
  const ServerState state = trained(*model_, 2);
  ring::Contribution with;
  ring::Contribution without;
  model_->contribute(Purpose::train, state.shared, data(0), with);
  model_->contribute(Purpose::train, state.shared, {.training = training_[0], .held_out = {}}, without);
  EXPECT_EQ(with.items, without.items);
  EXPECT_EQ(with.rows, without.rows);
  for (const Observation& event : held_out_[0]) {
    EXPECT_TRUE(std::ranges::binary_search(with.items, event.item));  // 256 draws of some thirty items
  }
}

TEST_F(BprTest, PeopleWithoutEventsOrWithAllItemsScoreByTheBiases) {
  const ServerState state = trained(*model_, 2);
  std::vector<Observation> everything;
  for (std::uint32_t i = 0; i < kItems; ++i) everything.push_back({.item = i, .value = 1});
  ring::Contribution contribution;
  for (const LocalData& none : {LocalData{}, LocalData{.training = everything, .held_out = {}}}) {
    model_->contribute(Purpose::train, state.shared, none, contribution);
    EXPECT_TRUE(contribution.items.empty());
    EXPECT_EQ(std::ranges::count(contribution.dense, 0.0), std::ssize(contribution.dense));
    const PrivateState mine = model_->solve(state.shared, none);
    for (std::uint32_t i = 0; i < kItems; ++i) {
      EXPECT_EQ(model_->score(state.shared, mine, i), factors_of(state)(i, 0));
    }
    const Explanation explanation = model_->explain(state.shared, none, 3);
    ASSERT_EQ(explanation.parts.size(), 1U);
    EXPECT_EQ(explanation.parts[0].kind, ScorePart::Kind::item);
  }
}

TEST_F(BprTest, DegeneratePeopleLeaveEverythingFinite) {
  // Everybody has the same one event, and most items none; the rank is above all of that.
  const auto wide = make({{"rank", "30"}});
  for (auto& own : training_) own = {{.item = 3, .value = 1}};
  for (auto& own : held_out_) own.clear();
  const ServerState state = trained(*wide, 12);
  expect_finite_scores(*wide, state);
  const PrivateState mine = wide->solve(state.shared, data(0));
  for (std::uint32_t i = 0; i < kItems; ++i) {
    if (i == 3) continue;
    EXPECT_LT(wide->score(state.shared, mine, i), wide->score(state.shared, mine, 3));
  }
}

TEST_F(BprTest, EqualFactorsAreASingularSystemWithAnAnswer) {
  ServerState state = trained(*model_, 1);
  std::ranges::fill(state.shared.find("item_factors")->values, 0.5F);
  expect_finite_scores(*model_, state);
  std::ranges::fill(state.shared.find("item_factors")->values, 1e30F);
  state.shared.find("item_factors")->values[40] = -1e30F;
  expect_finite_scores(*model_, state);
}

TEST_F(BprTest, ARoundOfNobodyChangesNoFactor) {
  ServerState state = trained(*model_, 2);
  const MatrixXd before = factors_of(state);
  for (auto& own : training_) own.clear();
  advance(*model_, state, Purpose::survey);
  advance(*model_, state, Purpose::train);
  EXPECT_EQ(factors_of(state), before);
  EXPECT_EQ(model_->training_rounds(state.shared), 3U);
}

TEST_F(BprTest, ALongerCatalogueKeepsItsFactorsAndTrains) {
  ServerState state = trained(*model_, 2);
  const MatrixXd before = factors_of(state);
  const auto longer = make({}, kItems + 5);
  longer->grow(state);
  ASSERT_TRUE(longer->check_shared(state.shared).has_value());
  EXPECT_EQ(factors_of(state).topRows(kItems), before);
  advance(*longer, state, Purpose::train);
}

TEST_F(BprTest, WhatItCannotLearnFromIsRefused) {
  contract_.feedback = dataset::Feedback::ratings;
  EXPECT_THAT(try_make({}).error().to_string(), HasSubstr("learns from events"));
  contract_.feedback = dataset::Feedback::events;
  EXPECT_THAT(try_make({{"negatives", "0"}}).error().to_string(), HasSubstr("negatives"));
  EXPECT_THAT(try_make({{"lamda", "1"}}).error().to_string(), HasSubstr("it has: rank, lambda_user"));
  EXPECT_FALSE(try_make({}, 0).has_value());
  ServerState state = model_->initial();
  state.shared.find("popularity")->values[5] = -1;
  EXPECT_EQ(model_->check_shared(state.shared).error().code(), ErrorCode::wrong_model);
}

}  // namespace
}  // namespace chorus::model::testing_ratings
