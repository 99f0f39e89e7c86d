#include "common/model/ridge.hpp"

#include <Eigen/Dense>
#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::model {
namespace {

double uniform(crypto::RandomSource& random) {
  return static_cast<double>(random.u64() >> 11) / 9007199254740992.0 - 0.5;
}

TEST(Ridge, SolutionIsThatOfADenseSolve) {
  constexpr std::uint64_t kSeed = 11;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  sim::SeededRandom random(kSeed);
  for (const std::size_t d : {1UL, 2UL, 5UL, 8UL, 15UL, 16UL, 17UL, 32UL, 33UL, 128UL}) {
    for (const std::size_t n : {1UL, 3UL, 16UL, 200UL}) {
      Ridge ridge(d, n);
      const auto rows = static_cast<Eigen::Index>(n);
      const auto columns = static_cast<Eigen::Index>(d);
      Eigen::MatrixXd y(rows, columns);
      Eigen::VectorXd t(rows);
      Eigen::VectorXd prior(columns);
      for (Eigen::Index r = 0; r < rows; ++r) {
        for (Eigen::Index k = 0; k < columns; ++k) {
          y(r, k) = uniform(random) * 3;
          ridge.row(static_cast<std::size_t>(r))[static_cast<std::size_t>(k)] = y(r, k);
        }
        t(r) = uniform(random);
        ridge.target(static_cast<std::size_t>(r)) = t(r);
      }
      for (Eigen::Index k = 0; k < columns; ++k) prior(k) = 0.5 + uniform(random) * 0.5;
      const Eigen::MatrixXd normal = y.transpose() * y + Eigen::MatrixXd(prior.asDiagonal());
      const Eigen::VectorXd expected = normal.fullPivLu().solve(y.transpose() * t);

      ridge.factorise(std::span(prior.data(), d));
      const auto x = ridge.solution();
      for (std::size_t k = 0; k < d; ++k) {
        EXPECT_NEAR(x[k], expected(static_cast<Eigen::Index>(k)), 1e-10) << d << ' ' << n;
      }
      EXPECT_NEAR(ridge.predict(x, n - 1), y.row(rows - 1).dot(expected), 1e-10);
      std::vector<double> b(d, 1.0);
      ridge.solve(b);
      const Eigen::VectorXd inverse = normal.fullPivLu().solve(Eigen::VectorXd::Ones(columns));
      for (std::size_t k = 0; k < d; ++k) EXPECT_NEAR(b[k], inverse(static_cast<Eigen::Index>(k)), 1e-10);
    }
  }
}

TEST(Ridge, AnAddedMatrixAndRightSideAreThoseOfADenseSolve) {
  constexpr std::uint64_t kSeed = 12;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  sim::SeededRandom random(kSeed);
  constexpr std::size_t d = 6;
  using Matrix = Eigen::Matrix<double, d, d, Eigen::RowMajor>;
  using Vector = Eigen::Matrix<double, d, 1>;
  Matrix root;
  for (Eigen::Index k = 0; k < root.size(); ++k) root.data()[k] = uniform(random);
  const Matrix extra = root * root.transpose();
  Vector right;
  for (Eigen::Index k = 0; k < right.size(); ++k) right(k) = uniform(random);
  Ridge ridge(d, 3);
  Matrix normal = extra + 2 * Matrix::Identity();
  Vector sum = right;
  for (std::size_t r = 0; r < 3; ++r) {
    Vector y;
    for (std::size_t k = 0; k < d; ++k) ridge.row(r)[k] = y(static_cast<Eigen::Index>(k)) = uniform(random);
    ridge.target(r) = static_cast<double>(r) - 1;
    normal += y * y.transpose();
    sum += y * ridge.target(r);
  }
  ridge.factorise(std::vector<double>(d, 2), std::span(extra.data(), d * d));
  const auto x = ridge.solution(std::span(right.data(), d));
  const Vector expected = normal.fullPivLu().solve(sum);
  const auto inverse = ridge.inverse();
  const Matrix expected_inverse = normal.fullPivLu().inverse();
  for (std::size_t k = 0; k < d; ++k) EXPECT_NEAR(x[k], expected(static_cast<Eigen::Index>(k)), 1e-12);
  for (std::size_t k = 0; k < d * d; ++k) EXPECT_NEAR(inverse[k], expected_inverse.data()[k], 1e-12);
}

TEST(Ridge, RowsThatDwarfThePriorStillGiveFiniteNumbers) {
  Ridge ridge(3, 2);
  for (std::size_t k = 0; k < 3; ++k) {
    ridge.row(0)[k] = 3e38;
    ridge.row(1)[k] = -3e38;
  }
  ridge.target(0) = ridge.target(1) = 1;
  ridge.factorise(std::vector<double>(3, 1e-3));
  for (const double x : ridge.solution()) EXPECT_TRUE(std::isfinite(x));
}

TEST(Cholesky, AMatrixThatIsNotPositiveDefiniteIsRefused) {
  std::vector<double> indefinite = {1, 2, 0, 1};
  EXPECT_FALSE(cholesky(indefinite.data(), 2, 2));
  std::vector<double> zero = {0};
  EXPECT_FALSE(cholesky(zero.data(), 1, 1));
  std::vector<double> infinite = {INFINITY};
  EXPECT_FALSE(cholesky(infinite.data(), 1, 1));
  std::vector<double> nan = {NAN};
  EXPECT_FALSE(cholesky(nan.data(), 1, 1));
}

}  // namespace
}  // namespace chorus::model
