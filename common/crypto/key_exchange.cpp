#include "common/crypto/key_exchange.hpp"

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"

namespace chorus::crypto {

namespace {

using KeyContext = OpensslHandle<EVP_PKEY_CTX, &EVP_PKEY_CTX_free>;

KeyHandle private_key(const SecretBytes<32>& secret) {
  const auto bytes = secret.expose();
  KeyHandle key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, bytes.data(), bytes.size()));
  CHORUS_ENSURE(key != nullptr, "32 bytes are an X25519 secret");
  return key;
}

}  // namespace

ExchangeSecret ExchangeSecret::generate(RandomSource& random) {
  return from_bytes(random.secret<32>());
}

ExchangeSecret ExchangeSecret::from_bytes(SecretBytes<32> secret) {
  ExchangeSecret pair(std::move(secret));
  const KeyHandle key = private_key(pair.secret_);
  std::size_t size = pair.public_key_.size();
  CHORUS_ENSURE(
      EVP_PKEY_get_raw_public_key(key.get(), pair.public_key_.data(), &size) == 1 && size == pair.public_key_.size(),
      "an X25519 key has a public half");
  return pair;
}

struct Exchange::State {
  KeyHandle key;
  KeyContext context;
};

Exchange::Exchange(const SecretBytes<32>& secret) : state_(std::make_unique<State>()) {
  state_->key = private_key(secret);
  state_->context.reset(EVP_PKEY_CTX_new(state_->key.get(), nullptr));
  CHORUS_ENSURE(state_->context != nullptr && EVP_PKEY_derive_init(state_->context.get()) == 1, "X25519 starts");
}

Exchange::~Exchange() = default;
Exchange::Exchange(Exchange&&) noexcept = default;
Exchange& Exchange::operator=(Exchange&&) noexcept = default;

Result<SecretBytes<32>> Exchange::agree(const ExchangeKey& peer) const {
  const KeyHandle other(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.data(), peer.size()));
  CHORUS_ENSURE(other != nullptr, "32 bytes are an X25519 public key");
  SecretBytes<32> shared;
  const auto out = shared.expose();
  std::size_t size = out.size();
  const bool derived = EVP_PKEY_derive_set_peer_ex(state_->context.get(), other.get(), 0) == 1 &&
                       EVP_PKEY_derive(state_->context.get(), out.data(), &size) == 1 && size == out.size();
  // OpenSSL refuses an all-zero result itself; the comparison does not lean on that.
  static constexpr ByteArray<32> kZero{};
  if (!derived || equal_constant_time(shared.expose(), kZero)) {
    return fail(ErrorCode::bad_key, "an X25519 public key of low order");
  }
  return shared;
}

}  // namespace chorus::crypto
