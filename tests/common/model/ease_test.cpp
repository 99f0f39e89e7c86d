#include "common/model/ease/ease.hpp"

#include <set>

#include "common/model/ease/digits.hpp"
#include "common/model/ease/symmetric_inverse.hpp"
#include "tests/common/model/rating_family_fixture.hpp"

namespace chorus::model::testing_ratings {
namespace {

constexpr double kLambda = 3;

class EaseTest : public RatingFamilyTest {
 protected:
  EaseTest() : RatingFamilyTest("ease", {{"lambda", "3"}}, dataset::Feedback::events) {}

  // [people × items], 1 where there is an event.
  MatrixXd events() const {
    MatrixXd x = MatrixXd::Zero(static_cast<Index>(training_.size()), kItems);
    for (std::size_t u = 0; u < training_.size(); ++u) {
      for (const Observation& event : training_[u]) x(static_cast<Index>(u), event.item) = 1;
    }
    return x;
  }
};

// The same with everybody's events in one place, as the paper has it.
MatrixXd weights_of(const MatrixXd& x, double lambda) {
  const MatrixXd gram = x.transpose() * x + lambda * MatrixXd::Identity(x.cols(), x.cols());
  const MatrixXd p = gram.ldlt().solve(MatrixXd::Identity(x.cols(), x.cols()));
  MatrixXd b = -p * p.diagonal().cwiseInverse().asDiagonal();
  b.diagonal().setZero();
  return b;
}

double lambda_of(const ServerState& state) {
  return double{state.shared.find("scale")->values[0]};
}

TEST(EasePairs, EveryPairHasOnePlaceOfItsOwn) {
  for (const std::size_t items : {1U, 2U, 3U, 4U, 7U, 8U}) {
    const ease::Pairs pairs(items);
    std::set<std::size_t> taken;
    for (std::size_t i = 0; i < items; ++i) {
      EXPECT_EQ(pairs.index(i, i), i * pairs.width());
      for (std::size_t j = 0; j <= i; ++j) {
        EXPECT_EQ(pairs.index(i, j), pairs.index(j, i));
        const auto place = pairs.place(i, j);
        EXPECT_TRUE(place.row == i || place.row == j);
        EXPECT_LT(place.column, pairs.width());
        EXPECT_TRUE(taken.insert(pairs.index(i, j)).second) << items << ": " << i << ", " << j;
      }
    }
  }
}

TEST(EaseDigits, SumsOfDigitsAreTheDigitsOfTheSum) {
  const std::vector<double> one = {1, 1, 0.630929753571457437, 10'000, 1'000'000, 1};
  const std::vector<double> other = {1, 0, 0, 31, 0, 1};
  std::vector<double> sums(ease::kMetricNumbers, 0.0);
  for (const auto& metrics : {one, other}) {
    std::vector<double> digits(ease::kMetricNumbers, -1.0);
    ease::write_digits(metrics, digits);
    for (std::size_t k = 0; k < digits.size(); ++k) {
      EXPECT_EQ(digits[k], std::floor(digits[k]));
      EXPECT_GE(digits[k], 0);
      EXPECT_LE(digits[k], ease::kGreatestDigit);
      sums[k] += digits[k];
    }
  }
  const std::vector<double> read = ease::read_digits(sums);
  for (std::size_t m = 0; m < one.size(); ++m) EXPECT_NEAR(read[m], one[m] + other[m], 1e-6) << m;
}

TEST(SymmetricInverse, IsTheInverseInWhateverNumberOfBlocks) {
  for (const std::size_t n : {1U, 5U, 63U, 64U, 65U, 130U, 300U}) {
    const auto size = static_cast<Index>(n);
    MatrixXd x(size + 20, size);
    for (Index row = 0; row < x.rows(); ++row) {
      for (Index column = 0; column < size; ++column)
        x(row, column) = std::sin(static_cast<double>((row + 3) * (column + 5) * (row + column)));
    }
    const MatrixXd a = x.transpose() * x + 0.1 * MatrixXd::Identity(size, size);
    ease::SymmetricMatrix matrix(n);
    for (Index i = 0; i < size; ++i) {
      for (Index j = i; j < size; ++j) matrix.at(static_cast<std::size_t>(i), static_cast<std::size_t>(j)) = a(i, j);
    }
    ASSERT_TRUE(matrix.invert()) << n;
    MatrixXd inverse(size, size);
    for (Index i = 0; i < size; ++i) {
      for (Index j = i; j < size; ++j) {
        inverse(i, j) = inverse(j, i) = matrix.at(static_cast<std::size_t>(i), static_cast<std::size_t>(j));
      }
    }
    EXPECT_LT((a * inverse - MatrixXd::Identity(size, size)).cwiseAbs().maxCoeff(), 1e-9) << n;
  }
}

TEST(SymmetricInverse, SaysThatAMatrixIsNotPositiveDefinite) {
  for (const double bad : {-1.0, 0.0, std::numeric_limits<double>::quiet_NaN()}) {
    ease::SymmetricMatrix matrix(100);
    for (std::size_t i = 0; i < matrix.size(); ++i) matrix.at(i, i) = i == 80 ? bad : 1;
    EXPECT_FALSE(matrix.invert()) << bad;
  }
}

TEST_F(EaseTest, OneRoundIsTheClosedForm) {
  // An odd and an even number of items: in the second, two items face each other across the ring.
  for (const std::uint32_t items : {kItems, kItems + 1}) {
    const auto model = make({}, items);
    const ServerState state = trained(*model, 1);
    MatrixXd x = MatrixXd::Zero(static_cast<Index>(training_.size()), Index{items});
    x.leftCols(kItems) = events();
    const MatrixXd b = weights_of(x, kLambda);
    for (std::size_t u = 0; u < training_.size(); ++u) {
      const VectorXd wanted = (x.row(static_cast<Index>(u)) * b).transpose();
      const PrivateState mine = model->solve(state.shared, data(u));
      for (std::uint32_t i = 0; i < items; ++i) ASSERT_NEAR(model->score(state.shared, mine, i), wanted[i], 1e-6);
    }
    EXPECT_EQ(state.shared.find("popularity")->values[3], static_cast<float>(x.col(3).sum()));
    EXPECT_EQ(model->training_rounds(state.shared), 1U);
  }
}

TEST_F(EaseTest, TheRidgeComesFromHowEventsSpread) {
  const auto model = make({{"lambda", "auto"}});
  const ServerState state = trained(*model, 1);
  const MatrixXd x = events();
  const double of_users = x.rowwise().sum().squaredNorm() / x.sum();
  const double of_items = x.colwise().sum().squaredNorm() / x.sum();
  EXPECT_NEAR(lambda_of(state), 1.2 * std::sqrt(of_users * of_items), 1e-4);
  EXPECT_EQ(lambda_of(trained(*model_, 1)), kLambda);
}

TEST_F(EaseTest, ARoundOfAThirdOfThePeopleIsShrunkByAThird) {
  const auto model = make({{"lambda", "auto"}});
  const auto few = training_;
  const double of_few = lambda_of(trained(*model, 1));
  for (int copies = 1; copies < 9; ++copies) {
    training_.insert(training_.end(), few.begin(), few.end());
    held_out_.resize(training_.size());
  }
  // Nine times the people like them: s_I is nine times as large, s_U as before.
  EXPECT_NEAR(lambda_of(trained(*model, 1)), 3 * of_few, 1e-3 * of_few);
}

TEST_F(EaseTest, ASecondRoundStartsFromItsOwnSumAlone) {
  ServerState state = trained(*model_, 1);
  const auto first = *state.shared.find("precision");
  advance(*model_, state, Purpose::train);
  EXPECT_EQ(*state.shared.find("precision"), first);
  EXPECT_EQ(model_->training_rounds(state.shared), 2U);
}

TEST_F(EaseTest, ExplanationsAddUpToTheScore) {
  expect_exact_explanations(*model_, trained(*model_, 1));
}

TEST_F(EaseTest, NonFiniteSumsAreRefusedWithTheirItem) {
  expect_refusal_of_non_finite_sums(*model_);
}

TEST_F(EaseTest, NothingIsClippedOrRounded) {
  for (const char* bits : {"16", "24", "32"}) {
    const auto model = make({{"bits", bits}});
    ServerState exact = trained(*model, 1);
    ServerState encoded = exact;
    ring::EncodeCounts counts;
    advance(*model, exact, Purpose::train);
    const auto sum = ring_sums(*model, Purpose::train, encoded, counts);
    ASSERT_TRUE(model->step(Purpose::train, encoded, sum, training_.size()).has_value());
    EXPECT_EQ(counts.clipped, 0U);
    EXPECT_EQ(encoded.shared, exact.shared);
    EXPECT_NEAR(model->quality(Purpose::train, sum).ndcg_at_10,
                model->quality(Purpose::train, sums(*model, Purpose::train, encoded)).ndcg_at_10, 1e-5);
  }
}

TEST_F(EaseTest, HowOftenSomethingHappenedDoesNotCount) {
  const ServerState state = trained(*model_, 1);
  for (auto& own : training_) {
    for (Observation& event : own) event.value = 400;
  }
  EXPECT_EQ(trained(*model_, 1).shared, state.shared);
}

TEST_F(EaseTest, HeldOutEventsRankBetterThanByChance) {
  const ServerState state = trained(*make({{"lambda", "auto"}}), 1);
  for (const Purpose purpose : {Purpose::train, Purpose::measure}) {
    const Quality quality = model_->quality(purpose, sums(*model_, purpose, state));
    EXPECT_EQ(quality.devices, training_.size());
    EXPECT_EQ(quality.ranked_devices, training_.size());
    EXPECT_GT(quality.hit_at_10, 0.5);
  }
  // Before the first round all scores are equal, and ties count against the model.
  EXPECT_EQ(model_->quality(Purpose::measure, sums(*model_, Purpose::measure, model_->initial())).hit_at_10, 0);
}

TEST_F(EaseTest, PeopleWithoutEventsContributeNothingAndScoreZero) {
  const ServerState state = trained(*model_, 1);
  ring::Contribution contribution;
  for (const Purpose purpose : {Purpose::train, Purpose::measure}) {
    model_->contribute(purpose, state.shared, {}, contribution);
    EXPECT_TRUE(contribution.items.empty());
    EXPECT_EQ(std::ranges::count(contribution.dense, 0.0), std::ssize(contribution.dense));
  }
  std::vector<float> scores(kItems, 7);
  model_->score_all(state.shared, model_->solve(state.shared, {}), scores);
  EXPECT_EQ(std::ranges::count(scores, 0.0F), kItems);
  EXPECT_TRUE(model_->explain(state.shared, {}, 3).parts.empty());
}

TEST_F(EaseTest, DegeneratePeopleLeaveEverythingFinite) {
  const auto model = make({{"lambda", "auto"}});
  // Everybody has the same one event, everybody has the same two, nobody has any.
  for (const std::vector<Observation>& all :
       {std::vector<Observation>{{.item = 3, .value = 1}},
        std::vector<Observation>{{.item = 3, .value = 1}, {.item = 23, .value = 1}}, std::vector<Observation>{}}) {
    for (auto& own : training_) own = all;
    for (auto& own : held_out_) own.clear();
    expect_finite_scores(*model, trained(*model, 2));
  }
  // A catalogue of one item, with one event.
  for (auto& own : training_) own = {{.item = 0, .value = 1}};
  const auto single = make({}, 1);
  expect_finite_scores(*single, trained(*single, 1));
}

TEST_F(EaseTest, ABentSumGetsALargerRidgeInsteadOfAFailedRound) {
  ServerState state = model_->initial();
  auto sum = sums(*model_, Purpose::train, state);
  // Pairs that occur far more often than their items, and less than never.
  for (std::size_t k = 0; k < sum[0].size(); ++k) sum[0][k] += k % 2 == 0 ? 1e4 : -1e4;
  const Status stepped = model_->step(Purpose::train, state, sum, training_.size());
  ASSERT_TRUE(stepped.has_value()) << stepped.error().to_string();
  ASSERT_TRUE(model_->check_shared(state.shared).has_value());
  expect_finite_scores(*model_, state);
  EXPECT_GE(lambda_of(state), kLambda);
}

TEST_F(EaseTest, ALongerCatalogueKeepsItsWeightsAndLearnsTheNewOnesInTheNextRound) {
  ServerState state = trained(*model_, 1);
  const ServerState before = state;
  const auto longer = make({}, kItems + 5);
  longer->grow(state);
  ASSERT_TRUE(longer->check_shared(state.shared).has_value());
  for (std::size_t u = 0; u < training_.size(); ++u) {
    const PrivateState mine = longer->solve(state.shared, data(u));
    for (std::uint32_t i = 0; i < kItems; ++i) {
      ASSERT_EQ(longer->score(state.shared, mine, i), model_->score(before.shared, mine, i));
    }
    for (std::uint32_t i = kItems; i < kItems + 5; ++i) ASSERT_EQ(longer->score(state.shared, mine, i), 0);
  }
  for (std::size_t u = 0; u < 30; ++u) training_[u].push_back({.item = kItems + 2, .value = 1});
  advance(*longer, state, Purpose::train);
  EXPECT_EQ(state.shared.find("popularity")->values[kItems + 2], 30);
}

TEST_F(EaseTest, WhatCannotBeAModelIsRefused) {
  const ServerState good = trained(*model_, 1);
  const auto refused = [&](std::size_t index, float value) {
    ServerState state = good;
    state.shared.find("precision")->values[index] = value;
    return model_->check_shared(state.shared).error().code();
  };
  const std::size_t diagonal = ease::Pairs(kItems).index(5, 5);
  EXPECT_EQ(refused(diagonal, 0), ErrorCode::wrong_model);
  EXPECT_EQ(refused(diagonal, -1), ErrorCode::wrong_model);
  EXPECT_EQ(refused(diagonal, 1e30F), ErrorCode::wrong_model);
  EXPECT_EQ(refused(diagonal + 1, 1e3F), ErrorCode::wrong_model);
  EXPECT_EQ(refused(diagonal + 1, std::numeric_limits<float>::quiet_NaN()), ErrorCode::non_finite);
}

TEST_F(EaseTest, WhatItCannotLearnFromIsRefused) {
  EXPECT_THAT(try_make({}, 5'001).error().to_string(), HasSubstr("up to 5000 items, and the catalogue has 5001"));
  EXPECT_TRUE(try_make({}, 5'000).has_value());
  EXPECT_THAT(try_make({{"lambda", "0"}}).error().to_string(), HasSubstr("lambda"));
  EXPECT_THAT(try_make({{"bits", "8"}}).error().to_string(), HasSubstr("16, 24, 32"));
  EXPECT_THAT(try_make({{"rank", "8"}}).error().to_string(), HasSubstr("it has: lambda"));
  EXPECT_FALSE(try_make({}, 0).has_value());
  contract_.feedback = dataset::Feedback::ratings;
  EXPECT_THAT(try_make({}).error().to_string(), HasSubstr("learns from events"));
}

}  // namespace
}  // namespace chorus::model::testing_ratings
