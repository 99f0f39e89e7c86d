#include "common/model/ridge.hpp"

#include <cmath>
#include <cstring>

#include "common/base/check.hpp"

namespace chorus::model {
namespace {

constexpr std::size_t kTile = 8;

// Four doubles: one AVX2 register, or two of baseline x86-64. Both multiply and add each lane alike.
using Four = double __attribute__((vector_size(32)));

// Two doubles: one register of baseline x86-64.
using Two = double __attribute__((vector_size(16)));

inline Two load(const double* from) noexcept {
  Two two;
  std::memcpy(&two, from, sizeof two);
  return two;
}
inline void store(double* to, Two two) noexcept {
  std::memcpy(to, &two, sizeof two);
}

// normal = Σ_r y_r y_rᵀ, upper triangle (and some entries below it), in tiles of kRows rows × 4 columns, which stay in
// registers while the rows of y run through.
template <std::size_t kRows>
[[gnu::always_inline]] inline void add_outer_products(const double* y, std::size_t rows, std::size_t stride,
                                                      double* normal) {
  for (std::size_t top = 0; top < stride; top += kRows) {
    for (std::size_t quad = top / 4 * 4; quad < stride; quad += 4) {
      Four sums[kRows] = {};
      const double* row = y;
      for (std::size_t r = 0; r < rows; ++r, row += stride) {
        Four right;
        std::memcpy(&right, row + quad, sizeof right);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kRows; ++c) sums[c] += right * row[top + c];
      }
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kRows; ++c) std::memcpy(normal + (top + c) * stride + quad, &sums[c], sizeof sums[c]);
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

// a_jk −= Σ_{l<j} U_lj U_lk for the 2·kPairs columns k from `first` on, in registers.
template <std::size_t kPairs>
inline void subtract_products(double* a, std::size_t j, std::size_t stride, std::size_t first) noexcept {
  double* const row = a + j * stride + first;
  Two sums[kPairs] = {};
#pragma GCC unroll 4
  for (std::size_t p = 0; p < kPairs; ++p) sums[p] = load(row + 2 * p);
  for (std::size_t l = 0; l < j; ++l) {
    const double* const other = a + l * stride;
#pragma GCC unroll 4
    for (std::size_t p = 0; p < kPairs; ++p) sums[p] -= load(other + first + 2 * p) * other[j];
  }
#pragma GCC unroll 4
  for (std::size_t p = 0; p < kPairs; ++p) store(row + 2 * p, sums[p]);
}

}  // namespace

bool cholesky(double* a, std::size_t d, std::size_t stride) noexcept {
  for (std::size_t j = 0; j < d; ++j) {
    double* const row = a + j * stride;
    // U_jk = (a_jk − Σ_{l<j} U_lj U_lk) / U_jj, k from j on: eight columns at a time, then two, then one.
    std::size_t k = j;
    for (; k + 8 <= d; k += 8) subtract_products<4>(a, j, stride, k);
    for (; k + 2 <= d; k += 2) subtract_products<1>(a, j, stride, k);
    for (; k < d; ++k) {
      for (std::size_t l = 0; l < j; ++l) row[k] -= a[l * stride + j] * a[l * stride + k];
    }
    const double pivot = row[j];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    const double inverse = 1 / std::sqrt(pivot);
    row[j] = inverse;
    for (k = j + 1; k < d; ++k) row[k] *= inverse;
  }
  return true;
}

void cholesky_solve(const double* a, std::size_t d, std::size_t stride, double* b) noexcept {
  // Uᵀ y = b
  for (std::size_t j = 0; j < d; ++j) {
    const double* const row = a + j * stride;
    b[j] *= row[j];
    for (std::size_t k = j + 1; k < d; ++k) b[k] -= row[k] * b[j];
  }
  // U x = y
  for (std::size_t j = d; j-- > 0;) {
    const double* const row = a + j * stride;
    double sum = b[j];
    for (std::size_t k = d; k-- > j + 1;) sum -= row[k] * b[k];
    b[j] = sum * row[j];
  }
}

Ridge::Ridge(std::size_t dimension, std::size_t rows)
    : dimension_(dimension),
      stride_((dimension + kTile - 1) / kTile * kTile),
      y_(rows * stride_, 0.0),
      targets_(rows, 0.0),
      normal_(stride_ * stride_, 0.0) {}

void Ridge::factorise(std::span<const double> prior, std::span<const double> extra) {
  static const Kernel outer_products = choose_kernel();
  // A Gram matrix plus a positive diagonal is positive definite, but rows that dwarf the prior by 10^15 (a published
  // model may hold any finite number) can lose it in rounding: then the prior grows until the pivots are positive.
  for (double weight = 1;; weight *= 16) {
    outer_products(y_.data(), rows(), stride_, normal_.data());
    for (std::size_t k = 0; k < dimension_; ++k) normal_[k * stride_ + k] += weight * prior[k];
    if (!extra.empty()) {
      for (std::size_t j = 0; j < dimension_; ++j) {
        for (std::size_t k = j; k < dimension_; ++k) normal_[j * stride_ + k] += extra[j * dimension_ + k];
      }
    }
    if (cholesky(normal_.data(), dimension_, stride_)) return;
    CHORUS_ENSURE(std::isfinite(weight), "a ridge of finite rows can be solved");
  }
}

crypto::ZeroizingVector<double> Ridge::solution(std::span<const double> right) const {
  // Σ_r y_r t_r, a tile of columns at a time in registers.
  crypto::ZeroizingVector<double> x(stride_, 0.0);
  for (std::size_t k = 0; k < stride_; k += kTile) {
    Two sums[kTile / 2] = {};
    const double* y = y_.data() + k;
    for (std::size_t r = 0; r < rows(); ++r, y += stride_) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < kTile / 2; ++p) sums[p] += load(y + 2 * p) * targets_[r];
    }
#pragma GCC unroll 4
    for (std::size_t p = 0; p < kTile / 2; ++p) store(x.data() + k + 2 * p, sums[p]);
  }
  x.resize(dimension_);
  for (std::size_t k = 0; k < right.size(); ++k) x[k] += right[k];
  solve(x);
  return x;
}

crypto::ZeroizingVector<double> Ridge::inverse() const {
  // M⁻¹ is symmetric: its rows are its columns.
  crypto::ZeroizingVector<double> rows(dimension_ * dimension_, 0.0);
  for (std::size_t k = 0; k < dimension_; ++k) {
    const std::span<double> row(rows.data() + k * dimension_, dimension_);
    row[k] = 1;
    solve(row);
  }
  return rows;
}

double Ridge::predict(std::span<const double> x, std::size_t r) const noexcept {
  const double* y = y_.data() + r * stride_;
  Two sums[2] = {};  // four chains, so that additions need not wait for one another
  std::size_t k = 0;
  for (; k + 4 <= dimension_; k += 4) {
    sums[0] += load(x.data() + k) * load(y + k);
    sums[1] += load(x.data() + k + 2) * load(y + k + 2);
  }
  double rest = 0;
  for (; k < dimension_; ++k) rest += x[k] * y[k];
  const Two both = sums[0] + sums[1];
  return both[0] + both[1] + rest;
}

}  // namespace chorus::model
