// Both samplers against the exact law: the tables by interval arithmetic, the draws by χ² and moments.
#include "common/privacy/discrete_gaussian.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include <gtest/gtest.h>

#include "common/privacy/interval.hpp"
#include "common/privacy/reference_gaussian.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::privacy {
namespace {

constexpr std::size_t kDraws = 1'000'000;
constexpr std::uint64_t kTopBit = std::uint64_t{1} << 63;

// ---- the law of the tables ---------------------------------------------------------------------------------

// P(|X| = k) of one level, in units of 2^-127, exactly.
std::vector<unsigned __int128> masses_of(const DiscreteGaussian::Level& level) {
  std::vector<unsigned __int128> masses;
  unsigned __int128 before = 0;
  for (const Threshold& t : level.thresholds) {
    const unsigned __int128 threshold = static_cast<unsigned __int128>(t.high) << 64 | (t.low_flipped ^ kTopBit);
    masses.push_back(threshold - before);
    before = threshold;
  }
  masses.push_back((static_cast<unsigned __int128>(1) << 127) - before);
  return masses;
}

Fixed fixed_of(unsigned __int128 units, std::size_t places) {
  Fixed out;
  out.words[0] = static_cast<std::uint64_t>(units);
  out.words[1] = static_cast<std::uint64_t>(units >> 64);
  return out << (kPlaces - places);
}

// The law of x = Σ factor_i · x_i, by convolution, rounded down to 2^-256. [reach + x]
std::vector<Fixed> law_of(const DiscreteGaussian& sampler) {
  const auto reach = static_cast<std::size_t>(sampler.largest());
  std::vector<Fixed> law(2 * reach + 1);
  law[reach] = Fixed(1) << kPlaces;
  for (const auto& level : sampler.levels()) {
    const auto masses = masses_of(level);
    std::vector<Fixed> next(law.size());
    const auto factor = static_cast<std::size_t>(level.factor);
    for (std::size_t x = 0; x < law.size(); ++x) {
      if (law[x] == Fixed()) continue;
      for (std::size_t k = 0; k < masses.size(); ++k) {
        const Fixed part = resized<5>(product(law[x], fixed_of(masses[k], 128)) >> kPlaces);  // half, for either sign
        next[x + factor * k] += part;
        next[x - factor * k] += part;
      }
    }
    law = std::move(next);
  }
  return law;
}

// ½ Σ |P'(x) − P(x)| over all x.
double distance_of(const DiscreteGaussian& sampler) {
  const std::vector<Fixed> law = law_of(sampler);
  const auto reach = static_cast<std::size_t>(sampler.largest());
  const Interval sigma = Interval::of(sampler.sigma());
  const Interval two_variance = sigma * sigma + sigma * sigma;
  std::vector<Interval> weights;
  Interval total = Interval::of(std::uint64_t{0});
  for (std::size_t x = 0; x <= reach + static_cast<std::size_t>(20 * sampler.sigma()); ++x) {
    weights.push_back(exp_minus(Interval::of(static_cast<std::uint64_t>(x * x)) / two_variance));
    total = total + weights.back();
    if (x > 0) total = total + weights.back();
  }
  Fixed sum;
  for (std::size_t x = 0; x < weights.size(); ++x) {
    const Fixed exact = (weights[x] / total).low;
    const Fixed mine = x <= reach ? law[reach + x] : Fixed();
    const Fixed apart = mine > exact ? mine - exact : exact - mine;
    sum += apart;
    if (x > 0) sum += apart;
  }
  return to_double(sum) / 2;
}

TEST(DiscreteGaussian, OneTableIsAsCloseToTheExactLawAsItSays) {
  for (const double sigma : {0.125, 0.5, 1.3, 4.0, 7.5}) {
    const auto sampler = DiscreteGaussian::create(sigma);
    ASSERT_TRUE(sampler.has_value());
    EXPECT_EQ(sampler->levels().size(), 1U) << sigma;
    const double distance = distance_of(*sampler);
    EXPECT_LE(distance, sampler->statistical_distance()) << sigma;
    EXPECT_GE(distance, sampler->statistical_distance() / 4) << sigma << ": the bound is no guess";
    EXPECT_LE(std::log2(sampler->statistical_distance()), DiscreteGaussian::kMostDistanceLog2);
  }
}

// The smoothing argument, verified: the convolution of the tables themselves against the law that they should have.
TEST(DiscreteGaussian, ConvolvedTablesAreAsCloseToTheExactLawAsTheirSmoothingSays) {
  for (const double sigma : {16.0, 50.0, 123.456}) {
    const auto sampler = DiscreteGaussian::create(sigma);
    ASSERT_TRUE(sampler.has_value());
    EXPECT_GE(sampler->levels().size(), 2U) << sigma;
    EXPECT_LE(distance_of(*sampler), sampler->statistical_distance()) << sigma;
    EXPECT_LE(std::log2(sampler->statistical_distance()), DiscreteGaussian::kMostDistanceLog2) << sigma;
  }
}

// The control: with τ = 1 the same construction is visibly not a discrete Gaussian, as 2 e^(−2π²) = 5e-9 says.
TEST(DiscreteGaussian, ControlASplitThatIsNotSmoothIsFarFromTheLaw) {
  // σ₁ = 4√2, σ₂ = √2, k = 4: 1/τ² = 16/32 + 1/2.
  const auto weight = [](double x, double variance) { return std::exp(-x * x / (2 * variance)); };
  double worst = 0;
  for (int y = 0; y < 8; ++y) {
    double sum = 0;
    for (int x = -30; x <= 30; ++x) sum += weight(y - 4 * x, 32) * weight(x, 2);
    const double ratio = sum / weight(y, 64) / std::sqrt(2 * std::numbers::pi);
    worst = std::max(worst, std::abs(ratio - 1));
  }
  EXPECT_NEAR(worst, 2 * std::exp(-2 * std::numbers::pi * std::numbers::pi), 1e-10);
}

TEST(DiscreteGaussian, SamplesForEverySizeThatARoundMayAskFor) {
  for (double sigma = 0.125; sigma <= 0x1p20; sigma *= 1.37) {
    const auto sampler = DiscreteGaussian::create(sigma);
    ASSERT_TRUE(sampler.has_value()) << sigma;
    EXPECT_LE(std::log2(sampler->statistical_distance()), DiscreteGaussian::kMostDistanceLog2) << sigma;
    double variance = 0;  // of the tables, from their own masses
    for (const auto& level : sampler->levels()) {
      const auto masses = masses_of(level);
      for (std::size_t k = 0; k < masses.size(); ++k) {
        const double x = static_cast<double>(level.factor) * static_cast<double>(k);
        variance += std::ldexp(static_cast<double>(masses[k]), -127) * x * x;
      }
    }
    if (sigma >= 2) {
      EXPECT_NEAR(variance / (sigma * sigma), 1, 1e-12) << sigma;
    }
    EXPECT_LE(sampler->largest(), std::int64_t{1} << 25);
  }
}

TEST(DiscreteGaussian, RefusesASigmaThatItDoesNotKnow) {
  sim::SeededRandom random(1);
  for (const double sigma : {0.0, -1.0, 0.1, 2e6, std::nan("")}) {
    EXPECT_EQ(DiscreteGaussian::create(sigma).error().where(), "sigma") << sigma;
    EXPECT_EQ(ReferenceGaussian::create(sigma, random).error().where(), "sigma") << sigma;
  }
}

// ---- the draws ---------------------------------------------------------------------------------------------

// Of a Pearson statistic with `freedom` degrees: the chance of as much or more (Wilson and Hilferty's approximation).
double chi_square_chance(double statistic, double freedom) {
  const double cube = std::cbrt(statistic / freedom);
  const double z = (cube - (1 - 2 / (9 * freedom))) / std::sqrt(2 / (9 * freedom));
  return 0.5 * std::erfc(z / std::numbers::sqrt2);
}

// How draws compare with N_Z(0, σ²).
struct Fit {
  double mean_errors = 0;      // off by so many standard errors
  double variance_errors = 0;  // likewise
  double chance = 0;           // of a χ² as large or larger
};

Fit fit(const std::vector<std::int64_t>& draws, double sigma) {
  const double count = static_cast<double>(draws.size());
  const auto weight = [&](std::int64_t x) {
    return std::exp(-static_cast<double>(x) * static_cast<double>(x) / (2 * sigma * sigma));
  };
  double total = 0;
  double variance = 0;
  double fourth = 0;
  const auto reach = static_cast<std::int64_t>(40 * sigma + 10);
  for (std::int64_t x = -reach; x <= reach; ++x) {
    const double square = static_cast<double>(x) * static_cast<double>(x);
    total += weight(x);
    variance += weight(x) * square;
    fourth += weight(x) * square * square;
  }
  variance /= total;
  fourth /= total;

  double sum = 0;
  double squares = 0;
  std::map<std::int64_t, double> seen;
  for (const std::int64_t x : draws) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
    ++seen[x];
  }
  Fit found;
  found.mean_errors = sum / count / std::sqrt(variance / count);
  found.variance_errors = (squares / count - variance) / std::sqrt((fourth - variance * variance) / count);

  // χ² over the values that are expected at least ten times; both tails together are one more bin.
  std::int64_t last = 0;
  while (count * weight(last + 1) / total >= 10) ++last;
  double statistic = 0;
  double rest_seen = count;
  double rest_expected = count;
  const auto add = [&](double observed, double expected) {
    statistic += (observed - expected) * (observed - expected) / expected;
  };
  for (std::int64_t x = -last; x <= last; ++x) {
    const double expected = count * weight(x) / total;
    add(seen[x], expected);
    rest_seen -= seen[x];
    rest_expected -= expected;
  }
  double freedom = static_cast<double>(2 * last);
  if (rest_expected > 5) {
    add(rest_seen, rest_expected);
    ++freedom;
  }
  found.chance = chi_square_chance(statistic, freedom);
  return found;
}

void expect_discrete_gaussian(const std::vector<std::int64_t>& draws, double sigma) {
  const Fit found = fit(draws, sigma);
  EXPECT_LT(std::abs(found.mean_errors), 5);
  EXPECT_LT(std::abs(found.variance_errors), 5);
  EXPECT_GT(found.chance, 1e-4);
  EXPECT_LT(found.chance, 1 - 1e-4) << "too good to be drawn";
}

class Draws : public ::testing::TestWithParam<double> {};

TEST_P(Draws, OfTheReferenceHaveTheExactLaw) {
  sim::SeededRandom random(20'200);
  auto sampler = ReferenceGaussian::create(GetParam(), random);
  ASSERT_TRUE(sampler.has_value());
  std::vector<std::int64_t> draws(kDraws);
  for (std::int64_t& x : draws) x = sampler->sample();
  expect_discrete_gaussian(draws, GetParam());
}

TEST_P(Draws, OfTheTablesHaveTheExactLaw) {
  sim::SeededRandom random(20'201);
  const auto sampler = DiscreteGaussian::create(GetParam());
  ASSERT_TRUE(sampler.has_value());
  std::vector<std::int32_t> samples(kDraws);
  sampler->fill(samples, random);
  expect_discrete_gaussian({samples.begin(), samples.end()}, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Sigma, Draws, ::testing::Values(0.5, 4.0, 50.0));

// The control: a test that takes anything would prove nothing.
TEST(Draws, ControlOfALawThatIsOnePercentWiderAreFound) {
  sim::SeededRandom random(3);
  std::vector<std::int32_t> samples(kDraws);
  DiscreteGaussian::create(4.04)->fill(samples, random);
  EXPECT_LT(fit({samples.begin(), samples.end()}, 4.0).chance, 1e-4);
}

TEST(Draws, AddedToLanesAreTheSameSamplesModuloTheWord) {
  for (const double sigma : {4.0, 50.0}) {
    const auto sampler = DiscreteGaussian::create(sigma);
    for (const std::size_t size : {1UL, 511UL, 512UL, 513UL, 2'000UL}) {
      sim::SeededRandom one(7);
      sim::SeededRandom two(7);
      std::vector<std::int32_t> samples(size);
      sampler->fill(samples, one);
      std::vector<std::uint32_t> lanes(size, 5);
      sampler->add_to(lanes, two);
      for (std::size_t k = 0; k < size; ++k) EXPECT_EQ(lanes[k], 5 + static_cast<std::uint32_t>(samples[k]));
    }
  }
}

TEST(NoiseKernel, EveryInstructionSetDrawsTheSameNumbersAtTheThresholdsToo) {
  const auto sampler = DiscreteGaussian::create(4.0);
  const auto& thresholds = sampler->levels().front().thresholds;
  sim::SeededRandom random(8);
  alignas(64) std::array<std::uint64_t, 2 * kNoiseBlock> words;
  random.fill({reinterpret_cast<std::uint8_t*>(words.data()), sizeof words});
  // A threshold, the number below it and the one above, with either sign: where a comparison goes wrong first.
  std::size_t k = 0;
  std::array<std::int64_t, kNoiseBlock> wanted{};
  const std::size_t tested = 6 * thresholds.size();
  ASSERT_LE(tested, kNoiseBlock);
  for (std::size_t t = 0; t < thresholds.size(); ++t) {
    const unsigned __int128 threshold =
        static_cast<unsigned __int128>(thresholds[t].high) << 64 | (thresholds[t].low_flipped ^ kTopBit);
    for (const int offset : {-1, 0, 1}) {
      for (const bool negative : {false, true}) {
        const unsigned __int128 v = threshold + static_cast<unsigned __int128>(static_cast<__int128>(offset));
        words[k] = static_cast<std::uint64_t>(v >> 64) | (negative ? kTopBit : 0);
        words[kNoiseBlock + k] = static_cast<std::uint64_t>(v);
        const auto magnitude = static_cast<std::int64_t>(offset < 0 ? t : t + 1);
        wanted[k++] = 3 * (negative ? -magnitude : magnitude);
      }
    }
  }
  alignas(64) std::array<std::int64_t, kNoiseBlock> fast{};
  alignas(64) std::array<std::int64_t, kNoiseBlock> plain{};
  noise_kernel()(words.data(), thresholds, 3, fast.data());
  baseline_noise_kernel()(words.data(), thresholds, 3, plain.data());
  EXPECT_EQ(fast, plain);
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(tested), plain.begin()));
}

}  // namespace
}  // namespace chorus::privacy
