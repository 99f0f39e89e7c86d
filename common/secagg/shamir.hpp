// Shamir's secret sharing over p = 2^61 − 1 (Shamir, CACM 1979), without a branch or an address that depends on a
// secret. A 32-byte secret is cut into five limbs, four of 52 bits and one of 48; member `position` gets the values of
// five polynomials of degree t − 1 at x = position + 1.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::secagg {

namespace field {

inline constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;

// Arithmetic on [0, p); constant time.
[[nodiscard]] constexpr std::uint64_t reduce_once(std::uint64_t a) noexcept {
  // a < 2p. The borrow of a − p, spread over the word, selects.
  const std::uint64_t difference = a - kPrime;
  const std::uint64_t borrow = std::uint64_t{0} - (difference >> 63);
  return (a & borrow) | (difference & ~borrow);
}
[[nodiscard]] constexpr std::uint64_t add(std::uint64_t a, std::uint64_t b) noexcept {
  return reduce_once(a + b);
}
[[nodiscard]] constexpr std::uint64_t subtract(std::uint64_t a, std::uint64_t b) noexcept {
  return reduce_once(a + (kPrime - b));
}
[[nodiscard]] constexpr std::uint64_t multiply(std::uint64_t a, std::uint64_t b) noexcept {
  // product < 2^122 = hi·2^61 + lo with hi, lo < 2^61, and 2^61 ≡ 1, so the sum is below 2^62 < 2p + 2.
  const auto product = static_cast<unsigned __int128>(a) * b;
  const std::uint64_t low = static_cast<std::uint64_t>(product) & kPrime;
  const std::uint64_t high = static_cast<std::uint64_t>(product >> 61);
  return reduce_once(low + high);
}
// a^(p−2); the exponent is public. REQUIRES: a ≠ 0.
[[nodiscard]] std::uint64_t invert(std::uint64_t a) noexcept;

}  // namespace field

inline constexpr std::size_t kLimbs = 5;
inline constexpr std::size_t kShareSize = kLimbs * 8;

// The five values of one member; 40 bytes little-endian. Secret until it is opened.
using Share = crypto::SecretBytes<kShareSize>;

// Shares of `secret` for positions 0 … members − 1; fewer than `threshold` of them are uniformly random.
// REQUIRES: 1 ≤ threshold ≤ members < p.
[[nodiscard]] std::vector<Share> split(const crypto::SecretBytes<32>& secret, std::uint32_t threshold,
                                       std::uint32_t members, crypto::RandomSource& random);

// The coefficients with which the shares of one set of positions make a secret: made once, used for many secrets.
// Immutable, thread-safe.
class Recombination {
 public:
  // REQUIRES: positions are distinct, and as many as the threshold with which the secrets were split.
  explicit Recombination(std::vector<std::uint32_t> positions);
  [[nodiscard]] const std::vector<std::uint32_t>& positions() const noexcept { return positions_; }
  // shares[k] belongs to positions()[k]. Errors: bad_dealer, if a share is not five field elements or the limbs found
  // are beyond their width: then these shares were never a split of 32 bytes.
  [[nodiscard]] Result<crypto::SecretBytes<32>> combine(std::span<const Share* const> shares) const;
  // The same without a branch on what the shares say: 0, and the secret; or a number that is not, and bytes that mean
  // nothing.
  [[nodiscard]] std::uint64_t interpolate(std::span<const Share* const> shares, crypto::SecretBytes<32>& secret) const;

 private:
  std::vector<std::uint32_t> positions_;
  std::vector<std::uint64_t> coefficients_;  // Lagrange's, at 0
};

}  // namespace chorus::secagg
