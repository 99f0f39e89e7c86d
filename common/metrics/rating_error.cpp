#include "common/metrics/rating_error.hpp"

#include <cmath>
#include <string>

#include "common/base/check.hpp"

namespace chorus::metrics {

namespace {

Result<RatingError> errors(std::span<const float> predicted, std::span<const float> actual) {
  if (predicted.size() != actual.size()) {
    return fail(ErrorCode::invalid_argument, "expected as many predictions as ratings, found " +
                                                 std::to_string(predicted.size()) + " and " +
                                                 std::to_string(actual.size()));
  }
  if (actual.empty()) return fail(ErrorCode::invalid_argument, "there is no rating to measure on");
  RatingError error;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (const auto added = error.add(predicted[i], actual[i]); !added) {
      return fail(added.error().at("rating " + std::to_string(i)));
    }
  }
  return error;
}

}  // namespace

Status RatingError::add(double predicted, double actual) {
  const double difference = predicted - actual;
  if (!std::isfinite(difference)) return fail(ErrorCode::non_finite, "a prediction or a rating is not a finite number");
  ++count_;
  squares_ += difference * difference;
  absolutes_ += std::abs(difference);
  return {};
}

void RatingError::add(const RatingError& other) noexcept {
  count_ += other.count_;
  squares_ += other.squares_;
  absolutes_ += other.absolutes_;
  ordered_users_ += other.ordered_users_;
  orders_ += other.orders_;
}

double RatingError::rmse() const {
  CHORUS_ENSURE(count_ > 0, "an error of something");
  return std::sqrt(squares_ / static_cast<double>(count_));
}

double RatingError::mae() const {
  CHORUS_ENSURE(count_ > 0, "an error of something");
  return absolutes_ / static_cast<double>(count_);
}

Result<double> rmse(std::span<const float> predicted, std::span<const float> actual) {
  CHORUS_TRY(const RatingError error, errors(predicted, actual));
  return error.rmse();
}

Result<double> mae(std::span<const float> predicted, std::span<const float> actual) {
  CHORUS_TRY(const RatingError error, errors(predicted, actual));
  return error.mae();
}

}  // namespace chorus::metrics
