// Randomness that a number repeats, for simulations and tests. No daemon can link it: what it draws is no secret.
#pragma once

#include <cstdint>
#include <span>

#include "common/crypto/prg.hpp"
#include "common/crypto/random_source.hpp"

namespace chorus::sim {

// The key stream of crypto::Prg, stream 0, under SHA-256 of the seed's 8 little-endian bytes. Equal seeds give equal
// bytes on every machine. Not thread-safe; movable.
class SeededRandom final : public crypto::RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed);
  void fill(std::span<std::uint8_t> out) override { generator_.fill(out); }

 private:
  crypto::Prg generator_;
};

}  // namespace chorus::sim
