// Where randomness comes from. Only app/ and client/api make the system one; the seeded one lives in
// simulations/support, where no daemon can link it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "common/crypto/secret_bytes.hpp"

namespace chorus::crypto {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  // Fills `out` with independent uniform bytes.
  virtual void fill(std::span<std::uint8_t> out) = 0;

  // A uniform integer in [0, bound), by rejection. REQUIRES: bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
  [[nodiscard]] std::uint64_t u64();
  template <std::size_t N>
  [[nodiscard]] ByteArray<N> array() {
    ByteArray<N> out;
    fill(out);
    return out;
  }
  template <std::size_t N>
  [[nodiscard]] SecretBytes<N> secret() {
    SecretBytes<N> out;
    fill(out.expose());
    return out;
  }
};

// OpenSSL's CSPRNG. Thread-safe.
[[nodiscard]] std::unique_ptr<RandomSource> make_system_random();

}  // namespace chorus::crypto
