// Orthonormal columns by modified Gram-Schmidt, twice, in fixed-order 64-bit arithmetic, so that every machine gets the
// same bytes. Stateless.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace chorus::model::svd {

// Replaces the columns of y, [rows × d] row-major, by an orthonormal basis of the same nested subspaces. Gives each
// column's length beyond the columns before it: the diagonal of R in Y = QR, zero or positive. A column that has none
// to speak of (below 10⁻⁹ of its own length) has length 0, and `spare`'s column, orthonormalised, takes its place; if
// that has none either (more columns than rows), zeros.
// REQUIRES: y.size() == spare.size() == rows · d; numbers are finite, and so are their squares' sums.
[[nodiscard]] std::vector<double> orthonormalise(std::span<double> y, std::span<const double> spare, std::size_t rows,
                                                 std::size_t d);

}  // namespace chorus::model::svd
