// HKDF with SHA-256 (RFC 5869).
#pragma once

#include "common/base/bytes.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::crypto {

// Extract-then-expand to 32 bytes. `salt` and `info` are public; an empty salt is 32 zero bytes (RFC 5869,
// section 2.2).
[[nodiscard]] SecretBytes<32> hkdf_sha256(std::span<const std::uint8_t> key_material, ByteView salt, ByteView info);

}  // namespace chorus::crypto
