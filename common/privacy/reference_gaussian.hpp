// The discrete Gaussian N_Z(0, σ²), P(x) ∝ e^(−x²/(2σ²)), sampled exactly: rejection from a discrete Laplace law with
// coins of probability e^(−γ) for rational γ (Canonne, Kamath and Steinke 2020, algorithms 1, 2 and 3). Integers and
// rationals only, no floating point in any decision.
//
// Its running time depends on what it draws: the reference that the table sampler is held against, not the hot path.
#pragma once

#include <array>
#include <cstdint>

#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"
#include "common/privacy/wide_integer.hpp"

namespace chorus::privacy {

// Not thread-safe. `random` outlives it.
class ReferenceGaussian {
 public:
  // σ is taken as the rational number that the double is. Errors: invalid_argument (σ outside [1/8, 2^20]).
  [[nodiscard]] static Result<ReferenceGaussian> create(double sigma, crypto::RandomSource& random);
  ReferenceGaussian(const ReferenceGaussian&) = delete;
  ReferenceGaussian& operator=(const ReferenceGaussian&) = delete;
  ReferenceGaussian(ReferenceGaussian&&) noexcept = default;
  ReferenceGaussian& operator=(ReferenceGaussian&&) noexcept = default;
  ~ReferenceGaussian();

  [[nodiscard]] std::int64_t sample();

 private:
  using Wide = WideInteger<8>;
  // A rational number, not reduced.
  struct Ratio {
    Wide numerator;
    Wide denominator;
  };

  ReferenceGaussian(crypto::RandomSource& random) : random_(&random) {}
  [[nodiscard]] bool coin();  // a fair one
  [[nodiscard]] bool coin(const Wide& numerator, const Wide& denominator);
  [[nodiscard]] bool exponential_coin(Ratio gamma);  // true with probability e^(−γ)
  [[nodiscard]] std::int64_t laplace();              // P(x) ∝ e^(−|x|/t)

  crypto::RandomSource* random_;
  // σ² = square_ / scale_ with scale_ a power of four; t = ⌊σ⌋ + 1.
  Wide square_;
  std::size_t scale_log2_ = 0;
  std::uint64_t t_ = 1;
  Wide denominator_;  // of the acceptance exponent: 2 σ² t² in the units of its numerator

  std::array<std::uint8_t, 64> bits_{};
  std::size_t next_bit_ = 8 * sizeof(bits_);
};

}  // namespace chorus::privacy
