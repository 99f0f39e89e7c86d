// What the files of the private update's server step share: the hidden state's names, and small symmetric matrices.
// Stateless.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "common/model/mf/private.hpp"
#include "common/model/small_matrix.hpp"
#include "common/model/symmetric_eigen.hpp"

namespace chorus::model::mf {

inline constexpr std::size_t kK = kPrivateFeatures;
inline constexpr double kLeastCount = 0.3;  // below it weights grow no more

// The count threshold: what few people said of an item is not published, noise or not; its row is what its features
// say. About four people with the usual number of ratings.
[[nodiscard]] inline bool withheld(float count) {
  return double{count} < kLeastCount;
}

// Names of the hidden state.
inline constexpr const char* kMass = "mass";                     // D_i = Σ w_ui, [items]
inline constexpr const char* kCountVariance = "count_variance";  // [items]
inline constexpr const char* kPeople = "people";                 // N̂
inline constexpr const char* kTaste = "taste";                   // L, [K × K]
inline constexpr const char* kStandard = "standard";             // means, then deviations, of the features; [2 × K]
inline constexpr const char* kRegression = "regression";         // γ, [K]
inline constexpr const char* kCovariance = "covariance";  // P_i, [items × (d + 1) × (d + 1)]; Var c_i alone before

[[nodiscard]] inline std::vector<double>& hidden(ServerState& state, const char* name) {
  return state.hidden[name];
}

// Eigenvectors in descending order of their values.
[[nodiscard]] inline SymmetricEigen descending(const SmallMatrix& a, std::size_t n) {
  const SymmetricEigen found = symmetric_eigen(a, n);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](std::size_t i, std::size_t j) { return found.values[i] > found.values[j]; });
  SymmetricEigen sorted{std::vector<double>(n), std::vector<double>(n * n)};
  for (std::size_t k = 0; k < n; ++k) {
    sorted.values[k] = found.values[order[k]];
    for (std::size_t i = 0; i < n; ++i) sorted.vectors[i * n + k] = found.vectors[i * n + order[k]];
  }
  return sorted;
}

}  // namespace chorus::model::mf
