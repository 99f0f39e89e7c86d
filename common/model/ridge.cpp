#include "common/model/ridge.hpp"

#include <cmath>
#include <cstring>

#include "common/base/check.hpp"

namespace chorus::model {
namespace {

constexpr std::size_t kTile = 8;

// Four doubles: one AVX2 register, or two of baseline x86-64. Both multiply and add each lane alike.
using Four = double __attribute__((vector_size(32)));

// normal = Σ_r y_r y_rᵀ, lower triangle (and some entries above it), in tiles of kColumns columns × 4 rows, which stay
// in registers while the rows run through.
template <std::size_t kColumns>
[[gnu::always_inline]] inline void add_outer_products(const double* y, std::size_t rows, std::size_t stride,
                                                      double* normal) {
  for (std::size_t column = 0; column < stride; column += kColumns) {
    for (std::size_t quad = column / 4 * 4; quad < stride; quad += 4) {
      Four sums[kColumns] = {};
      const double* row = y;
      for (std::size_t r = 0; r < rows; ++r, row += stride) {
        Four left;
        std::memcpy(&left, row + quad, sizeof left);
        for (std::size_t c = 0; c < kColumns; ++c) sums[c] += left * row[column + c];
      }
      for (std::size_t c = 0; c < kColumns; ++c) {
        for (std::size_t k = 0; k < 4; ++k) normal[(quad + k) * stride + column + c] = sums[c][k];
      }
    }
  }
}

using Kernel = void (*)(const double*, std::size_t, std::size_t, double*);

void outer_products_baseline(const double* y, std::size_t rows, std::size_t stride, double* normal) {
  add_outer_products<4>(y, rows, stride, normal);
}

#if defined(__x86_64__)
// Without "fma": a fused product would round differently.
__attribute__((target("avx2"))) void outer_products_avx2(const double* y, std::size_t rows, std::size_t stride,
                                                         double* normal) {
  add_outer_products<8>(y, rows, stride, normal);
}

Kernel choose_kernel() {
  return __builtin_cpu_supports("avx2") ? outer_products_avx2 : outer_products_baseline;
}
#else
Kernel choose_kernel() {
  return outer_products_baseline;
}
#endif

}  // namespace

bool cholesky(double* a, std::size_t d, std::size_t stride) noexcept {
  for (std::size_t j = 0; j < d; ++j) {
    double* row = a + j * stride;
    // L_jk = (a_jk − Σ_{l<k} L_jl L_kl) / L_kk
    for (std::size_t k = 0; k < j; ++k) {
      const double* other = a + k * stride;
      double sum = row[k];
      for (std::size_t l = 0; l < k; ++l) sum -= row[l] * other[l];
      row[k] = sum * other[k];
    }
    double pivot = row[j];
    for (std::size_t l = 0; l < j; ++l) pivot -= row[l] * row[l];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    row[j] = 1 / std::sqrt(pivot);
  }
  return true;
}

void cholesky_solve(const double* a, std::size_t d, std::size_t stride, double* b) noexcept {
  for (std::size_t j = 0; j < d; ++j) {
    double sum = b[j];
    for (std::size_t l = 0; l < j; ++l) sum -= a[j * stride + l] * b[l];
    b[j] = sum * a[j * stride + j];
  }
  for (std::size_t j = d; j-- > 0;) {
    const double x = b[j] * a[j * stride + j];
    b[j] = x;
    for (std::size_t l = 0; l < j; ++l) b[l] -= a[j * stride + l] * x;
  }
}

Ridge::Ridge(std::size_t dimension, std::size_t rows)
    : dimension_(dimension),
      stride_((dimension + kTile - 1) / kTile * kTile),
      y_(rows * stride_, 0.0),
      targets_(rows, 0.0),
      normal_(stride_ * stride_, 0.0) {}

void Ridge::factorise(std::span<const double> prior) {
  static const Kernel outer_products = choose_kernel();
  // A Gram matrix plus a positive diagonal is positive definite, but rows that dwarf the prior by 10^15 (a published
  // model may hold any finite number) can lose it in rounding: then the prior grows until the pivots are positive.
  for (double weight = 1;; weight *= 16) {
    outer_products(y_.data(), rows(), stride_, normal_.data());
    for (std::size_t k = 0; k < dimension_; ++k) normal_[k * stride_ + k] += weight * prior[k];
    if (cholesky(normal_.data(), dimension_, stride_)) return;
    CHORUS_ENSURE(std::isfinite(weight), "a ridge of finite rows can be solved");
  }
}

crypto::ZeroizingVector<double> Ridge::solution() const {
  crypto::ZeroizingVector<double> x(dimension_, 0.0);
  for (std::size_t r = 0; r < rows(); ++r) {
    const double* y = y_.data() + r * stride_;
    for (std::size_t k = 0; k < dimension_; ++k) x[k] += y[k] * targets_[r];
  }
  solve(x);
  return x;
}

double Ridge::predict(std::span<const double> x, std::size_t r) const noexcept {
  const double* y = y_.data() + r * stride_;
  double sums[4] = {};  // four chains, so that additions need not wait for one another
  for (std::size_t k = 0; k < dimension_; ++k) sums[k % 4] += x[k] * y[k];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace chorus::model
