#include "common/crypto/key_exchange.hpp"

#include <algorithm>
#include <array>

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

// The u coordinates of the points of order 2, 4 and 8 of the curve and of its twist, and what else reads as them: a
// coordinate is taken modulo p, without its topmost bit.
constexpr std::array kLowOrder{
    // 0, of order 2
    ExchangeKey{0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00},
    // 1, of order 4
    ExchangeKey{0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00},
    // of order 8
    ExchangeKey{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
                0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    // of order 8
    ExchangeKey{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
                0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    // p − 1, of order 4
    ExchangeKey{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    // p, which is 0
    ExchangeKey{0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    // p + 1, which is 1
    ExchangeKey{0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

}  // namespace

bool is_low_order(const ExchangeKey& key) noexcept {
  ExchangeKey coordinate = key;
  coordinate.back() &= 0x7f;
  return std::find(kLowOrder.begin(), kLowOrder.end(), coordinate) != kLowOrder.end();
}

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

struct ExchangePeer::State {
  KeyHandle key;
};

ExchangePeer::ExchangePeer(const ExchangeKey& key) : state_(std::make_unique<State>()) {
  state_->key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, key.data(), key.size()));
  CHORUS_ENSURE(state_->key != nullptr, "32 bytes are an X25519 public key");
}

ExchangePeer::~ExchangePeer() = default;
ExchangePeer::ExchangePeer(ExchangePeer&&) noexcept = default;
ExchangePeer& ExchangePeer::operator=(ExchangePeer&&) noexcept = default;

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

Result<SecretBytes<32>> Exchange::agree(const ExchangePeer& peer) const {
  SecretBytes<32> shared;
  const auto out = shared.expose();
  std::size_t size = out.size();
  const bool derived = EVP_PKEY_derive_set_peer_ex(state_->context.get(), peer.state_->key.get(), 0) == 1 &&
                       EVP_PKEY_derive(state_->context.get(), out.data(), &size) == 1 && size == out.size();
  // OpenSSL refuses an all-zero result itself; the comparison does not lean on that.
  static constexpr ByteArray<32> kZero{};
  if (!derived || equal_constant_time(shared.expose(), kZero)) {
    return fail(ErrorCode::bad_key, "an X25519 public key of low order");
  }
  return shared;
}

}  // namespace chorus::crypto
