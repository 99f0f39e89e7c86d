#include "common/crypto/signature.hpp"

#include <algorithm>

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"

namespace chorus::crypto {

namespace {

// label | 0 | message. Ed25519 reads its message twice, so it is laid out whole; wiped, for a message may hold
// shares.
ZeroizingBytes labelled(std::string_view label, ByteView message) {
  ZeroizingBytes bytes(label.size() + 1 + message.size());
  const auto separator = std::copy(label.begin(), label.end(), bytes.begin());
  *separator = 0;
  std::copy(message.begin(), message.end(), separator + 1);
  return bytes;
}

KeyHandle private_key(const SecretBytes<32>& seed) {
  const auto bytes = seed.expose();
  KeyHandle key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size()));
  CHORUS_ENSURE(key != nullptr, "32 bytes are an Ed25519 seed");
  return key;
}

// Contexts are reset before they are used again; reset drops the key.
EVP_MD_CTX* fresh_context() {
  thread_local const DigestContext context(EVP_MD_CTX_new());
  CHORUS_ENSURE(context != nullptr, "a signature context is allocated");
  EVP_MD_CTX_reset(context.get());
  return context.get();
}

}  // namespace

SigningKey SigningKey::generate(RandomSource& random) {
  return from_seed(random.secret<32>());
}

SigningKey SigningKey::from_seed(SecretBytes<32> seed) {
  const KeyHandle key = private_key(seed);
  PublicKey public_key;
  std::size_t size = public_key.size();
  CHORUS_ENSURE(EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) == 1 && size == public_key.size(),
                "an Ed25519 key has a public half");
  return {std::move(seed), public_key};
}

SigningKey SigningKey::duplicate() const {
  return {SecretBytes<32>(seed_.expose()), public_key_};
}

Signature SigningKey::sign(std::string_view label, ByteView message) const {
  const KeyHandle key = private_key(seed_);
  const ZeroizingBytes bytes = labelled(label, message);
  EVP_MD_CTX* const context = fresh_context();
  Signature signature;
  std::size_t size = signature.size();
  CHORUS_ENSURE(EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key.get()) == 1 &&
                    EVP_DigestSign(context, signature.data(), &size, bytes.data(), bytes.size()) == 1 &&
                    size == signature.size(),
                "Ed25519 signs");
  // The context must not keep the private key alive.
  EVP_MD_CTX_reset(context);
  return signature;
}

Status verify(const PublicKey& key, std::string_view label, ByteView message, const Signature& signature) {
  const ErrorMark mark;
  const KeyHandle handle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  CHORUS_ENSURE(handle != nullptr, "32 bytes are taken for an Ed25519 key; the signature check decodes the point");
  const ZeroizingBytes bytes = labelled(label, message);
  EVP_MD_CTX* const context = fresh_context();
  const bool holds = EVP_DigestVerifyInit(context, nullptr, nullptr, nullptr, handle.get()) == 1 &&
                     EVP_DigestVerify(context, signature.data(), signature.size(), bytes.data(), bytes.size()) == 1;
  if (!holds) {
    return fail(ErrorCode::bad_signature, "the signature does not hold under this key", std::string(label));
  }
  return {};
}

}  // namespace chorus::crypto
