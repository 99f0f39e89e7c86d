// Eigenvalues of small symmetric matrices by Jacobi's rotations (Golub and Van Loan, Matrix Computations, section 8.5):
// additions, products, quotients and square roots in a fixed order, so that every machine gets the same bytes.
// Stateless.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace chorus::model {

struct SymmetricEigen {
  std::vector<double> values;   // [d]
  std::vector<double> vectors;  // [d × d]: column k belongs to values[k]; orthonormal
};

// a: [d × d], symmetric, finite. REQUIRES: d > 0. Costs about 8·d³ products.
[[nodiscard]] SymmetricEigen symmetric_eigen(std::span<const double> a, std::size_t d);

}  // namespace chorus::model
