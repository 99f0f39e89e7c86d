// What the attacks are judged by. They use libm and may differ in the last bits between machines: nothing here is part
// of a model. Values; stateless functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/crypto/random_source.hpp"

namespace chorus::sim::audit {

// Φ, the standard normal distribution.
[[nodiscard]] double normal_cdf(double x);

// The chance that a positive scores more than a negative; a tie counts half, so that a score which says nothing is
// worth exactly 1/2 (metrics::auc counts it as lost, which suits a recommender and would flatter a defence).
// O(n log n). REQUIRES: neither is empty, no NaN.
[[nodiscard]] double attack_auc(std::span<const double> positives, std::span<const double> negatives);
// Its standard error for so many independent positives and negatives (Hanley and McNeil 1982, formula 2).
[[nodiscard]] double auc_error(double auc, std::size_t positives, std::size_t negatives);

// Spearman's rank correlation, ties at their middle rank; 0 if either is constant. REQUIRES: equal sizes.
[[nodiscard]] double rank_correlation(std::span<const double> a, std::span<const double> b);

// 0 … size − 1 in a uniform order (Fisher and Yates).
[[nodiscard]] std::vector<std::uint32_t> permutation(std::uint32_t size, crypto::RandomSource& random);

// Rows of features with what is to be told from them.
class Examples {
 public:
  explicit Examples(std::size_t features) : features_(features) {}
  // REQUIRES: row.size() == features().
  void add(std::span<const double> row, bool label);
  [[nodiscard]] std::size_t features() const noexcept { return features_; }
  [[nodiscard]] std::size_t size() const noexcept { return labels_.size(); }
  [[nodiscard]] std::span<const double> row(std::size_t r) const noexcept {
    return std::span(rows_).subspan(r * features_, features_);
  }
  [[nodiscard]] bool label(std::size_t r) const noexcept { return labels_[r] != 0; }

 private:
  std::size_t features_;
  std::vector<double> rows_;
  std::vector<std::uint8_t> labels_;
};

// Logistic regression over standardised features with a ridge of 1, by Newton's method: an attacker's classifier.
class Classifier {
 public:
  explicit Classifier(const Examples& examples);
  // Grows with the chance that the label is true; without an intercept.
  [[nodiscard]] double score(std::span<const double> row) const;
  // Of all examples, by their labels; 1/2 if they are all alike.
  [[nodiscard]] double auc(const Examples& examples) const;

 private:
  std::vector<double> means_;
  std::vector<double> weights_;  // of the features as they are
};

}  // namespace chorus::sim::audit
