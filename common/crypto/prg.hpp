// A pseudorandom generator: AES-256-CTR under a 32-byte seed. The initial counter block is the 8-byte big-endian
// `stream` followed by the 8-byte block counter, from 0.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "common/crypto/random_source.hpp"

namespace chorus::crypto {

class Prg final : public RandomSource {
 public:
  Prg(const SecretBytes<32>& seed, std::uint64_t stream);
  ~Prg() override;
  Prg(Prg&&) noexcept;
  Prg& operator=(Prg&&) noexcept;
  // The next bytes of the key stream.
  void fill(std::span<std::uint8_t> out) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chorus::crypto
