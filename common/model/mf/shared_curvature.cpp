#include "common/model/mf/shared_curvature.hpp"

#include <algorithm>
#include <cmath>

#include "common/model/symmetric_eigen.hpp"

namespace chorus::model::mf {

SharedCurvature::SharedCurvature(std::span<const double> curvature, std::span<const double> prior) {
  const std::size_t d = prior.size();
  // Λ^-½ C Λ^-½ = U diag(γ) Uᵀ;  V = Λ^-½ U
  std::vector<double> scaled(d * d);
  std::vector<double> root(d);
  for (std::size_t k = 0; k < d; ++k) root[k] = 1 / std::sqrt(prior[k]);
  for (std::size_t j = 0; j < d; ++j) {
    for (std::size_t k = 0; k < d; ++k) scaled[j * d + k] = root[j] * curvature[j * d + k] * root[k];
  }
  SymmetricEigen eigen = symmetric_eigen(scaled, d);
  gamma_ = std::move(eigen.values);
  for (double& x : gamma_) x = std::max(0.0, x);
  basis_ = std::move(eigen.vectors);
  for (std::size_t j = 0; j < d; ++j) {
    for (std::size_t k = 0; k < d; ++k) basis_[j * d + k] *= root[j];
  }
}

void SharedCurvature::solve(double n, std::span<double> b) const {
  const std::size_t d = dimension();
  std::vector<double> rotated(d, 0.0);
  for (std::size_t j = 0; j < d; ++j) {
    for (std::size_t k = 0; k < d; ++k) rotated[k] += basis_[j * d + k] * b[j];
  }
  for (std::size_t k = 0; k < d; ++k) rotated[k] /= n * gamma_[k] + 1;
  for (std::size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (std::size_t k = 0; k < d; ++k) sum += basis_[j * d + k] * rotated[k];
    b[j] = sum;
  }
}

void SharedCurvature::inverse_diagonal(double n, std::span<double> out) const {
  const std::size_t d = dimension();
  for (std::size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (std::size_t k = 0; k < d; ++k) sum += basis_[j * d + k] * basis_[j * d + k] / (n * gamma_[k] + 1);
    out[j] = sum;
  }
}

}  // namespace chorus::model::mf
