#include "common/model/symmetric_eigen.hpp"

#include <Eigen/Dense>
#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::model {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void expect_eigen(const Matrix& a) {
  const auto d = static_cast<std::size_t>(a.rows());
  const SymmetricEigen eigen = symmetric_eigen(std::span(a.data(), d * d), d);
  const Eigen::Map<const Matrix> u(eigen.vectors.data(), a.rows(), a.rows());
  const Eigen::Map<const Eigen::VectorXd> values(eigen.values.data(), a.rows());
  const double tolerance = 1e-12 * std::max(1.0, a.norm());
  EXPECT_LT((u.transpose() * u - Matrix::Identity(a.rows(), a.rows())).norm(), 1e-12);
  EXPECT_LT((u * values.asDiagonal() * u.transpose() - a).norm(), tolerance) << d;
}

TEST(SymmetricEigen, PutsTheMatrixTogetherAgain) {
  constexpr std::uint64_t kSeed = 5;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  sim::SeededRandom random(kSeed);
  for (const Eigen::Index d : {1, 2, 3, 16, 33, 128}) {
    Matrix a(d, d);
    for (Eigen::Index k = 0; k < a.size(); ++k) a.data()[k] = static_cast<double>(random.below(2001)) / 1000 - 1;
    expect_eigen(a + a.transpose());
    expect_eigen(a * a.transpose());
  }
}

TEST(SymmetricEigen, KnowsDegenerateMatrices) {
  expect_eigen(Matrix::Zero(4, 4));
  expect_eigen(Matrix::Identity(4, 4));
  expect_eigen(Matrix::Ones(5, 5));
  expect_eigen(1e150 * Matrix::Identity(3, 3));
}

}  // namespace
}  // namespace chorus::model
