#include "common/privacy/reference_gaussian.hpp"

#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/privacy/sigma.hpp"

namespace chorus::privacy {

Result<ReferenceGaussian> ReferenceGaussian::create(double sigma, crypto::RandomSource& random) {
  CHORUS_TRY_DO(check_sigma(sigma));
  ReferenceGaussian out(random);
  // σ = mantissa · 2^exponent, the mantissa odd.
  int exponent = 0;
  auto mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(sigma, &exponent), 53));
  exponent -= 53;
  const int zeros = std::countr_zero(mantissa);
  mantissa >>= zeros;
  exponent += zeros;
  if (exponent > 0) {
    mantissa <<= exponent;
    exponent = 0;
  }
  out.scale_log2_ = static_cast<std::size_t>(-2 * exponent);  // at most 2 · 55
  out.square_ = resized<8>(product(WideInteger<1>(mantissa), WideInteger<1>(mantissa)));
  out.t_ = static_cast<std::uint64_t>(std::floor(sigma)) + 1;
  // γ = (|y| − σ²/t)² / (2σ²) = (|y| t − σ²)² / (2σ² t²), numerator and denominator times scale².
  out.denominator_ = resized<8>(product(out.square_, WideInteger<2>(out.t_ * out.t_))) << (out.scale_log2_ + 1);
  return out;
}

ReferenceGaussian::~ReferenceGaussian() {
  crypto::wipe(bits_);
}

bool ReferenceGaussian::coin() {
  if (next_bit_ == 8 * sizeof(bits_)) {
    random_->fill(bits_);
    next_bit_ = 0;
  }
  const bool bit = (bits_[next_bit_ / 8] >> (next_bit_ % 8) & 1) != 0;
  ++next_bit_;
  return bit;
}

// Whether a uniform number of [0, 1), drawn a bit at a time, is below numerator/denominator: the first bit in which the
// two binary expansions differ decides. REQUIRES: numerator ≤ denominator.
bool ReferenceGaussian::coin(const Wide& numerator, const Wide& denominator) {
  if (numerator == denominator) return true;
  Wide rest = numerator;
  while (rest != Wide()) {
    rest <<= 1;
    const bool digit = rest >= denominator;
    if (digit) rest -= denominator;
    if (coin() != digit) return digit;
  }
  return false;
}

bool ReferenceGaussian::exponential_coin(Ratio gamma) {
  static const Ratio kOne{Wide(1), Wide(1)};
  while (gamma.numerator > gamma.denominator) {
    if (!exponential_coin(kOne)) return false;
    gamma.numerator -= gamma.denominator;
  }
  // e^(−γ) for γ ≤ 1: the chance that a run of coins of γ/1, γ/2, γ/3 … first fails at an odd place.
  Wide denominator = gamma.denominator;
  for (bool odd = true;; odd = !odd) {
    if (!coin(gamma.numerator, denominator)) return odd;
    denominator += gamma.denominator;
  }
}

std::int64_t ReferenceGaussian::laplace() {
  for (;;) {
    const std::uint64_t low = random_->below(t_);
    if (!exponential_coin({Wide(low), Wide(t_)})) continue;
    std::uint64_t high = 0;
    while (exponential_coin({Wide(1), Wide(1)})) ++high;
    const auto magnitude = static_cast<std::int64_t>(low + t_ * high);
    const bool negative = coin();
    if (negative && magnitude == 0) continue;  // or zero would come twice as often
    return negative ? -magnitude : magnitude;
  }
}

std::int64_t ReferenceGaussian::sample() {
  for (;;) {
    const std::int64_t y = laplace();
    const auto magnitude = static_cast<std::uint64_t>(y < 0 ? -y : y);
    CHORUS_ENSURE(magnitude < std::uint64_t{1} << 40, "a Laplace sample is below its scale's 2^19-fold");
    const Wide reach = resized<8>(product(WideInteger<1>(magnitude), WideInteger<1>(t_))) << scale_log2_;
    const Wide distance = reach > square_ ? reach - square_ : square_ - reach;
    // |y| t scale < 2^(40 + 21 + 110), its square below 2^342.
    const auto half = resized<4>(distance);
    if (exponential_coin({product(half, half), denominator_})) return y;
  }
}

}  // namespace chorus::privacy
