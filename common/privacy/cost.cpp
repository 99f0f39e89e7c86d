#include "common/privacy/cost.hpp"

#include <cmath>
#include <limits>

#include "common/privacy/gaussian_accountant.hpp"

namespace chorus::privacy {
namespace {

constexpr double kUnitsPerOne = 0x1p48;

// Rounded up, and one unit more than the rounding of doubles could lose.
std::uint64_t units_of(double squared_mu) noexcept {
  const double units = std::ceil(squared_mu * kUnitsPerOne * (1 + 0x1p-50));
  // Not of a NaN either: an unbounded cost.
  return units < 0x1p63 ? static_cast<std::uint64_t>(units) : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace

Cost Cost::of_round(std::uint64_t squared_sensitivity, std::uint32_t honest, double sigma) noexcept {
  if (squared_sensitivity == 0 || honest == 0 || !(sigma > 0)) return unbounded();
  return Cost(units_of(static_cast<double>(squared_sensitivity) / (static_cast<double>(honest) * sigma * sigma)));
}

Cost Cost::of_noise_multiplier(double z) noexcept {
  return Cost(units_of(1 / (z * z)));
}

Result<Cost> Cost::within(const Budget& budget) {
  CHORUS_TRY(const double mu, gaussian_mu(budget));
  const double units = std::floor(mu * mu * kUnitsPerOne);
  return Cost(units < 0x1p63 ? static_cast<std::uint64_t>(units) : kUnbounded - 1);
}

double Cost::mu() const noexcept {
  if (is_unbounded()) return std::numeric_limits<double>::infinity();
  return std::sqrt(static_cast<double>(units_) / kUnitsPerOne);
}

Result<double> Cost::epsilon(double delta) const {
  CHORUS_TRY_DO(check_delta(delta));
  if (units_ == 0) return 0.0;
  if (is_unbounded()) return std::numeric_limits<double>::infinity();
  return gaussian_epsilon(mu(), delta);
}

}  // namespace chorus::privacy
