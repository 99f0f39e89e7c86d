// The metrics of all items at once: M_i = n_i C + Λ for one curvature C that they share (design: learning, section 2).
// With V such that VᵀΛV = 1 and VᵀCV = diag(γ), M_i⁻¹ = V diag(1 / (n_i γ_k + 1)) Vᵀ for every i: what is asked of
// M_i⁻¹, and of sums of them, costs D² instead of D³. A value; concurrent reads are safe.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace chorus::model::mf {

class SharedCurvature {
 public:
  // curvature: C, [D × D], symmetric; positive semidefinite but for rounding (negative eigenvalues count as zero).
  // prior: the diagonal Λ, [D] positive numbers.
  SharedCurvature(std::span<const double> curvature, std::span<const double> prior);

  [[nodiscard]] std::size_t dimension() const noexcept { return gamma_.size(); }
  // V, [D × D], and γ, [D].
  [[nodiscard]] std::span<const double> basis() const noexcept { return basis_; }
  [[nodiscard]] std::span<const double> gamma() const noexcept { return gamma_; }
  // Replaces b by M⁻¹ b for an item that n devices rated. n ≥ 0.
  void solve(double n, std::span<double> b) const;
  // The diagonal of M⁻¹.
  void inverse_diagonal(double n, std::span<double> out) const;

 private:
  std::vector<double> basis_;
  std::vector<double> gamma_;
};

}  // namespace chorus::model::mf
