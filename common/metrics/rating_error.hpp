// How far predicted ratings are from the true ones. Stateless functions and plain accumulators.
#pragma once

#include <cstddef>
#include <span>

#include "common/base/result.hpp"

namespace chorus::metrics {

// Sums errors one by one, in 64-bit floats, in the order of the calls. A value; not thread-safe.
class RatingError {
 public:
  // Errors: non_finite, if either is a NaN or infinite; nothing is then added.
  [[nodiscard]] Status add(double predicted, double actual);
  // One user's share of (liked, not liked) pairs that the predictions order rightly (ranking.hpp, auc).
  void add_order(double auc) noexcept {
    ++ordered_users_;
    orders_ += auc;
  }
  // The errors of both: the sums of parts give the whole.
  void add(const RatingError& other) noexcept;

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  // REQUIRES: count() > 0.
  [[nodiscard]] double rmse() const;
  [[nodiscard]] double mae() const;
  // The mean of the orders that were added; 0, if there are none.
  [[nodiscard]] double auc() const noexcept {
    return ordered_users_ == 0 ? 0.0 : orders_ / static_cast<double>(ordered_users_);
  }

 private:
  std::size_t count_ = 0;
  double squares_ = 0;
  double absolutes_ = 0;
  std::size_t ordered_users_ = 0;
  double orders_ = 0;
};

// Root of the mean squared error, mean absolute error. Errors: invalid_argument (different lengths, nothing to
// measure), non_finite.
[[nodiscard]] Result<double> rmse(std::span<const float> predicted, std::span<const float> actual);
[[nodiscard]] Result<double> mae(std::span<const float> predicted, std::span<const float> actual);

}  // namespace chorus::metrics
