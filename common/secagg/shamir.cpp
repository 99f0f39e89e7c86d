#include "common/secagg/shamir.hpp"

#include <cstring>

#include "common/base/check.hpp"

namespace chorus::secagg {

namespace field {

std::uint64_t invert(std::uint64_t a) noexcept {
  std::uint64_t result = 1;
  std::uint64_t power = a;
  for (std::uint64_t exponent = kPrime - 2; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = multiply(result, power);
    power = multiply(power, power);
  }
  return result;
}

}  // namespace field

namespace {

constexpr int kLimbBits = 52;
constexpr std::uint64_t kLimbMask = (std::uint64_t{1} << kLimbBits) - 1;
constexpr int kTopLimbBits = 256 - 4 * kLimbBits;
static_assert(kTopLimbBits == 48);

using Limbs = std::array<std::uint64_t, kLimbs>;
using SecretWords = crypto::ZeroizingVector<std::uint64_t>;

void wipe(Limbs& limbs) noexcept {
  crypto::wipe({reinterpret_cast<std::uint8_t*>(limbs.data()), sizeof(limbs)});
}

// Bit k·52 of the little-endian secret begins limb k.
void cut(std::span<const std::uint8_t, 32> secret, Limbs& limbs) noexcept {
  std::array<std::uint64_t, 5> words{};  // one word of zeros behind the four
  std::memcpy(words.data(), secret.data(), 32);
  for (std::size_t k = 0; k < kLimbs; ++k) {
    const std::size_t bit = k * kLimbBits;
    const std::size_t word = bit / 64;
    const int shift = static_cast<int>(bit % 64);
    std::uint64_t value = words[word] >> shift;
    if (shift > 64 - kLimbBits) value |= words[word + 1] << (64 - shift);
    limbs[k] = value & kLimbMask;
  }
  wipe(words);
}

void join(const Limbs& limbs, std::span<std::uint8_t, 32> secret) noexcept {
  std::array<std::uint64_t, 5> words{};
  for (std::size_t k = 0; k < kLimbs; ++k) {
    const std::size_t bit = k * kLimbBits;
    const std::size_t word = bit / 64;
    const int shift = static_cast<int>(bit % 64);
    words[word] |= limbs[k] << shift;
    if (shift > 64 - kLimbBits) words[word + 1] |= limbs[k] >> (64 - shift);
  }
  std::memcpy(secret.data(), words.data(), 32);
  wipe(words);
}

// Uniform in [0, p), by rejection of the one value too many of 61 bits: the chance is 2^-61, and what is rejected is
// never used, so the branch tells nothing.
std::uint64_t draw(crypto::RandomSource& random) {
  for (;;) {
    const std::uint64_t value = random.u64() >> 3;
    if (value != field::kPrime) return value;
  }
}

}  // namespace

std::vector<Share> split(const crypto::SecretBytes<32>& secret, std::uint32_t threshold, std::uint32_t members,
                         crypto::RandomSource& random) {
  CHORUS_ENSURE(threshold >= 1 && threshold <= members, "a threshold lies between 1 and the number of members");
  Limbs constants;
  cut(secret.expose(), constants);
  // [threshold × kLimbs], row c: the coefficients of x^c.
  SecretWords coefficients(std::size_t{threshold} * kLimbs);
  std::copy(constants.begin(), constants.end(), coefficients.begin());
  wipe(constants);
  for (std::size_t i = kLimbs; i < coefficients.size(); ++i) coefficients[i] = draw(random);

  std::vector<Share> shares(members);
  for (std::uint32_t position = 0; position < members; ++position) {
    const std::uint64_t x = std::uint64_t{position} + 1;
    Limbs value{};
    for (std::size_t c = threshold; c-- > 0;) {  // Horner, the five limbs side by side
      for (std::size_t k = 0; k < kLimbs; ++k) {
        value[k] = field::add(field::multiply(value[k], x), coefficients[c * kLimbs + k]);
      }
    }
    std::memcpy(shares[position].expose().data(), value.data(), kShareSize);
    wipe(value);
  }
  return shares;
}

Recombination::Recombination(std::vector<std::uint32_t> positions) : positions_(std::move(positions)) {
  // λ_j = Π_{m ≠ j} x_m / (x_m − x_j); x is public.
  coefficients_.reserve(positions_.size());
  for (const std::uint32_t j : positions_) {
    std::uint64_t numerator = 1;
    std::uint64_t denominator = 1;
    for (const std::uint32_t m : positions_) {
      if (m == j) continue;
      numerator = field::multiply(numerator, std::uint64_t{m} + 1);
      denominator = field::multiply(denominator, field::subtract(std::uint64_t{m} + 1, std::uint64_t{j} + 1));
    }
    CHORUS_ENSURE(denominator != 0, "positions are distinct");
    coefficients_.push_back(field::multiply(numerator, field::invert(denominator)));
  }
}

std::uint64_t Recombination::interpolate(std::span<const Share* const> shares, crypto::SecretBytes<32>& secret) const {
  CHORUS_ENSURE(shares.size() == positions_.size(), "one share a position");
  Limbs sum{};
  std::uint64_t out_of_field = 0;
  for (std::size_t j = 0; j < shares.size(); ++j) {
    Limbs value;
    std::memcpy(value.data(), shares[j]->expose().data(), kShareSize);
    for (std::size_t k = 0; k < kLimbs; ++k) {
      // (p − 1 − v) has its top bit set exactly for v ≥ p, as v < 2^63 or not at all a field element.
      out_of_field |= (field::kPrime - 1 - value[k]) | value[k];
      sum[k] = field::add(sum[k], field::multiply(value[k] & field::kPrime, coefficients_[j]));
    }
    wipe(value);
  }
  std::uint64_t too_wide = (sum[kLimbs - 1] >> kTopLimbBits);
  for (std::size_t k = 0; k + 1 < kLimbs; ++k) too_wide |= sum[k] >> kLimbBits;
  join(sum, secret.expose());
  wipe(sum);
  return (out_of_field >> 63) | too_wide;
}

Result<crypto::SecretBytes<32>> Recombination::combine(std::span<const Share* const> shares) const {
  crypto::SecretBytes<32> secret;
  if (interpolate(shares, secret) != 0) return fail(ErrorCode::bad_dealer, "the shares are not a split of 32 bytes");
  return secret;
}

}  // namespace chorus::secagg
