#include "common/crypto/prg.hpp"

#include <algorithm>
#include <cstring>

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"

namespace chorus::crypto {

namespace {

// Looked up once: a fetch takes a lock and costs as much as a key schedule.
const EVP_CIPHER* aes_256_ctr() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  CHORUS_ENSURE(cipher != nullptr, "OpenSSL has AES-256-CTR");
  return cipher;
}

}  // namespace

struct Prg::State {
  // Freeing it wipes the key schedule.
  CipherContext context{EVP_CIPHER_CTX_new()};
};

Prg::Prg(const SecretBytes<32>& seed, std::uint64_t stream) : state_(std::make_unique<State>()) {
  CHORUS_ENSURE(state_->context != nullptr, "a cipher context is allocated");
  // stream (big-endian) | block counter = 0
  ByteArray<16> block{};
  for (std::size_t i = 0; i < 8; ++i) block[i] = static_cast<std::uint8_t>(stream >> (56 - 8 * i));
  CHORUS_ENSURE(
      EVP_EncryptInit_ex2(state_->context.get(), aes_256_ctr(), seed.expose().data(), block.data(), nullptr) == 1,
      "AES-256-CTR starts");
}

Prg::~Prg() = default;
Prg::Prg(Prg&&) noexcept = default;
Prg& Prg::operator=(Prg&&) noexcept = default;

void Prg::fill(std::span<std::uint8_t> out) {
  CHORUS_ENSURE(state_ != nullptr, "the generator was not moved from");
  // OpenSSL counts in int. The key stream is the encryption of zeros, in place. A stream of 2^64 blocks is out of
  // reach, so the counter never carries into `stream`.
  constexpr std::size_t kMost = std::size_t{1} << 30;
  while (!out.empty()) {
    const std::size_t size = std::min(out.size(), kMost);
    std::memset(out.data(), 0, size);
    int written = 0;
    CHORUS_ENSURE(
        EVP_EncryptUpdate(state_->context.get(), out.data(), &written, out.data(), static_cast<int>(size)) == 1 &&
            static_cast<std::size_t>(written) == size,
        "AES-256-CTR gives its key stream");
    out = out.subspan(size);
  }
}

}  // namespace chorus::crypto
