// The inverse of a large symmetric positive definite matrix, by sweeping blocks of pivots (Goodnight 1979): additions,
// products, quotients and square roots in a fixed order, so that every machine gets the same bytes, with any vector
// width. Not thread-safe.
#pragma once

#include <cstddef>
#include <vector>

namespace chorus::model::ease {

// The upper triangle of a symmetric matrix, [n × n].
class SymmetricMatrix {
 public:
  // Zeros. REQUIRES: n > 0.
  explicit SymmetricMatrix(std::size_t n);

  [[nodiscard]] std::size_t size() const noexcept { return n_; }
  // REQUIRES: row <= column < size().
  [[nodiscard]] double& at(std::size_t row, std::size_t column) noexcept { return values_[row * stride_ + column]; }
  [[nodiscard]] double at(std::size_t row, std::size_t column) const noexcept {
    return values_[row * stride_ + column];
  }

  // Replaces the matrix by its inverse, in about n³ floating-point operations. False, if a pivot is not a positive
  // number: it is then not positive definite, and what it holds means nothing.
  [[nodiscard]] bool invert();

 private:
  std::size_t n_;
  std::size_t stride_;          // n, rounded up to the kernel's tile
  std::vector<double> values_;  // [stride × stride], row-major; only the upper triangle means something
};

}  // namespace chorus::model::ease
