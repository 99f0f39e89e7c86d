#include "common/crypto/key_stream.hpp"

#include <utility>

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"

namespace chorus::crypto {

namespace {

constexpr std::size_t kMostBytes = std::size_t{64} * 1024;
// The key stream is the encryption of zeros: these, rather than a buffer cleared each time.
alignas(64) constexpr std::uint8_t kZeros[kMostBytes] = {};

const EVP_CIPHER* aes_256_ctr() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  CHORUS_ENSURE(cipher != nullptr, "OpenSSL has AES-256-CTR");
  return cipher;
}

}  // namespace

KeyStream::KeyStream(const SecretBytes<32>& seed, std::uint64_t stream, std::uint64_t first_block)
    : context_(EVP_CIPHER_CTX_new()) {
  ByteArray<16> block;
  for (std::size_t i = 0; i < 8; ++i) {
    block[i] = static_cast<std::uint8_t>(stream >> (56 - 8 * i));
    block[8 + i] = static_cast<std::uint8_t>(first_block >> (56 - 8 * i));
  }
  CHORUS_ENSURE(context_ != nullptr &&
                    EVP_EncryptInit_ex2(context_, aes_256_ctr(), seed.expose().data(), block.data(), nullptr) == 1,
                "AES-256-CTR starts");
}

KeyStream::~KeyStream() {
  EVP_CIPHER_CTX_free(context_);  // wipes the key schedule
}

KeyStream::KeyStream(KeyStream&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

KeyStream& KeyStream::operator=(KeyStream&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

void KeyStream::next(std::span<std::uint8_t> out) noexcept {
  CHORUS_ENSURE(out.size() <= kMostBytes, "a block of key stream is at most 64 KiB");
  int written = 0;
  CHORUS_ENSURE(EVP_EncryptUpdate(context_, out.data(), &written, kZeros, static_cast<int>(out.size())) == 1,
                "AES-256-CTR gives its key stream");
}

}  // namespace chorus::crypto
