// The compact identity statement: what the enrolment authority says of a device, apart from X.509, so that other
// devices can check it at little cost (design: secure aggregation, roster).
//
// Canonical encoding, 168 bytes: "CHOR" 'I' 'D' version(u8 = 1) 0 | id[16] | key[32] | authority_key[32]
//   | enrolled_at i64 | expires_at i64 (seconds since 1970, UTC) | signature[64] over all before it, with the
//   label "CHORUS/1/identity".
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/device_id.hpp"

namespace chorus::identity {

struct IdentityStatement {
  DeviceId id;
  crypto::PublicKey key{};            // the device's Ed25519 key, the same as in its certificate
  crypto::PublicKey authority_key{};  // whose word this is
  WallTime enrolled_at{};             // first enrolment; renewal keeps it
  WallTime expires_at{};
  crypto::Signature signature{};

  friend bool operator==(const IdentityStatement&, const IdentityStatement&) = default;
};

[[nodiscard]] Bytes encode(const IdentityStatement& statement);
// Errors: malformed, unsupported_version. Does not check the signature.
[[nodiscard]] Result<IdentityStatement> decode_identity_statement(ByteView bytes);
// Signs `statement` (its authority_key becomes the authority's).
[[nodiscard]] IdentityStatement sign(IdentityStatement statement, const crypto::SigningKey& authority);
// Errors: bad_identity (another authority, or a signature that does not hold), not_yet_valid, expired.
[[nodiscard]] Status check(const IdentityStatement& statement, const crypto::PublicKey& authority, WallTime now);

}  // namespace chorus::identity
