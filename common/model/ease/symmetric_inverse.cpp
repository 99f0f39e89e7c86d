#include "common/model/ease/symmetric_inverse.hpp"

#include <algorithm>
#include <cstring>

#include "common/base/check.hpp"
#include "common/model/ridge.hpp"

namespace chorus::model::ease {
namespace {

constexpr std::size_t kPivots = 64;  // of a block
// A tile of the update stays in registers: 4 rows × 8 columns.
constexpr std::size_t kTileRows = 4;
constexpr std::size_t kTileColumns = 8;
// Columns whose panel (kPivots × kChunk numbers, 128 KiB) stays in the cache while the rows run through.
constexpr std::size_t kChunk = 256;

// Four doubles: one AVX2 register, or two of baseline x86-64. Both multiply and add each lane alike.
using Four = double __attribute__((vector_size(32)));

// The rows of a panel [kPivots × stride] as tiles: tile t holds, pivot by pivot, columns t·kWidth and on.
template <std::size_t kWidth>
void pack(const std::vector<double>& panel, std::size_t pivots, std::size_t stride, std::vector<double>& tiles) {
  for (std::size_t tile = 0; tile < stride / kWidth; ++tile) {
    for (std::size_t r = 0; r < pivots; ++r) {
      std::memcpy(&tiles[(tile * pivots + r) * kWidth], &panel[r * stride + tile * kWidth], kWidth * sizeof(double));
    }
  }
}

// a_ij −= Σ_r left_ri right_rj for all i, and j from i on (and some entries below the diagonal).
[[gnu::always_inline]] inline void subtract_products(double* a, std::size_t stride, const double* left,
                                                     const double* right, std::size_t pivots) {
  for (std::size_t chunk = 0; chunk < stride; chunk += kChunk) {
    const std::size_t end = std::min(stride, chunk + kChunk);
    for (std::size_t i = 0; i < end; i += kTileRows) {
      const double* const rows = left + i * pivots;
      for (std::size_t j = std::max(chunk, i / kTileColumns * kTileColumns); j < end; j += kTileColumns) {
        const double* const columns = right + j * pivots;
        Four sums[kTileRows][2] = {};
        for (std::size_t r = 0; r < pivots; ++r) {
          Four low;
          Four high;
          std::memcpy(&low, columns + r * kTileColumns, sizeof low);
          std::memcpy(&high, columns + r * kTileColumns + 4, sizeof high);
#pragma GCC unroll 4
          for (std::size_t c = 0; c < kTileRows; ++c) {
            sums[c][0] += low * rows[r * kTileRows + c];
            sums[c][1] += high * rows[r * kTileRows + c];
          }
        }
#pragma GCC unroll 4
        for (std::size_t c = 0; c < kTileRows; ++c) {
          double* const out = a + (i + c) * stride + j;
          Four low;
          Four high;
          std::memcpy(&low, out, sizeof low);
          std::memcpy(&high, out + 4, sizeof high);
          low -= sums[c][0];
          high -= sums[c][1];
          std::memcpy(out, &low, sizeof low);
          std::memcpy(out + 4, &high, sizeof high);
        }
      }
    }
  }
}

using Kernel = void (*)(double*, std::size_t, const double*, const double*, std::size_t);

void subtract_products_baseline(double* a, std::size_t stride, const double* left, const double* right,
                                std::size_t pivots) {
  subtract_products(a, stride, left, right, pivots);
}

#if defined(__x86_64__)
// Without "fma": a fused product would round differently.
__attribute__((target("avx2"))) void subtract_products_avx2(double* a, std::size_t stride, const double* left,
                                                            const double* right, std::size_t pivots) {
  subtract_products(a, stride, left, right, pivots);
}

Kernel choose_kernel() {
  return __builtin_cpu_supports("avx2") ? subtract_products_avx2 : subtract_products_baseline;
}
#else
Kernel choose_kernel() {
  return subtract_products_baseline;
}
#endif

}  // namespace

SymmetricMatrix::SymmetricMatrix(std::size_t n)
    : n_(n), stride_((n + kTileColumns - 1) / kTileColumns * kTileColumns), values_(stride_ * stride_, 0.0) {
  CHORUS_ENSURE(n > 0, "a matrix has rows");
}

bool SymmetricMatrix::invert() {
  static const Kernel subtract = choose_kernel();
  std::vector<double> panel(kPivots * stride_);   // A_K·, 0 within K
  std::vector<double> solved(kPivots * stride_);  // D A_K·
  std::vector<double> left(kPivots * stride_);
  std::vector<double> right(kPivots * stride_);
  std::vector<double> block(kPivots * kPivots);
  std::vector<double> inverse(kPivots * kPivots);  // D = A_KK⁻¹
  // Sweeping the pivots K: A_IJ −= A_IK D A_KJ, A_KJ = D A_KJ, A_KK = −D. After all of them A has become −A⁻¹.
  for (std::size_t first = 0; first < n_; first += kPivots) {
    const std::size_t pivots = std::min(kPivots, n_ - first);
    const std::size_t end = first + pivots;
    for (std::size_t r = 0; r < pivots; ++r) {
      double* const row = panel.data() + r * stride_;
      for (std::size_t j = 0; j < first; ++j) row[j] = at(j, first + r);
      for (std::size_t j = first; j < end; ++j) row[j] = 0;
      for (std::size_t j = end; j < stride_; ++j) row[j] = at(first + r, j);
      for (std::size_t k = r; k < pivots; ++k) block[r * pivots + k] = at(first + r, first + k);
    }
    if (!cholesky(block.data(), pivots, pivots)) return false;
    for (std::size_t r = 0; r < pivots; ++r) {
      double* const row = inverse.data() + r * pivots;
      std::fill_n(row, pivots, 0.0);
      row[r] = 1;
      cholesky_solve(block.data(), pivots, pivots, row);
    }
    for (std::size_t r = 0; r < pivots; ++r) {
      double* const __restrict out = solved.data() + r * stride_;
      std::fill_n(out, stride_, 0.0);
      for (std::size_t s = 0; s < pivots; ++s) {
        const double* const __restrict row = panel.data() + s * stride_;
        const double weight = inverse[r * pivots + s];
        for (std::size_t j = 0; j < stride_; ++j) out[j] += weight * row[j];
      }
    }
    pack<kTileRows>(panel, pivots, stride_, left);
    pack<kTileColumns>(solved, pivots, stride_, right);
    subtract(values_.data(), stride_, left.data(), right.data(), pivots);
    for (std::size_t r = 0; r < pivots; ++r) {
      const double* const row = solved.data() + r * stride_;
      for (std::size_t j = 0; j < first; ++j) at(j, first + r) = row[j];
      for (std::size_t j = end; j < n_; ++j) at(first + r, j) = row[j];
      for (std::size_t k = r; k < pivots; ++k) at(first + r, first + k) = -inverse[r * pivots + k];
    }
  }
  for (double& value : values_) value = -value;
  return true;
}

}  // namespace chorus::model::ease
