#include "simulations/support/seeded_random.hpp"

#include "common/base/bytes.hpp"
#include "common/crypto/hash.hpp"

namespace chorus::sim {

namespace {

crypto::SecretBytes<32> key_of(std::uint64_t seed) {
  ByteWriter writer;
  writer.u64(seed);
  const Digest digest = crypto::sha256(writer.view());
  return crypto::SecretBytes<32>(digest);
}

}  // namespace

SeededRandom::SeededRandom(std::uint64_t seed) : generator_(key_of(seed), 0) {}

}  // namespace chorus::sim
