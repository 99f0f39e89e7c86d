#include "common/model/rating_sums.hpp"

#include <algorithm>
#include <cmath>

namespace chorus::model {
namespace {

double range_of(const dataset::DataContract& contract) noexcept {
  return double{contract.maximum} - double{contract.minimum};
}

}  // namespace

RatingScale unsurveyed_scale(const dataset::DataContract& contract) noexcept {
  return {.mean = (double{contract.minimum} + double{contract.maximum}) / 2, .deviation = range_of(contract) / 4};
}

std::optional<RatingScale> surveyed_scale(const dataset::DataContract& contract,
                                          std::span<const double> moments) noexcept {
  const double n = moments[moment::kRatings];
  if (n < 1) return std::nullopt;
  const double mean = std::clamp(moments[moment::kSum] / n, 0.0, 1.0);
  const double variance = std::clamp(moments[moment::kSquares] / n - mean * mean, 0.0, 1.0);
  return RatingScale{.mean = double{contract.minimum} + mean * range_of(contract),
                     .deviation = std::max(std::sqrt(variance), 1.0 / 64) * range_of(contract)};
}

void write_moments(const dataset::DataContract& contract, std::span<const Observation> training,
                   std::span<double> moments) {
  // Each r' lies in [0, 1], the sums are at most max_items_per_user.
  moments[moment::kDevices] = 1;
  moments[moment::kRatings] = static_cast<double>(training.size());
  for (const Observation& rating : training) {
    const double r = (double{rating.value} - double{contract.minimum}) / range_of(contract);
    moments[moment::kSum] += r;
    moments[moment::kSquares] += r * r;
  }
}

double squared_error(const dataset::DataContract& contract, double rating, double prediction) noexcept {
  const double kept = std::clamp(prediction, double{contract.minimum}, double{contract.maximum});
  const double error = (rating - kept) / range_of(contract);
  return error * error;
}

void write_metrics(const LocalData& data, double training_error, double held_out_error, std::span<double> metrics) {
  metrics[metric::kHeldOutError] = held_out_error;
  metrics[metric::kHeldOut] = static_cast<double>(data.held_out.size());
  metrics[metric::kTrainingError] = training_error;
  metrics[metric::kTraining] = static_cast<double>(data.training.size());
  metrics[metric::kDevices] = 1;
}

Quality read_quality(const dataset::DataContract& contract, std::span<const double> metrics) noexcept {
  const auto count = [&metrics](std::size_t k) {
    return static_cast<std::uint64_t>(std::llround(std::clamp(metrics[k], 0.0, 9e15)));
  };
  const auto rmse = [&metrics, &contract](std::size_t error, std::uint64_t n) {
    return n == 0 ? 0.0 : std::sqrt(std::max(0.0, metrics[error]) / static_cast<double>(n)) * range_of(contract);
  };
  Quality quality;
  quality.devices = count(metric::kDevices);
  quality.held_out_ratings = count(metric::kHeldOut);
  quality.training_ratings = count(metric::kTraining);
  quality.held_out_rmse = rmse(metric::kHeldOutError, quality.held_out_ratings);
  quality.training_rmse = rmse(metric::kTrainingError, quality.training_ratings);
  return quality;
}

}  // namespace chorus::model
