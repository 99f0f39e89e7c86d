// The sums that every family of ratings makes: a survey's moments, and the errors that ride along with a round's sum.
// Stateless.
#pragma once

#include <span>
#include <vector>

#include "common/model/model.hpp"

namespace chorus::model {

// A survey's moments of r' = (r − minimum) / range.
namespace moment {
inline constexpr std::size_t kDevices = 0, kRatings = 1, kSum = 2, kSquares = 3, kSize = 4;
}
// The numbers of a round's "metrics": squared errors are in units of the range, squared.
namespace metric {
inline constexpr std::size_t kHeldOutError = 0, kHeldOut = 1, kTrainingError = 2, kTraining = 3, kDevices = 4,
                             kSize = 5;
}

// On the contract's scale.
struct RatingScale {
  double mean = 0;
  double deviation = 1;  // at least a 64th of the range: ratings that are all the same have no spread to divide by
};

// Before anybody was asked: the middle of the scale, and a quarter of it.
[[nodiscard]] RatingScale unsurveyed_scale(const dataset::DataContract& contract) noexcept;
// moments: a sum of [moment::kSize]. Nothing, if nobody had a rating.
[[nodiscard]] std::optional<RatingScale> surveyed_scale(const dataset::DataContract& contract,
                                                        std::span<const double> moments) noexcept;
// moments: [moment::kSize], zeros, of one device with ratings.
void write_moments(const dataset::DataContract& contract, std::span<const Observation> training,
                   std::span<double> moments);

// ((r − r̂) / range)² ≤ 1, with the prediction kept on the contract's scale.
[[nodiscard]] double squared_error(const dataset::DataContract& contract, double rating, double prediction) noexcept;
// metrics: [metric::kSize], of one device; the errors are sums of squared_error().
void write_metrics(const LocalData& data, double training_error, double held_out_error, std::span<double> metrics);
// Of a sum of metrics; one that a hostile device made negative counts as zero.
[[nodiscard]] Quality read_quality(const dataset::DataContract& contract, std::span<const double> metrics) noexcept;

}  // namespace chorus::model
