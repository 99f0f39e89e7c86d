#include "common/model/svd/orthonormal.hpp"
#include "tests/common/model/rating_family_fixture.hpp"

namespace chorus::model::testing_ratings {
namespace {

constexpr Index kRank = 3;
constexpr double kLambdaBias = 4;

class SvdTest : public RatingFamilyTest {
 protected:
  SvdTest() : RatingFamilyTest("svd", {{"rank", "3"}, {"lambda_bias", "4"}}) {}
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

// The columns of `y`, row-major.
std::vector<double> flat(const MatrixXd& y) {
  std::vector<double> numbers;
  for (Index i = 0; i < y.rows(); ++i) {
    for (Index k = 0; k < y.cols(); ++k) numbers.push_back(y(i, k));
  }
  return numbers;
}

// All rows of the centred and imputed matrix, from the published numbers alone, as one dense matrix.
struct Dense {
  MatrixXd imputed;  // X̃, [users × items]
  MatrixXd places;   // p_u, [users × d]
  VectorXd biases;   // b_u
  double spread = 0;
  double ratings = 0;
};

Dense dense_matrix(const std::vector<std::vector<Observation>>& training, const MatrixXd& v, const VectorXd& c,
                   const VectorXd& weights, double mean, double deviation, bool trained) {
  const auto users = static_cast<Index>(training.size());
  Dense dense{.imputed = {}, .places = MatrixXd::Zero(users, v.cols()), .biases = VectorXd::Zero(users)};
  dense.imputed.resize(users, v.rows());
  for (Index u = 0; u < users; ++u) {
    const auto& ratings = training[static_cast<std::size_t>(u)];
    const auto n = static_cast<double>(ratings.size());
    double total = 0;
    for (const Observation& rating : ratings) total += (double{rating.value} - mean) / deviation - c(rating.item);
    dense.biases(u) = total / (n + kLambdaBias);
    const auto x = [&](const Observation& rating) {
      return (double{rating.value} - mean) / deviation - c(rating.item) - dense.biases(u);
    };
    if (trained) {
      MatrixXd m = weights.asDiagonal();
      VectorXd right = VectorXd::Zero(v.cols());
      for (const Observation& rating : ratings) {
        m += v.row(rating.item).transpose() * v.row(rating.item);
        right += v.row(rating.item).transpose() * x(rating);
      }
      dense.places.row(u) = m.fullPivLu().solve(right).transpose();
    }
    dense.imputed.row(u) = (v * dense.places.row(u).transpose()).transpose();
    for (const Observation& rating : ratings) {
      dense.imputed(u, rating.item) = x(rating);
      dense.spread += x(rating) * x(rating);
      dense.ratings += 1;
    }
  }
  return dense;
}

TEST_F(SvdTest, APassIsTheNaiveSubspaceIterationOfTheDenseMatrix) {
  ServerState state = trained(*model_, 0);
  MatrixXd v = matrix(state, "item_factors");
  VectorXd c = matrix(state, "item_biases");
  VectorXd weights = VectorXd::Ones(kRank);
  const double mean = double{values(state, "scale")[0]};
  const double deviation = double{values(state, "scale")[1]};
  for (int round = 0; round < 5; ++round) {
    const Dense dense = dense_matrix(training_, v, c, weights, mean, deviation, round > 0);
    const MatrixXd y = dense.imputed.transpose() * (dense.imputed * v);
    const Eigen::HouseholderQR<MatrixXd> qr(y);
    const MatrixXd r = qr.matrixQR().topRows(kRank).triangularView<Eigen::Upper>();
    const VectorXd signs = r.diagonal().cwiseSign();
    v = qr.householderQ() * MatrixXd::Identity(kItems, kRank) * signs.asDiagonal();
    VectorXd n = VectorXd::Zero(kItems);
    VectorXd total = VectorXd::Zero(kItems);
    for (std::size_t u = 0; u < training_.size(); ++u) {
      for (const Observation& rating : training_[u]) {
        n(rating.item) += 1;
        total(rating.item) += (double{rating.value} - mean) / deviation - dense.biases(static_cast<Index>(u));
      }
    }
    const double noise = dense.spread / dense.ratings;
    const auto rated = static_cast<double>((n.array() > 0).count());
    weights = noise * std::sqrt(60 * rated) * r.diagonal().cwiseAbs().cwiseInverse();
    c = total.cwiseQuotient(n + VectorXd::Constant(kItems, kLambdaBias));

    advance(*model_, state, Purpose::train);
    EXPECT_LT((matrix(state, "item_factors") - v).cwiseAbs().maxCoeff(), 1e-6) << round;
    EXPECT_LT((matrix(state, "item_biases") - c).cwiseAbs().maxCoeff(), 1e-6) << round;
    EXPECT_LT((matrix(state, "weights").row(0).transpose().cwiseQuotient(weights) - VectorXd::Ones(kRank))
                  .cwiseAbs()
                  .maxCoeff(),
              1e-5)
        << round;
  }
  EXPECT_EQ(model_->training_rounds(state.shared), 5U);
}

TEST_F(SvdTest, WhatADeviceUploadsIsTheGradientOfItsRowsPartInTheSubspace) {
  // Y_u = d/dV ½ |x̃_u V|², with the row x̃_u as it was imputed.
  const ServerState state = trained(*model_, 3);
  MatrixXd v = matrix(state, "item_factors");
  const Dense dense = dense_matrix(training_, v, matrix(state, "item_biases"), matrix(state, "weights").row(0),
                                   double{values(state, "scale")[0]}, double{values(state, "scale")[1]}, true);
  const MatrixXd published = v;
  for (const std::size_t user : {0UL, 7UL, 33UL}) {
    ring::Contribution contribution;
    model_->contribute(Purpose::train, state.shared, data(user), contribution);
    MatrixXd y = MatrixXd::Zero(kItems, kRank);
    for (std::size_t r = 0; r < contribution.items.size(); ++r) {
      for (Index k = 0; k < kRank; ++k) {
        y(contribution.items[r], k) = contribution.rows[r * 5 + 2 + static_cast<std::size_t>(k)];
      }
    }
    const Eigen::Map<const Eigen::Matrix<double, kRank, kRank, Eigen::RowMajor>> imputed(contribution.dense.data());
    y += published * imputed;
    for (Index i = 0; i < kItems; ++i) {
      for (Index k = 0; k < kRank; ++k) {
        const double kept = v(i, k);
        const auto half_square = [&](double value) {
          v(i, k) = value;
          return 0.5 * (dense.imputed.row(static_cast<Index>(user)) * v).squaredNorm();
        };
        const double h = 1e-4;
        const double slope = (half_square(kept + h) - half_square(kept - h)) / (2 * h);
        v(i, k) = kept;
        EXPECT_NEAR(y(i, k), slope, 1e-6) << user << ' ' << i;
      }
    }
  }
}

TEST_F(SvdTest, TheSubspaceIsThatOfTheLargestSingularValuesOfTheImputedMatrix) {
  const ServerState state = trained(*model_, 400);
  const MatrixXd v = matrix(state, "item_factors");
  const Dense dense = dense_matrix(training_, v, matrix(state, "item_biases"), matrix(state, "weights").row(0),
                                   double{values(state, "scale")[0]}, double{values(state, "scale")[1]}, true);
  const Eigen::JacobiSVD<MatrixXd> svd(dense.imputed, Eigen::ComputeThinV);
  const MatrixXd best = svd.matrixV().leftCols(kRank);
  EXPECT_LT((best * best.transpose() - v * v.transpose()).cwiseAbs().maxCoeff(), 1e-2);
  EXPECT_LT((v.transpose() * v - MatrixXd::Identity(kRank, kRank)).cwiseAbs().maxCoeff(), 1e-6);
}

TEST_F(SvdTest, OrthonormalisationIsQrAndSurvivesDependentColumns) {
  MatrixXd y(4, 3);
  y << 1, 2, 1, 0, 1, 5, 2, 0, -1, 1, 1, 1;
  y.col(2) = 2 * y.col(0) - y.col(1);
  const MatrixXd spare = MatrixXd::Identity(4, 3);
  std::vector<double> columns = flat(y);
  const std::vector<double> lengths = svd::orthonormalise(columns, flat(spare), 4, 3);
  const Eigen::Map<const Eigen::Matrix<double, 4, 3, Eigen::RowMajor>> q(columns.data());
  EXPECT_LT((q.transpose() * q - MatrixXd::Identity(3, 3)).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_NEAR(lengths[0], y.col(0).norm(), 1e-12);
  EXPECT_NEAR(lengths[1], (y.col(1) - q.col(0) * q.col(0).dot(y.col(1))).norm(), 1e-12);
  EXPECT_EQ(lengths[2], 0);
  // More columns than rows: the rest is zero.
  std::vector<double> wide = {1, 2, 3, 4, 5, 6};
  const std::vector<double> spares(6, 1.0);
  const std::vector<double> found = svd::orthonormalise(wide, spares, 2, 3);
  EXPECT_EQ(found[2], 0);
  EXPECT_EQ(wide[2], 0);
  EXPECT_EQ(wide[5], 0);
}

TEST_F(SvdTest, TrainingPredictsWhatBiasesAloneCannot) {
  // Two kinds of people, of whom each dislikes what the other likes.
  for (auto* half : {&training_, &held_out_}) {
    for (std::size_t u = 0; u < training_.size(); ++u) {
      for (Observation& rating : (*half)[u]) {
        rating.value = rating.item % 2 == u % 2 ? contract_.maximum : contract_.minimum;
      }
    }
  }
  const double biases = held_out_rmse(*model_, trained(*model_, 0));
  EXPECT_LT(held_out_rmse(*model_, trained(*model_, 16)), 0.5 * biases);
}

TEST_F(SvdTest, ExplanationsAddUpToTheScore) {
  for (const int rounds : {0, 6}) {
    const ServerState state = trained(*model_, rounds);
    expect_exact_explanations(*model_, state);
  }
  training_[3].clear();
  expect_exact_explanations(*model_, trained(*model_, 6));
}

TEST_F(SvdTest, ARatingsPartIsWhatTheScoreLosesWithoutItsSurprise) {
  // The score is linear in a rating, and its part carries the slope.
  const ServerState state = trained(*model_, 6);
  const auto explanation = [&] { return model_->explain(state.shared, data(5), 11); };
  const Explanation before = explanation();
  training_[5][2].value += 0.5F;
  const Explanation after = explanation();
  EXPECT_NEAR(after.score - before.score, after.parts[4].amount - before.parts[4].amount, 1e-9);
  EXPECT_GT(std::abs(after.score - before.score), 1e-4);
  for (std::size_t k = 0; k < before.parts.size(); ++k) {
    if (k != 4) {
      EXPECT_NEAR(before.parts[k].amount, after.parts[k].amount, 1e-9);
    }
  }
}

TEST_F(SvdTest, FixedPointSumsGiveNearlyTheSameScoresAndClipNothing) {
  ServerState exact = model_->initial();
  ServerState plain = exact;
  for (int round = 0; round < 6; ++round) {
    const Purpose purpose = round == 0 ? Purpose::survey : Purpose::train;
    advance(*model_, exact, purpose);
    ring::EncodeCounts counts;
    const auto numbers = ring_sums(*model_, purpose, plain, counts);
    EXPECT_EQ(counts.clipped, 0U);
    ASSERT_TRUE(model_->step(purpose, plain, numbers, training_.size()).has_value());
  }
  for (std::size_t u = 0; u < training_.size(); ++u) {
    const PrivateState a = model_->solve(exact.shared, data(u));
    const PrivateState b = model_->solve(plain.shared, data(u));
    for (std::uint32_t i = 0; i < kItems; ++i) {
      EXPECT_NEAR(model_->score(exact.shared, a, i), model_->score(plain.shared, b, i), 1e-2);
    }
  }
}

TEST_F(SvdTest, AGrownStateHasItsOldRowsAndLearnsTheNewOnes) {
  ServerState state = trained(*model_, 2);
  const ServerState before = state;
  const auto longer = make({}, kItems + 9);
  EXPECT_EQ(longer->check_shared(state.shared).error().code(), ErrorCode::wrong_model);
  longer->grow(state);
  ASSERT_TRUE(longer->check_shared(state.shared).has_value());
  for (std::size_t k = 0; k < values(before, "item_factors").size(); ++k) {
    EXPECT_EQ(values(state, "item_factors")[k], values(before, "item_factors")[k]);
  }
  EXPECT_EQ(values(state, "item_factors").back(), 0);
  training_[0].push_back({.item = kItems + 4, .value = contract_.maximum, .when = 0});
  advance(*longer, state, Purpose::train);
  EXPECT_NE(values(state, "item_factors")[(kItems + 4) * kRank], 0);
  EXPECT_GT(values(state, "item_biases")[kItems + 4], 0);
}

TEST_F(SvdTest, ConstantRatingsOneRatingEachAndRanksAboveThemStayFinite) {
  const auto wide = make({{"rank", "64"}});  // above the number of items
  expect_finite_scores(*wide, trained(*wide, 5));
  for (auto& ratings : training_) {
    for (Observation& rating : ratings) rating.value = contract_.maximum;
  }
  ServerState state = trained(*model_, 5);
  expect_finite_scores(*model_, state);
  EXPECT_NEAR(model_->score(state.shared, model_->solve(state.shared, data(0)), 0), double{contract_.maximum}, 1e-6);
  for (auto& ratings : training_) ratings.resize(1);
  expect_finite_scores(*wide, trained(*wide, 5));
  expect_exact_explanations(*wide, trained(*wide, 5));
  for (auto& ratings : training_) ratings.clear();
  expect_finite_scores(*wide, trained(*wide, 2));
}

TEST_F(SvdTest, ItemsThatNobodyRatedAreBiasesAlone) {
  for (auto& ratings : training_) std::erase_if(ratings, [](const Observation& rating) { return rating.item == 3; });
  const ServerState state = trained(*model_, 5);
  EXPECT_EQ(values(state, "item_biases")[3], 0);
  EXPECT_LT(matrix(state, "item_factors").row(3).cwiseAbs().maxCoeff(), 0.05);
  expect_finite_scores(*model_, state);
}

TEST_F(SvdTest, NonFiniteSumsAreRefusedWithTheItem) {
  expect_refusal_of_non_finite_sums(*model_);
}

TEST_F(SvdTest, SumsThatAHostileDeviceMadeHugeNeverPublishANaN) {
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

TEST_F(SvdTest, MetricsOfARoundAreThoseOfTheScores) {
  const ServerState state = trained(*model_, 2);
  for (const Purpose purpose : {Purpose::train, Purpose::measure}) {
    const Quality quality = model_->quality(purpose, sums(*model_, purpose, state));
    EXPECT_EQ(quality.devices, 60U);
    EXPECT_NEAR(quality.held_out_rmse, held_out_rmse(*model_, state), 1e-9);
    EXPECT_GT(quality.training_rmse, 0);
  }
}

TEST_F(SvdTest, WrongSettingsAndEventsAreRefused) {
  EXPECT_THAT(try_make({{"rank", "0"}}).error().to_string(), HasSubstr("rank"));
  EXPECT_THAT(try_make({{"lambda", "3"}}).error().to_string(), HasSubstr("lambda_bias"));
  contract_.feedback = dataset::Feedback::events;
  EXPECT_FALSE(try_make({}).has_value());
}

}  // namespace
}  // namespace chorus::model::testing_ratings
