// Ed25519 (RFC 8032). Every signed byte string starts with a label of its own ("CHORUS/1/<name>", zero byte),
// so that a signature made for one purpose is worth nothing for another.
#pragma once

#include <string_view>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::crypto {

using PublicKey = ByteArray<32>;
using Signature = ByteArray<64>;

class SigningKey {
 public:
  // A fresh key.
  [[nodiscard]] static SigningKey generate(RandomSource& random);
  // From its 32-byte seed.
  [[nodiscard]] static SigningKey from_seed(SecretBytes<32> seed);

  [[nodiscard]] const PublicKey& public_key() const noexcept { return public_key_; }
  [[nodiscard]] const SecretBytes<32>& seed() const noexcept { return seed_; }
  // Signs label ‖ 0 ‖ message.
  [[nodiscard]] Signature sign(std::string_view label, ByteView message) const;
  // A copy, made on purpose.
  [[nodiscard]] SigningKey duplicate() const;

 private:
  SigningKey(SecretBytes<32> seed, const PublicKey& public_key) : seed_(std::move(seed)), public_key_(public_key) {}
  SecretBytes<32> seed_;
  PublicKey public_key_;
};

// Errors: bad_signature.
[[nodiscard]] Status verify(const PublicKey& key, std::string_view label, ByteView message, const Signature& signature);

}  // namespace chorus::crypto
