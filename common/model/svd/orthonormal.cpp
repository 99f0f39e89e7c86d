#include "common/model/svd/orthonormal.hpp"

#include <algorithm>
#include <cmath>

namespace chorus::model::svd {
namespace {

constexpr double kNegligible = 1e-9;

double length(std::span<const double> column) {
  double sum = 0;
  for (const double value : column) sum += value * value;
  return std::sqrt(sum);
}

// Takes from `column` what lies along the first `k` columns; scales the rest to length one. Gives the rest's length, or
// 0 if it is negligible.
double take_from(std::span<double> column, std::span<const double> basis, std::size_t k) {
  const std::size_t rows = column.size();
  const double whole = length(column);
  double rest = whole;
  for (int turn = 0; turn < 2; ++turn) {
    for (std::size_t l = 0; l < k; ++l) {
      const double* const other = basis.data() + l * rows;
      double along = 0;
      for (std::size_t i = 0; i < rows; ++i) along += column[i] * other[i];
      for (std::size_t i = 0; i < rows; ++i) column[i] -= along * other[i];
    }
    const double left = length(column);
    if (!(left > kNegligible * whole)) return 0;
    for (double& value : column) value /= left;
    if (turn == 0) rest = left;
  }
  return rest;
}

}  // namespace

std::vector<double> orthonormalise(std::span<double> y, std::span<const double> spare, std::size_t rows,
                                   std::size_t d) {
  std::vector<double> columns(rows * d);  // [d × rows]
  std::vector<double> lengths(d);
  for (std::size_t k = 0; k < d; ++k) {
    const std::span<double> column = std::span(columns).subspan(k * rows, rows);
    for (std::size_t i = 0; i < rows; ++i) column[i] = y[i * d + k];
    lengths[k] = take_from(column, columns, k);
    if (lengths[k] > 0) continue;
    for (std::size_t i = 0; i < rows; ++i) column[i] = spare[i * d + k];
    if (take_from(column, columns, k) == 0) std::ranges::fill(column, 0.0);
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t k = 0; k < d; ++k) y[i * d + k] = columns[k * rows + i];
  }
  return lengths;
}

}  // namespace chorus::model::svd
