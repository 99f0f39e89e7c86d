#include "common/crypto/aead.hpp"

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"

namespace chorus::crypto {

namespace {

constexpr std::size_t kNonce = 12;
constexpr ByteArray<kNonce> kZeroNonce{};

const EVP_CIPHER* aes_256_gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CHORUS_ENSURE(cipher != nullptr, "OpenSSL has AES-256-GCM");
  return cipher;
}

// Resetting wipes the key schedule; one context a thread saves its allocation.
EVP_CIPHER_CTX* fresh_context() {
  thread_local const CipherContext context(EVP_CIPHER_CTX_new());
  CHORUS_ENSURE(context != nullptr, "a cipher context is allocated");
  EVP_CIPHER_CTX_reset(context.get());
  return context.get();
}

int length(ByteView bytes) {
  CHORUS_ENSURE(bytes.size() < (std::size_t{1} << 30), "one sealed message is small");
  return static_cast<int>(bytes.size());
}

}  // namespace

Bytes seal_once(const SecretBytes<32>& key, ByteView associated_data, ByteView plaintext) {
  EVP_CIPHER_CTX* const context = fresh_context();
  Bytes sealed(plaintext.size() + kAeadTag);
  int written = 0;
  int rest = 0;
  CHORUS_ENSURE(
      EVP_EncryptInit_ex2(context, aes_256_gcm(), key.expose().data(), kZeroNonce.data(), nullptr) == 1 &&
          EVP_EncryptUpdate(context, nullptr, &written, associated_data.data(), length(associated_data)) == 1 &&
          EVP_EncryptUpdate(context, sealed.data(), &written, plaintext.data(), length(plaintext)) == 1 &&
          EVP_EncryptFinal_ex(context, sealed.data() + written, &rest) == 1 &&
          EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kAeadTag),
                              sealed.data() + plaintext.size()) == 1,
      "AES-256-GCM seals");
  EVP_CIPHER_CTX_reset(context);
  return sealed;
}

Result<ZeroizingBytes> open_once(const SecretBytes<32>& key, ByteView associated_data, ByteView sealed) {
  if (sealed.size() < kAeadTag) {
    return fail(ErrorCode::share_not_authentic, "a sealed message is shorter than its authentication tag");
  }
  const ByteView ciphertext = sealed.first(sealed.size() - kAeadTag);
  ByteArray<kAeadTag> tag;
  std::copy(sealed.end() - kAeadTag, sealed.end(), tag.begin());
  ZeroizingBytes plaintext(ciphertext.size());
  EVP_CIPHER_CTX* const context = fresh_context();
  int written = 0;
  int rest = 0;
  const bool opened =
      EVP_DecryptInit_ex2(context, aes_256_gcm(), key.expose().data(), kZeroNonce.data(), nullptr) == 1 &&
      EVP_DecryptUpdate(context, nullptr, &written, associated_data.data(), length(associated_data)) == 1 &&
      EVP_DecryptUpdate(context, plaintext.data(), &written, ciphertext.data(), length(ciphertext)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kAeadTag), tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context, plaintext.data() + written, &rest) == 1;
  EVP_CIPHER_CTX_reset(context);
  if (!opened) return fail(ErrorCode::share_not_authentic, "a sealed message does not carry its sender's tag");
  return plaintext;
}

}  // namespace chorus::crypto
