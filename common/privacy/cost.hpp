// What a round costs a user: μ² of Gaussian privacy, which composition adds. Kept as a whole number of 2^-48, rounded
// up: sums are exact, the same on every machine and in every order, and never too small.
#pragma once

#include <compare>
#include <cstdint>

#include "common/privacy/mechanism.hpp"

namespace chorus::privacy {

class Cost {
 public:
  constexpr Cost() noexcept = default;  // nothing
  // The cost of a sum without noise: infinite.
  [[nodiscard]] static constexpr Cost unbounded() noexcept { return Cost(kUnbounded); }
  // Δ²/(N σ²): a sum over N honest contributors, each with noise of its own. Unbounded without any of the three.
  [[nodiscard]] static Cost of_round(std::uint64_t squared_sensitivity, std::uint32_t honest, double sigma) noexcept;
  // 1/z². REQUIRES: z > 0.
  [[nodiscard]] static Cost of_noise_multiplier(double z) noexcept;
  // The most that stays within a budget, by the exact accountant. Errors: invalid_argument.
  [[nodiscard]] static Result<Cost> within(const Budget& budget);

  // As it is stored. Every number is a cost.
  [[nodiscard]] static constexpr Cost from_units(std::uint64_t units) noexcept { return Cost(units); }
  [[nodiscard]] constexpr std::uint64_t units() const noexcept { return units_; }

  [[nodiscard]] constexpr bool is_unbounded() const noexcept { return units_ == kUnbounded; }
  // μ; infinite if unbounded.
  [[nodiscard]] double mu() const noexcept;
  // ε at δ by the exact accountant; 0 for no cost, infinite if unbounded. Errors: invalid_argument (δ).
  [[nodiscard]] Result<double> epsilon(double delta) const;

  // Costs that no number holds are unbounded.
  friend constexpr Cost operator+(Cost a, Cost b) noexcept {
    return Cost(a.units_ > kUnbounded - b.units_ ? kUnbounded : a.units_ + b.units_);
  }
  friend constexpr Cost operator*(std::uint64_t times, Cost each) noexcept {
    const unsigned __int128 all = static_cast<unsigned __int128>(times) * each.units_;
    return Cost(all > kUnbounded ? kUnbounded : static_cast<std::uint64_t>(all));
  }
  friend constexpr auto operator<=>(const Cost&, const Cost&) = default;

 private:
  static constexpr std::uint64_t kUnbounded = ~std::uint64_t{0};
  explicit constexpr Cost(std::uint64_t units) noexcept : units_(units) {}
  std::uint64_t units_ = 0;
};

// How often `each` fits between `spent` and `most`; 0 if it does not fit once. REQUIRES: each > 0.
[[nodiscard]] constexpr std::uint64_t rounds_between(Cost spent, Cost most, Cost each) noexcept {
  if (spent >= most || each.is_unbounded()) return 0;
  return (most.units() - spent.units()) / each.units();
}

}  // namespace chorus::privacy
