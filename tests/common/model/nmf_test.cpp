#include "common/model/nmf/nonnegative.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/common/model/rating_family_fixture.hpp"

namespace chorus::model::testing_ratings {
namespace {

constexpr Index kRank = 4;
constexpr double kLambda = 3;
constexpr double kNoise = 0.6;
constexpr double kRate = 0.9;

class NmfTest : public RatingFamilyTest {
 protected:
  NmfTest() : RatingFamilyTest("nmf", {{"rank", "4"}, {"lambda", "3"}, {"rate", "0.9"}}) {}
};

const std::vector<float>& values(const ServerState& state, std::string_view name) {
  return state.shared.find(name)->values;
}

MatrixXd matrix(const ServerState& state, std::string_view name) {
  const Tensor& tensor = *state.shared.find(name);
  MatrixXd m(Index{tensor.rows}, Index{tensor.columns});
  for (Index row = 0; row < m.rows(); ++row) {
    for (Index column = 0; column < m.cols(); ++column) {
      m(row, column) = double{tensor.values[static_cast<std::size_t>(row * m.cols() + column)]};
    }
  }
  return m;
}

double objective(const MatrixXd& m, const VectorXd& b, const VectorXd& x) {
  return 0.5 * x.dot(m * x) - b.dot(x);
}

// The best of the solutions on all supports that is non-negative.
VectorXd exhaustive(const MatrixXd& m, const VectorXd& b) {
  VectorXd best = VectorXd::Zero(b.size());
  for (unsigned support = 1; support < 1U << b.size(); ++support) {
    std::vector<Index> kept;
    for (Index k = 0; k < b.size(); ++k) {
      if ((support >> k & 1U) != 0) kept.push_back(k);
    }
    const VectorXd inner = m(kept, kept).ldlt().solve(b(kept));
    if (inner.minCoeff() < 0) continue;
    VectorXd x = VectorXd::Zero(b.size());
    x(kept) = inner;
    if (objective(m, b, x) < objective(m, b, best)) best = x;
  }
  return best;
}

std::vector<double> flat(const MatrixXd& m) {
  return {m.data(), m.data() + m.size()};  // symmetric: the order does not matter
}

TEST_F(NmfTest, NonNegativeLeastSquaresFindsTheBestOfAllSupports) {
  constexpr std::uint64_t kSeed = 5;
  sim::SeededRandom random(kSeed);
  const auto uniform = [&random] { return static_cast<double>(random.below(2'000'001)) / 1e6 - 1; };
  for (int turn = 0; turn < 300; ++turn) {
    const Index d = 1 + turn % 6;
    MatrixXd a(d + 2, d);
    VectorXd b(d);
    for (Index k = 0; k < a.size(); ++k) a.data()[k] = uniform();
    for (Index k = 0; k < d; ++k) b(k) = uniform();
    const MatrixXd m = a.transpose() * a + 0.3 * MatrixXd::Identity(d, d);
    std::vector<double> x(static_cast<std::size_t>(d), 0.5);
    ASSERT_TRUE(nmf::solve_nonnegative(flat(m), {b.data(), b.data() + d}, x));
    const VectorXd best = exhaustive(m, b);
    for (Index k = 0; k < d; ++k) EXPECT_NEAR(x[static_cast<std::size_t>(k)], best(k), 1e-9) << "seed " << kSeed;
  }
}

TEST_F(NmfTest, ASystemThatIsNotPositiveDefiniteIsRefused) {
  std::vector<double> x(2, 1.0);
  EXPECT_FALSE(nmf::solve_nonnegative(std::vector<double>{1, -2, -2, 1}, std::vector<double>{1, 1}, x));
  x = {1, 1};
  EXPECT_FALSE(nmf::solve_nonnegative(std::vector<double>{0, 0, 0, 1}, std::vector<double>{1, 1}, x));
  std::vector<double> diagonal(2);
  EXPECT_FALSE(nmf::inverse_diagonal(std::vector<double>{1, 2, 2, 1}, diagonal));
}

TEST_F(NmfTest, TheInverseDiagonalIsThatOfTheInverse) {
  MatrixXd a(3, 3);
  a << 4, 1, -0.5, 1, 3, 0.25, -0.5, 0.25, 2;
  std::vector<double> diagonal(3);
  ASSERT_TRUE(nmf::inverse_diagonal(flat(a), diagonal));
  for (Index k = 0; k < 3; ++k) EXPECT_NEAR(diagonal[static_cast<std::size_t>(k)], a.inverse()(k, k), 1e-12);
}

// A device's part, by the definition: nmf.hpp.
struct Person {
  MatrixXd m;
  VectorXd p;
  VectorXd s;
  VectorXd residuals;
};

Person person(const MatrixXd& q, const MatrixXd& v, const VectorXd& mean, double unit, double noise,
              const std::vector<Observation>& ratings) {
  Person person{.m = kLambda * MatrixXd::Identity(q.cols(), q.cols()), .p = {}, .s = {}, .residuals = {}};
  VectorXd b = kLambda * mean;
  for (const Observation& rating : ratings) {
    person.m += q.row(rating.item).transpose() * q.row(rating.item);
    person.m += MatrixXd(v.row(rating.item).asDiagonal());
    b += q.row(rating.item).transpose() * (double{rating.value} / unit);
  }
  person.p = exhaustive(person.m, b);
  person.s = noise * person.m.inverse().diagonal();
  person.residuals.resize(static_cast<Index>(ratings.size()));
  for (std::size_t r = 0; r < ratings.size(); ++r) {
    person.residuals(static_cast<Index>(r)) =
        double{ratings[r].value} / unit - q.row(ratings[r].item).dot(person.p.transpose());
  }
  return person;
}

TEST_F(NmfTest, AStepIsTheNaiveDoubleImplementation) {
  ASSERT_GE(contract_.minimum, 0);
  ServerState state = trained(*model_, 1);
  MatrixXd q = matrix(state, "item_factors");
  MatrixXd v = matrix(state, "item_variances");
  MatrixXd means = matrix(state, "means");
  const double unit = double{values(state, "scale")[1]};
  ASSERT_GT(unit, double{values(state, "scale")[0]} / 8);
  for (int round = 0; round < 4; ++round) {
    MatrixXd g = MatrixXd::Zero(kItems, kRank);
    MatrixXd h = MatrixXd::Zero(kItems, kRank);
    MatrixXd c = MatrixXd::Zero(kRank, kRank);
    VectorXd n = VectorXd::Zero(kItems);
    VectorXd factors = VectorXd::Zero(kRank);
    for (const auto& ratings : training_) {
      const Person u = person(q, v, means.row(0), unit, kNoise, ratings);
      for (std::size_t r = 0; r < ratings.size(); ++r) {
        const std::uint32_t i = ratings[r].item;
        g.row(i) += u.residuals(static_cast<Index>(r)) * u.p.transpose();
        g.row(i) -= u.s.cwiseProduct(q.row(i).transpose()).transpose();
        h.row(i) += (u.p.cwiseAbs2() + u.s).transpose();
        n(i) += 1;
      }
      c += static_cast<double>(ratings.size()) * (u.p * u.p.transpose() + MatrixXd(u.s.asDiagonal()));
      factors += u.p;
    }
    const VectorXd inverse = c.diagonal().cwiseSqrt().cwiseInverse();
    c = inverse.asDiagonal() * c * inverse.asDiagonal();
    VectorXd total = VectorXd::Zero(kRank);
    for (Index i = 0; i < kItems; ++i) {
      const VectorXd root = h.row(i).cwiseSqrt();
      const MatrixXd m = root.asDiagonal() * c * root.asDiagonal() + kLambda * MatrixXd::Identity(kRank, kRank);
      const VectorXd old = q.row(i);
      const VectorXd b = g.row(i).transpose() - kLambda * (old - means.row(1).transpose()) + m * old;
      q.row(i) += kRate * (exhaustive(m, b) - old).transpose();
      v.row(i) = kNoise * m.inverse().diagonal().transpose();
      if (n(i) > 0) total += q.row(i).transpose();
    }
    means.row(0) = factors.transpose() / 60;
    means.row(1) = total.transpose() / static_cast<double>((n.array() > 0).count());

    advance(*model_, state, Purpose::train);
    EXPECT_LT((matrix(state, "item_factors") - q).cwiseAbs().maxCoeff(), 1e-6) << round;
    EXPECT_LT((matrix(state, "item_variances") - v).cwiseAbs().maxCoeff(), 1e-6) << round;
    EXPECT_LT((matrix(state, "means") - means).cwiseAbs().maxCoeff(), 1e-6) << round;
    for (Index i = 0; i < kItems; ++i) {
      EXPECT_EQ(model_->popularity(state.shared)[static_cast<std::size_t>(i)], static_cast<float>(n(i)));
    }
  }
  EXPECT_EQ(model_->training_rounds(state.shared), 5U);
}

TEST_F(NmfTest, GradientsAreThoseOfThePenalisedSquaredLoss) {
  // p_u minimises the loss over p ≥ 0, so d loss / d q_i = −2 e_ui p_u (the envelope theorem); without noise that is
  // the upload.
  const auto quiet = make({{"noise", "0"}});
  const ServerState state = trained(*quiet, 3);
  MatrixXd q = matrix(state, "item_factors");
  const MatrixXd v = matrix(state, "item_variances");
  const VectorXd mean = matrix(state, "means").row(0);
  const double unit = double{values(state, "scale")[1]};
  for (const std::size_t user : {0UL, 7UL, 33UL}) {
    ring::Contribution contribution;
    quiet->contribute(Purpose::train, state.shared, data(user), contribution);
    const auto& ratings = training_[user];
    ASSERT_EQ(contribution.items.size(), ratings.size());
    for (std::size_t r = 0; r < ratings.size(); ++r) {
      for (Index k = 0; k < kRank; ++k) {
        double& coordinate = q(ratings[r].item, k);
        const double kept = coordinate;
        const auto loss = [&](double value) {
          coordinate = value;
          const Person u = person(q, v, mean, unit, 0, ratings);
          return u.residuals.squaredNorm() + kLambda * (u.p - mean).squaredNorm();
        };
        const double h = 1e-5;
        const double slope = (loss(kept + h) - loss(kept - h)) / (2 * h);
        coordinate = kept;
        EXPECT_NEAR(contribution.rows[r * 9 + static_cast<std::size_t>(k)], -slope / 2, 1e-6) << user << ' ' << r;
      }
      EXPECT_EQ(contribution.rows[r * 9 + 8], 1);
    }
  }
}

TEST_F(NmfTest, FactorsAreNeverNegativeAndSomeAreZero) {
  // Two kinds of people, of whom each says "zero" to what the other likes.
  contract_.minimum = 0;
  contract_.step = 0;
  for (std::size_t u = 0; u < training_.size(); ++u) {
    for (Observation& rating : training_[u]) rating.value = rating.item % 2 == u % 2 ? contract_.maximum : 0;
  }
  const auto polar = make({{"lambda", "0.1"}});
  const ServerState state = trained(*polar, 12);
  const auto& factors = values(state, "item_factors");
  EXPECT_GE(std::ranges::min(factors), 0);
  EXPECT_GT(std::ranges::count(factors, 0.0F), 0);
  EXPECT_GT(polar->score(state.shared, polar->solve(state.shared, data(0)), 2), 0.8 * double{contract_.maximum});
  EXPECT_LT(polar->score(state.shared, polar->solve(state.shared, data(0)), 3), 0.2 * double{contract_.maximum});
}

TEST_F(NmfTest, TrainingPredictsHeldOutRatingsBetterThanTheMean) {
  const double before = held_out_rmse(*model_, trained(*model_, 0));
  const double after = held_out_rmse(*model_, trained(*model_, 16));
  EXPECT_LT(after, 0.97 * before);
}

TEST_F(NmfTest, ExplanationsAddUpToTheScore) {
  // With little shrinkage people have factors of zero too.
  const auto loose = make({{"rank", "8"}, {"lambda", "0.5"}});
  const ServerState state = trained(*loose, 8);
  std::ptrdiff_t zeros = 0;
  for (std::size_t u = 0; u < training_.size(); ++u)
    zeros += std::ranges::count(loose->solve(state.shared, data(u)).factor, 0.0);
  EXPECT_GT(zeros, 0);
  expect_exact_explanations(*loose, state);
  training_[3].clear();  // without ratings: what a person with the mean factor would say
  expect_exact_explanations(*loose, state);
}

TEST_F(NmfTest, TheRatingThatIsExplainedAwayIsTheOneThatMovesTheScore) {
  // While nobody's support changes, a rating's part grows linearly with it.
  const ServerState state = trained(*model_, 6);
  const auto part = [&](std::size_t r) { return model_->explain(state.shared, data(5), 11).parts[2 + r].amount; };
  const double before = part(2);
  const double score = model_->explain(state.shared, data(5), 11).score;
  training_[5][2].value += 0.01F;
  EXPECT_NEAR(model_->explain(state.shared, data(5), 11).score - score, part(2) - before, 1e-6);
  EXPECT_NE(part(2), before);
}

TEST_F(NmfTest, FixedPointSumsGiveNearlyTheSameModelAndClipNothing) {
  ServerState exact = trained(*model_, 0);
  ServerState plain = exact;
  for (int round = 0; round < 5; ++round) {
    advance(*model_, exact, Purpose::train);
    ring::EncodeCounts counts;
    const auto numbers = ring_sums(*model_, Purpose::train, plain, counts);
    EXPECT_EQ(counts.clipped, 0U);
    ASSERT_TRUE(model_->step(Purpose::train, plain, numbers, training_.size()).has_value());
  }
  for (std::size_t k = 0; k < values(exact, "item_factors").size(); ++k) {
    EXPECT_NEAR(values(exact, "item_factors")[k], values(plain, "item_factors")[k], 4e-3);
  }
}

TEST_F(NmfTest, TheSurveySizesTheFactorsSoThatTheyGiveTheMeanRating) {
  const auto flat_model = make({{"initial_spread", "0"}});
  const ServerState state = trained(*flat_model, 0);
  const PrivateState nobody = flat_model->solve(state.shared, {});
  for (std::uint32_t i = 0; i < kItems; ++i) {
    EXPECT_NEAR(flat_model->score(state.shared, nobody, i), double{values(state, "scale")[0]}, 1e-4);
  }
}

TEST_F(NmfTest, AGrownStateHasItsOldRowsAndFreshNewOnes) {
  ServerState state = trained(*model_, 2);
  const ServerState before = state;
  const auto longer = make({}, kItems + 9);
  EXPECT_EQ(longer->check_shared(state.shared).error().code(), ErrorCode::wrong_model);
  longer->grow(state);
  ASSERT_TRUE(longer->check_shared(state.shared).has_value());
  const auto& grown = values(state, "item_factors");
  for (std::size_t k = 0; k < values(before, "item_factors").size(); ++k) {
    EXPECT_EQ(grown[k], values(before, "item_factors")[k]);
  }
  EXPECT_GT(grown.back(), 0);
  EXPECT_EQ(longer->popularity(state.shared)[kItems], 0.0F);
  advance(*longer, state, Purpose::train);
}

TEST_F(NmfTest, ItemsThatNobodyRatedGetTheMeanFactor) {
  for (auto& ratings : training_) std::erase_if(ratings, [](const Observation& rating) { return rating.item == 3; });
  const auto whole = make({{"rate", "1"}});
  ServerState state = trained(*whole, 3);
  const MatrixXd mean = matrix(state, "means").row(1);
  advance(*whole, state, Purpose::train);
  EXPECT_LT((matrix(state, "item_factors").row(3) - mean).cwiseAbs().maxCoeff(), 1e-6);
  expect_finite_scores(*whole, state);
}

TEST_F(NmfTest, ConstantRatingsOneRatingEachAndRanksAboveThemStayFinite) {
  for (auto& ratings : training_) {
    for (Observation& rating : ratings) rating.value = contract_.maximum;
  }
  const auto wide = make({{"rank", "32"}, {"lambda", "0.01"}});
  ServerState state = trained(*wide, 6);
  expect_finite_scores(*wide, state);
  EXPECT_NEAR(held_out_rmse(*wide, state), 0, 3);
  for (auto& ratings : training_) ratings.resize(1);
  state = trained(*wide, 6);
  expect_finite_scores(*wide, state);
  expect_exact_explanations(*wide, state);
  const auto narrow = make({{"rank", "1"}});
  expect_finite_scores(*narrow, trained(*narrow, 6));
  for (auto& ratings : training_) ratings.clear();
  expect_finite_scores(*wide, trained(*wide, 2));
}

TEST_F(NmfTest, AScaleBelowZeroIsShiftedToBeginAtZero) {
  contract_.minimum = -10;
  contract_.maximum = 10;
  contract_.step = 0;
  for (auto& ratings : training_) {
    for (Observation& rating : ratings) rating.value = rating.value * 4 - 12;
  }
  const auto shifted = make({});
  const ServerState state = trained(*shifted, 4);
  expect_finite_scores(*shifted, state);
  expect_exact_explanations(*shifted, state);
  EXPECT_EQ(shifted->explain(state.shared, data(0), 0).parts[0].amount, -10);
  // Everybody at the very bottom of the scale: a mean of zero.
  for (auto& ratings : training_) {
    for (Observation& rating : ratings) rating.value = -10;
  }
  expect_finite_scores(*shifted, trained(*shifted, 4));
}

TEST_F(NmfTest, NonFiniteSumsAreRefusedWithTheItem) {
  expect_refusal_of_non_finite_sums(*model_);
}

TEST_F(NmfTest, SumsThatAHostileDeviceMadeNegativeOrHugeNeverPublishANaN) {
  const ServerState before = trained(*model_, 2);
  for (const double huge : {-1e6, 1e6, -1e300, 1e300}) {
    ServerState state = before;
    auto total = sums(*model_, Purpose::train, state);
    for (auto& tensor : total) {
      for (std::size_t k = 0; k < tensor.size(); k += 3) tensor[k] = huge;
    }
    if (model_->step(Purpose::train, state, total, 60)) {
      EXPECT_TRUE(model_->check_shared(state.shared).has_value()) << huge;
    } else {
      EXPECT_EQ(state.shared, before.shared);
    }
  }
}

TEST_F(NmfTest, APublishedModelWithNegativeFactorsIsNotOurs) {
  ServerState state = trained(*model_, 1);
  state.shared.find("item_factors")->values[5 * 4] = -0.5F;
  EXPECT_EQ(model_->check_shared(state.shared).error().code(), ErrorCode::wrong_model);
  EXPECT_THAT(model_->check_shared(state.shared).error().to_string(), HasSubstr("item 5"));
  state.shared.find("item_factors")->values[5 * 4] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(model_->check_shared(state.shared).error().code(), ErrorCode::non_finite);
}

TEST_F(NmfTest, APublishedModelOfHugeNumbersGivesFiniteUploads) {
  ServerState state = trained(*model_, 1);
  for (float& value : state.shared.find("item_factors")->values) value *= 1e18F;
  ASSERT_TRUE(model_->check_shared(state.shared).has_value());
  ring::Contribution contribution;
  model_->contribute(Purpose::train, state.shared, data(0), contribution);
  for (const double number : contribution.rows) EXPECT_TRUE(std::isfinite(number));
  for (const double number : contribution.dense) EXPECT_TRUE(std::isfinite(number));
}

TEST_F(NmfTest, MetricsOfARoundAreThoseOfTheScores) {
  const ServerState state = trained(*model_, 2);
  for (const Purpose purpose : {Purpose::train, Purpose::measure}) {
    const Quality quality = model_->quality(purpose, sums(*model_, purpose, state));
    EXPECT_EQ(quality.devices, 60U);
    EXPECT_NEAR(quality.held_out_rmse, held_out_rmse(*model_, state), 1e-9);
    EXPECT_GT(quality.training_rmse, 0);
  }
}

TEST_F(NmfTest, WrongSettingsAndEventsAreRefused) {
  EXPECT_THAT(try_make({{"lambda", "x"}}).error().to_string(), HasSubstr("lambda"));
  EXPECT_THAT(try_make({{"momentum", "0.3"}}).error().to_string(), HasSubstr("initial_spread"));
  contract_.feedback = dataset::Feedback::events;
  EXPECT_FALSE(try_make({}).has_value());
}

}  // namespace
}  // namespace chorus::model::testing_ratings
