// Exact ridge regression of small dimension, in 64-bit floats: the device's local solve.
//   x = (Σ_r y_r y_rᵀ + diag(prior) + extra)⁻¹ (Σ_r y_r t_r + right)
// Sums run over the rows in their order, one accumulator a matrix entry, whatever the vector width of the machine, so
// that every machine gets the same bytes (a blocked library product would sum in an order that depends on the caches).
// Rows are personal: the memory is wiped. Not thread-safe.
#pragma once

#include <cstddef>
#include <span>

#include "common/crypto/secret_bytes.hpp"

namespace chorus::model {

// Replaces the upper triangle of the symmetric matrix `a` ([d × d] in rows of `stride`) by its Cholesky factor U
// (a = UᵀU), the diagonal by its inverse; the lower triangle is not read. False, if a pivot is not a positive number:
// `a` is then not positive definite.
[[nodiscard]] bool cholesky(double* a, std::size_t d, std::size_t stride) noexcept;
// Solves a x = b in place. REQUIRES: cholesky(a, ...) gave true.
void cholesky_solve(const double* a, std::size_t d, std::size_t stride, double* b) noexcept;

class Ridge {
 public:
  // REQUIRES: dimension > 0. All rows and targets are zero.
  Ridge(std::size_t dimension, std::size_t rows);

  [[nodiscard]] std::size_t rows() const noexcept { return targets_.size(); }
  [[nodiscard]] std::span<double> row(std::size_t r) noexcept { return {y_.data() + r * stride_, dimension_}; }
  [[nodiscard]] std::span<const double> row(std::size_t r) const noexcept {
    return {y_.data() + r * stride_, dimension_};
  }
  [[nodiscard]] double& target(std::size_t r) noexcept { return targets_[r]; }
  [[nodiscard]] double target(std::size_t r) const noexcept { return targets_[r]; }

  // Sums the rows and factorises. REQUIRES: prior has [dimension] positive numbers, rows are finite; `extra`, if any,
  // is a symmetric positive semidefinite matrix, [dimension × dimension], of which the upper triangle is read.
  void factorise(std::span<const double> prior, std::span<const double> extra = {});
  // After factorise(): x, or in place M⁻¹ b. `right`, if any, has [dimension] numbers.
  [[nodiscard]] crypto::ZeroizingVector<double> solution(std::span<const double> right = {}) const;
  // After factorise(): M⁻¹, [dimension × dimension].
  [[nodiscard]] crypto::ZeroizingVector<double> inverse() const;
  void solve(std::span<double> b) const noexcept { cholesky_solve(normal_.data(), dimension_, stride_, b.data()); }
  // x · row r.
  [[nodiscard]] double predict(std::span<const double> x, std::size_t r) const noexcept;

 private:
  std::size_t dimension_;
  std::size_t stride_;                       // the dimension, rounded up to the kernel's tile
  crypto::ZeroizingVector<double> y_;        // [rows × stride]
  crypto::ZeroizingVector<double> targets_;  // [rows]
  crypto::ZeroizingVector<double> normal_;   // [stride × stride], row-major, the upper triangle
};

}  // namespace chorus::model
