// AES-256-GCM with associated data (NIST SP 800-38D), for keys that encrypt exactly once: the nonce is zero.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::crypto {

inline constexpr std::size_t kAeadTag = 16;

// Ciphertext ‖ tag, plaintext.size() + kAeadTag bytes. REQUIRES: `key` never sealed anything else.
[[nodiscard]] Bytes seal_once(const SecretBytes<32>& key, ByteView associated_data, ByteView plaintext);
// Errors: share_not_authentic, if `sealed` was not made by seal_once with this key and associated data.
[[nodiscard]] Result<ZeroizingBytes> open_once(const SecretBytes<32>& key, ByteView associated_data, ByteView sealed);

}  // namespace chorus::crypto
