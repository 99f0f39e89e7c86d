#include "common/secagg/shamir.hpp"

#include <numeric>

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::secagg {
namespace {

Result<crypto::SecretBytes<32>> combine(const std::vector<Share>& shares, std::vector<std::uint32_t> positions) {
  const Recombination recombination(std::move(positions));
  std::vector<const Share*> chosen;
  for (const std::uint32_t position : recombination.positions()) chosen.push_back(&shares[position]);
  return recombination.combine(chosen);
}

std::vector<std::uint32_t> first(std::uint32_t count) {
  std::vector<std::uint32_t> positions(count);
  std::iota(positions.begin(), positions.end(), 0U);
  return positions;
}

TEST(Field, AgreesWithWideArithmeticAtItsEdges) {
  const std::uint64_t p = field::kPrime;
  for (const std::uint64_t a : {std::uint64_t{0}, std::uint64_t{1}, p / 2, p / 2 + 1, p - 2, p - 1}) {
    for (const std::uint64_t b : {std::uint64_t{0}, std::uint64_t{1}, p / 2, p / 2 + 1, p - 2, p - 1}) {
      EXPECT_EQ(field::add(a, b), (a + b) % p);
      EXPECT_EQ(field::subtract(a, b), (a + p - b) % p);
      EXPECT_EQ(field::multiply(a, b), static_cast<std::uint64_t>(static_cast<unsigned __int128>(a) * b % p));
    }
    if (a != 0) {
      EXPECT_EQ(field::multiply(a, field::invert(a)), 1U);
    }
  }
}

TEST(Field, AgreesWithWideArithmeticOnRandomElements) {
  sim::SeededRandom random(20);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t a = random.below(field::kPrime);
    const std::uint64_t b = random.below(field::kPrime);
    ASSERT_EQ(field::multiply(a, b), static_cast<std::uint64_t>(static_cast<unsigned __int128>(a) * b % field::kPrime));
  }
}

TEST(Shamir, EverySubsetOfThresholdSizeFindsTheSecret) {
  sim::SeededRandom random(21);
  constexpr std::uint32_t kMembers = 7;
  for (std::uint32_t threshold = 1; threshold <= kMembers; ++threshold) {
    const auto secret = random.secret<32>();
    const std::vector<Share> shares = split(secret, threshold, kMembers, random);
    for (std::uint32_t subset = 0; subset < (1U << kMembers); ++subset) {
      if (std::popcount(subset) != static_cast<int>(threshold)) continue;
      std::vector<std::uint32_t> positions;
      for (std::uint32_t i = 0; i < kMembers; ++i) {
        if (((subset >> i) & 1) != 0) positions.push_back(i);
      }
      const auto found = combine(shares, positions);
      ASSERT_TRUE(found.has_value());
      EXPECT_TRUE(*found == secret) << "subset " << subset;
    }
  }
}

TEST(Shamir, SecretsWithAllBitsSetAndClearSurvive) {
  sim::SeededRandom random(22);
  for (const std::uint8_t fill : std::initializer_list<std::uint8_t>{0x00, 0xff, 0x01, 0x80}) {
    ByteArray<32> raw;
    raw.fill(fill);
    const crypto::SecretBytes<32> secret{std::span<const std::uint8_t, 32>(raw)};
    const auto found = combine(split(secret, 40, 76, random), first(40));
    ASSERT_TRUE(found.has_value());
    EXPECT_TRUE(*found == secret);
  }
}

TEST(Shamir, OneShareTooFewFindsSomethingElse) {
  sim::SeededRandom random(23);
  const auto secret = random.secret<32>();
  const std::vector<Share> shares = split(secret, 5, 8, random);
  const auto found = combine(shares, first(4));
  EXPECT_TRUE(!found.has_value() || !(*found == secret));
}

// Below the threshold a share is uniform whatever the secret: at threshold 2 over a fixed share of member 0, every
// secret is still possible, and the bits of a share are balanced for the all-zero secret.
TEST(Shamir, SharesOfAZeroSecretAreBalanced) {
  sim::SeededRandom random(24);
  const crypto::SecretBytes<32> zero;
  std::array<int, 61> ones{};
  constexpr int kRuns = 4000;
  for (int run = 0; run < kRuns; ++run) {
    const std::vector<Share> shares = split(zero, 2, 2, random);
    ByteReader reader(shares[0].expose());
    const std::uint64_t limb = reader.u64();
    for (std::size_t bit = 0; bit < ones.size(); ++bit) ones[bit] += static_cast<int>((limb >> bit) & 1);
  }
  for (std::size_t bit = 0; bit < ones.size(); ++bit) {
    // 6 standard deviations of a fair coin.
    EXPECT_NEAR(ones[bit], kRuns / 2, 6 * std::sqrt(kRuns / 4.0)) << "bit " << bit;
  }
}

TEST(Shamir, LimbsBeyondTheirWidthAreTheDealersFault) {
  sim::SeededRandom random(25);
  std::vector<Share> shares = split(random.secret<32>(), 3, 5, random);
  // Bit 55 of the first limb, times Lagrange's coefficient -3 of position 1 among {0, 1, 2}.
  shares[1].expose()[6] ^= 0x80;
  const auto found = combine(shares, first(3));
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code(), ErrorCode::bad_dealer);
}

TEST(Shamir, AShareOutsideTheFieldIsRefused) {
  sim::SeededRandom random(26);
  for (const std::uint64_t value : {field::kPrime, field::kPrime + 1, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    std::vector<Share> shares = split(random.secret<32>(), 2, 3, random);
    ByteWriter writer;
    writer.u64(value);
    std::copy(writer.view().begin(), writer.view().end(), shares[0].expose().begin());
    const auto found = combine(shares, first(2));
    ASSERT_FALSE(found.has_value()) << value;
    EXPECT_EQ(found.error().code(), ErrorCode::bad_dealer);
  }
}

}  // namespace
}  // namespace chorus::secagg
