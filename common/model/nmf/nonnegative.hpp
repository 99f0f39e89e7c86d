// Non-negative least squares of small dimension, in 64-bit floats: on devices for a user's factor, at the coordinator
// for an item's. Sums run in a fixed order, so that every machine gets the same bytes. What is solved may be personal:
// scratch memory is wiped. Stateless.
#pragma once

#include <cstddef>
#include <span>

#include "common/crypto/secret_bytes.hpp"

namespace chorus::model::nmf {

// Minimises ½ xᵀ M x − bᵀ x over x ≥ 0, from x on: 25 sweeps of exact coordinate steps (Franc, Hlaváč and Navara 2005,
// "Sequential coordinate-wise algorithm for the non-negative least squares problem"), then the exact solution on the
// coordinates that are positive, which may put more of them to zero (the inner loop of Lawson and Hanson 1974). So x
// solves M_AA x_A = b_A on A = {k : x_k > 0} to rounding, and is zero elsewhere.
// m: [d × d], symmetric; d = x.size() = b.size(). False, if M is not positive definite on A, or a number is not finite.
[[nodiscard]] bool solve_nonnegative(std::span<const double> m, std::span<const double> b, std::span<double> x);

// Solves M_AA v_A = b_A with A = {k : x_k > 0}; v is zero elsewhere. False, if M_AA is not positive definite.
[[nodiscard]] bool solve_on_support(std::span<const double> m, std::span<const double> b, std::span<const double> x,
                                    std::span<double> v);

// The diagonal of M⁻¹, [d]. False, if M is not positive definite.
[[nodiscard]] bool inverse_diagonal(std::span<const double> m, std::span<double> out);

}  // namespace chorus::model::nmf
