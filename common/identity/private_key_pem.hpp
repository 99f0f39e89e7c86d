// Ed25519 private keys as files hold them: PKCS#8 (RFC 8410) in PEM, alone or under a passphrase.
#pragma once

#include <optional>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"
#include "common/crypto/secret_bytes.hpp"
#include "common/crypto/signature.hpp"

namespace chorus::identity {

// "-----BEGIN PRIVATE KEY-----".
[[nodiscard]] crypto::ZeroizingBytes private_key_pem(const crypto::SigningKey& key);

// "-----BEGIN ENCRYPTED PRIVATE KEY-----": AES-256-CBC under PBKDF2-HMAC-SHA-256 with 600,000 iterations (PKCS #5,
// RFC 8018). REQUIRES: a passphrase that is not empty.
[[nodiscard]] crypto::ZeroizingBytes private_key_pem(const crypto::SigningKey& key, ByteView passphrase,
                                                     crypto::RandomSource& random);

// Reads either form; never asks on a terminal. Errors: malformed (not one PEM block), bad_key (another kind of key, a
// passphrase that is missing or does not open it), too_large (more than 16 KiB).
[[nodiscard]] Result<crypto::SigningKey> parse_private_key_pem(ByteView pem,
                                                               std::optional<ByteView> passphrase = std::nullopt);

}  // namespace chorus::identity
