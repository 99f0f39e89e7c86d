#include "common/crypto/secret_bytes.hpp"

#include <openssl/crypto.h>

namespace chorus::crypto {

void wipe(std::span<std::uint8_t> memory) noexcept {
  if (!memory.empty()) OPENSSL_cleanse(memory.data(), memory.size());
}

bool equal_constant_time(ByteView a, ByteView b) noexcept {
  if (a.size() != b.size()) return false;
  return a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace chorus::crypto
