#include "common/crypto/hash.hpp"

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"

namespace chorus::crypto {

namespace {

// Looked up once: a fetch takes a lock and costs as much as hashing a short message.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHORUS_ENSURE(method != nullptr, "OpenSSL has SHA-256");
  return method;
}

DigestContext make_context() {
  DigestContext context(EVP_MD_CTX_new());
  CHORUS_ENSURE(context != nullptr, "a digest context is allocated");
  return context;
}

void start(EVP_MD_CTX* context) {
  CHORUS_ENSURE(EVP_DigestInit_ex2(context, sha256_method(), nullptr) == 1, "SHA-256 starts");
}

void feed(EVP_MD_CTX* context, ByteView bytes) {
  CHORUS_ENSURE(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1, "SHA-256 takes bytes");
}

Digest end(EVP_MD_CTX* context) {
  Digest digest;
  CHORUS_ENSURE(EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1, "SHA-256 ends");
  return digest;
}

}  // namespace

Digest sha256(ByteView bytes) {
  // What the context keeps between calls is the last digest, never the input: OpenSSL wipes its block buffer.
  thread_local const DigestContext context = make_context();
  start(context.get());
  feed(context.get(), bytes);
  return end(context.get());
}

struct Sha256::State {
  DigestContext context = make_context();
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  start(state_->context.get());
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(ByteView bytes) {
  CHORUS_ENSURE(state_ != nullptr, "the hash was not moved from");
  feed(state_->context.get(), bytes);
  return *this;
}

Digest Sha256::finish() {
  CHORUS_ENSURE(state_ != nullptr, "the hash was not moved from");
  const Digest digest = end(state_->context.get());
  start(state_->context.get());
  return digest;
}

}  // namespace chorus::crypto
