#include "common/model/ease/digits.hpp"

#include <cmath>

namespace chorus::model::ease {
namespace {

constexpr double kBase = 32;
constexpr double kWhole = kBase * kBase * kBase * kBase;  // 2^20: what a share of 1 becomes

constexpr double scale_of(std::size_t metric) noexcept {
  return metric < event_metric::kTraining ? kWhole : 1;
}

}  // namespace

void write_digits(std::span<const double> metrics, std::span<double> out) noexcept {
  for (std::size_t m = 0; m < event_metric::kSize; ++m) {
    double rest = std::nearbyint(metrics[m] * scale_of(m));
    double unit = kWhole / kBase;
    for (std::size_t k = 0; k < kDigits; ++k, unit /= kBase) {
      const double digit = std::floor(rest / unit);
      out[m * kDigits + k] = digit;
      rest -= digit * unit;
    }
  }
}

std::vector<double> read_digits(std::span<const double> sums) {
  std::vector<double> metrics(event_metric::kSize, 0.0);
  for (std::size_t m = 0; m < event_metric::kSize; ++m) {
    for (std::size_t k = 0; k < kDigits; ++k) metrics[m] = metrics[m] * kBase + sums[m * kDigits + k];
    metrics[m] /= scale_of(m);
  }
  return metrics;
}

}  // namespace chorus::model::ease
