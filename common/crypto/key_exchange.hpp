// X25519 (RFC 7748). The raw shared point is never a key: callers pass it through hkdf_sha256.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"

namespace chorus::crypto {

using ExchangeKey = ByteArray<32>;  // a public key

// Whether every agreement with this key gives all zeros: a point whose order divides the cofactor, 8, in any of its
// encodings (RFC 7748, section 6.1). Public data: not constant-time.
[[nodiscard]] bool is_low_order(const ExchangeKey& key) noexcept;

// A key pair for one session. Moves; wipes its secret. Not thread-safe.
class ExchangeSecret {
 public:
  [[nodiscard]] static ExchangeSecret generate(RandomSource& random);
  [[nodiscard]] static ExchangeSecret from_bytes(SecretBytes<32> secret);

  [[nodiscard]] const ExchangeKey& public_key() const noexcept { return public_key_; }
  [[nodiscard]] const SecretBytes<32>& secret() const noexcept { return secret_; }

 private:
  explicit ExchangeSecret(SecretBytes<32> secret) : secret_(std::move(secret)) {}
  SecretBytes<32> secret_;
  ExchangeKey public_key_{};
};

// The other side's key, prepared for agreements with several secrets. Immutable, thread-safe.
class ExchangePeer {
 public:
  explicit ExchangePeer(const ExchangeKey& key);
  ~ExchangePeer();
  ExchangePeer(ExchangePeer&&) noexcept;
  ExchangePeer& operator=(ExchangePeer&&) noexcept;

 private:
  friend class Exchange;
  struct State;
  std::unique_ptr<State> state_;
};

// One side's half of many agreements: the private key is prepared once. Not thread-safe; make one a thread.
class Exchange {
 public:
  explicit Exchange(const SecretBytes<32>& secret);
  ~Exchange();
  Exchange(Exchange&&) noexcept;
  Exchange& operator=(Exchange&&) noexcept;
  // The shared secret with `peer`. Errors: bad_key, if it is all zero (a low-order point; RFC 7748, section 6.1).
  [[nodiscard]] Result<SecretBytes<32>> agree(const ExchangeKey& peer) const { return agree(ExchangePeer(peer)); }
  [[nodiscard]] Result<SecretBytes<32>> agree(const ExchangePeer& peer) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chorus::crypto
