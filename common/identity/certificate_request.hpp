// What a device sends to be certified: a PKCS #10 request (RFC 2986) for an Ed25519 key, signed by it. It carries no
// name and no attribute: who the device is, the authority decides.
#pragma once

#include "common/base/bytes.hpp"
#include "common/crypto/signature.hpp"

namespace chorus::identity {

// 4 KiB: a request of ours has about 100 bytes.
inline constexpr std::size_t kMostRequestBytes = 4 * 1024;

// DER.
[[nodiscard]] Bytes make_certificate_request(const crypto::SigningKey& key);
// The key that asks, and has signed the request itself. What else the request asks for is not looked at.
// Errors: too_large; malformed (not PKCS #10, bytes left over); bad_key (another kind of key); bad_signature.
[[nodiscard]] Result<crypto::PublicKey> read_certificate_request(ByteView der);

}  // namespace chorus::identity
