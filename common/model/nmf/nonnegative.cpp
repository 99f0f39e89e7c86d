#include "common/model/nmf/nonnegative.hpp"

#include <algorithm>
#include <cmath>

#include "common/model/ridge.hpp"

namespace chorus::model::nmf {
namespace {

constexpr int kSweeps = 25;

}  // namespace

bool solve_on_support(std::span<const double> m, std::span<const double> b, std::span<const double> x,
                      std::span<double> v) {
  const std::size_t d = x.size();
  std::size_t size = 0;
  crypto::ZeroizingVector<std::uint32_t> support(d);
  for (std::size_t k = 0; k < d; ++k) {
    if (x[k] > 0) support[size++] = static_cast<std::uint32_t>(k);
  }
  std::ranges::fill(v, 0.0);
  if (size == 0) return true;
  crypto::ZeroizingVector<double> inner(size * size);
  crypto::ZeroizingVector<double> right(size);
  for (std::size_t row = 0; row < size; ++row) {
    for (std::size_t column = row; column < size; ++column) {
      inner[row * size + column] = m[support[row] * d + support[column]];
    }
    right[row] = b[support[row]];
  }
  if (!cholesky(inner.data(), size, size)) return false;
  cholesky_solve(inner.data(), size, size, right.data());
  for (std::size_t k = 0; k < size; ++k) v[support[k]] = right[k];
  return std::ranges::all_of(right, [](double value) { return std::isfinite(value); });
}

bool solve_nonnegative(std::span<const double> m, std::span<const double> b, std::span<double> x) {
  const std::size_t d = x.size();
  for (std::size_t k = 0; k < d; ++k) {
    if (!(m[k * d + k] > 0)) return false;
  }
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t k = 0; k < d; ++k) {
      // x_k ← max(0, x_k + (b_k − Σ_l M_kl x_l) / M_kk)
      double gradient = b[k];
      for (std::size_t l = 0; l < d; ++l) gradient -= m[k * d + l] * x[l];
      x[k] = std::max(0.0, x[k] + gradient / m[k * d + k]);
    }
  }
  // Each turn ends, or puts a coordinate to zero: at most d turns.
  crypto::ZeroizingVector<double> exact(d);
  for (;;) {
    if (!solve_on_support(m, b, x, exact)) return false;
    // The longest step towards the exact solution that stays in x ≥ 0.
    double step = 1;
    for (std::size_t k = 0; k < d; ++k) {
      if (x[k] > 0 && exact[k] <= 0) step = std::min(step, x[k] / (x[k] - exact[k]));
    }
    bool left = false;
    for (std::size_t k = 0; k < d; ++k) {
      if (!(x[k] > 0)) continue;
      const bool leaves = exact[k] <= 0 && x[k] / (x[k] - exact[k]) <= step;
      x[k] = leaves ? 0 : std::max(0.0, x[k] + step * (exact[k] - x[k]));
      left = left || leaves;
    }
    if (left) continue;
    std::ranges::copy(exact, x.begin());
    return true;
  }
}

bool inverse_diagonal(std::span<const double> m, std::span<double> out) {
  const std::size_t d = out.size();
  crypto::ZeroizingVector<double> u(m.begin(), m.end());
  if (!cholesky(u.data(), d, d)) return false;
  // M = UᵀU: (M⁻¹)_kk = |U⁻ᵀ e_k|², by forward substitution from k on.
  crypto::ZeroizingVector<double> column(d);
  for (std::size_t k = 0; k < d; ++k) {
    std::ranges::fill(column, 0.0);
    column[k] = 1;
    double sum = 0;
    for (std::size_t j = k; j < d; ++j) {
      column[j] *= u[j * d + j];
      for (std::size_t l = j + 1; l < d; ++l) column[l] -= u[j * d + l] * column[j];
      sum += column[j] * column[j];
    }
    out[k] = sum;
  }
  return std::ranges::all_of(out, [](double value) { return std::isfinite(value); });
}

}  // namespace chorus::model::nmf
