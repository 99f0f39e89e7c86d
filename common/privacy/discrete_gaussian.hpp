// The discrete Gaussian N_Z(0, σ²), fast and in constant time: inversion in tables of cumulative probabilities, the
// noise that each device adds to its update (design: privacy, section 1).
//
// Up to σ ≈ 10 one table; beyond, x = x₁ + k·x₂ of two independent discrete Gaussians with σ² = σ₁² + k²σ₂², and x₂
// again the sum of two where σ₂ is still large. Completing the square,
//   Σ_x₂ ρ_σ₁(y − k x₂) ρ_σ₂(x₂) = ρ_σ(y) Σ_x₂ ρ_τ(x₂ − c y),  1/τ² = k²/σ₁² + 1/σ₂²,  ρ_s(x) = e^(−x²/(2s²)),
// for some c, and by Poisson summation the last sum is τ√(2π) (1 ± ε), ε = 2 Σ_{j ≥ 1} e^(−2π²τ²j²), for every y. So
// the law of x is N_Z(0, σ²) but for factors in [(1 − ε)/(1 + ε), (1 + ε)/(1 − ε)], at a statistical distance of at
// most ε/(1 − ε). The condition is τ ≥ kLeastTau = 1.89, where that is below 2^-100. (Peikert 2010, theorem 3.1, and
// Micciancio and Walter 2017 have the same argument in n dimensions.) tests/common/privacy convolves tables exactly.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"
#include "common/privacy/noise_kernel.hpp"

namespace chorus::privacy {

// Immutable and thread-safe once made; making it takes about a millisecond.
class DiscreteGaussian {
 public:
  static constexpr double kLeastTau = 1.89;
  // What create() guarantees of statistical_distance().
  static constexpr double kMostDistanceLog2 = -90;

  // Errors: invalid_argument (σ outside [1/8, 2^20]).
  [[nodiscard]] static Result<DiscreteGaussian> create(double sigma);

  [[nodiscard]] double sigma() const noexcept { return sigma_; }
  // At least the statistical distance of one sample from N_Z(0, σ²); a vector of d samples is within d times it, which
  // belongs to δ.
  [[nodiscard]] double statistical_distance() const noexcept { return distance_; }
  // No sample's magnitude is above it.
  [[nodiscard]] std::int64_t largest() const noexcept;

  // Adds an independent sample to each lane, modulo 2^32. The randomness is AES-256-CTR under one seed that is drawn
  // from `random`; seed, key schedule and samples are wiped before it returns. No branch and no address depends on
  // them.
  void add_to(std::span<std::uint32_t> lanes, crypto::RandomSource& random) const;
  // The samples themselves.
  void fill(std::span<std::int32_t> samples, crypto::RandomSource& random) const;

  // One table, whose samples count `factor`-fold.
  struct Level {
    std::int64_t factor = 1;
    std::vector<Threshold> thresholds;
  };
  [[nodiscard]] const std::vector<Level>& levels() const noexcept { return levels_; }

 private:
  DiscreteGaussian() = default;
  template <typename Sink>
  void draw(std::size_t count, crypto::RandomSource& random, Sink&& sink) const;

  double sigma_ = 0;
  double distance_ = 0;
  std::vector<Level> levels_;
};

}  // namespace chorus::privacy
