// The floating-point reference of a round's sum: what ring::RoundSum computes, without clip and rounding. It shows what
// fixed point costs. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "common/plan/update_layout.hpp"
#include "common/ring/contribution.hpp"
#include "common/ring/fixed_point.hpp"

namespace chorus::sim {

class FloatSum {
 public:
  explicit FloatSum(const plan::UpdateLayout& layout);
  // Errors: none; the signature is RoundSum's, and `counts` stays as it is. REQUIRES: the contribution has the
  // layout's shape.
  [[nodiscard]] Status add(const ring::Contribution& contribution, ring::EncodeCounts& counts);
  void add(const FloatSum& other);

  [[nodiscard]] std::uint64_t contributors() const noexcept { return contributors_; }
  // Tensor `t`, [rows × columns].
  [[nodiscard]] const std::vector<double>& numbers(std::size_t t) const noexcept { return tensors_[t]; }

 private:
  plan::UpdateLayout layout_;
  std::uint64_t contributors_ = 0;
  std::vector<std::vector<double>> tensors_;
};

}  // namespace chorus::sim
