#include "common/crypto/random_source.hpp"

#include <algorithm>
#include <cstddef>

#include <openssl/rand.h>

#include "common/base/check.hpp"

namespace chorus::crypto {

namespace {

class SystemRandom final : public RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override {
    // OpenSSL counts in int.
    constexpr std::size_t kMost = std::size_t{1} << 30;
    while (!out.empty()) {
      const std::size_t size = std::min(out.size(), kMost);
      // A process without randomness cannot keep any promise: it ends.
      CHORUS_ENSURE(RAND_priv_bytes(out.data(), static_cast<int>(size)) == 1, "the system gives random bytes");
      out = out.subspan(size);
    }
  }
};

}  // namespace

std::uint64_t RandomSource::u64() {
  const ByteArray<8> bytes = array<8>();
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

std::uint64_t RandomSource::below(std::uint64_t bound) {
  CHORUS_ENSURE(bound > 0, "there is an integer below the bound");
  // 2^64 mod bound: the draws below it would make the small residues likelier, so they are drawn again.
  const std::uint64_t excess = (0 - bound) % bound;
  std::uint64_t value = u64();
  while (value < excess) value = u64();
  return value % bound;
}

std::unique_ptr<RandomSource> make_system_random() {
  return std::make_unique<SystemRandom>();
}

}  // namespace chorus::crypto
