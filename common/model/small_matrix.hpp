// Products of small dense matrices, row-major in std::vector<double>, in a fixed order of sums: the same bytes on every
// machine. Stateless.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace chorus::model {

using SmallMatrix = std::vector<double>;

// a [n × m] · b [m × p].
[[nodiscard]] inline SmallMatrix product(const SmallMatrix& a, const SmallMatrix& b, std::size_t n, std::size_t m,
                                         std::size_t p) {
  SmallMatrix out(n * p, 0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < m; ++k) {
      const double x = a[i * m + k];
      for (std::size_t j = 0; j < p; ++j) out[i * p + j] += x * b[k * p + j];
    }
  }
  return out;
}

// aᵀ of a [n × m].
[[nodiscard]] inline SmallMatrix transposed(const SmallMatrix& a, std::size_t n, std::size_t m) {
  SmallMatrix out(n * m);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < m; ++j) out[j * n + i] = a[i * m + j];
  }
  return out;
}

// V diag(values) Vᵀ with V's columns in `vectors` [n × n].
[[nodiscard]] inline SmallMatrix from_eigen(const SmallMatrix& vectors, const std::vector<double>& values,
                                            std::size_t n) {
  SmallMatrix out(n * n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < n; ++k) sum += vectors[i * n + k] * values[k] * vectors[j * n + k];
      out[i * n + j] = sum;
    }
  }
  return out;
}

// The symmetric matrix whose upper triangle, √2 times off the diagonal, was summed.
[[nodiscard]] inline SmallMatrix symmetric(std::span<const double> packed, std::size_t n) {
  SmallMatrix full(n * n);
  std::size_t next = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i; j < n; ++j) {
      const double value = i == j ? packed[next] : packed[next] / std::sqrt(2.0);
      full[i * n + j] = full[j * n + i] = value;
      ++next;
    }
  }
  return full;
}

}  // namespace chorus::model
