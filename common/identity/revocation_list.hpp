// The enrolment authority's signed list of revoked certificates (X.509 CRL version 2, RFC 5280 section 5).
//
// An entry for a device carries the device's id and Ed25519 key in an extension of ours
// (2.25.325569893177334470072696287174342376693: an OCTET STRING of id[16] | key[32], not critical), so that an
// identity statement, which has no serial number, can be looked up too. A key is what is lost, so a key is what is
// revoked: every certificate and statement with that key.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/device_id.hpp"
#include "common/identity/identity_statement.hpp"

namespace chorus::identity {

struct RevokedDevice {
  DeviceId id;
  crypto::PublicKey key{};

  friend auto operator<=>(const RevokedDevice&, const RevokedDevice&) = default;
};

struct RevokedCertificate {
  Serial serial{};
  WallTime revoked_at{};
  std::optional<RevokedDevice> device;  // absent for a coordinator's

  friend auto operator<=>(const RevokedCertificate&, const RevokedCertificate&) = default;
};

class RevocationList {
 public:
  // At most 16 MiB (about 150,000 devices). Errors: too_large, malformed, bad_certificate. Does not check the
  // signature: `check` does.
  [[nodiscard]] static Result<RevocationList> from_pem(std::string_view pem);
  [[nodiscard]] static Result<RevocationList> from_der(ByteView der);

  [[nodiscard]] const Bytes& der() const noexcept { return der_; }
  [[nodiscard]] std::string pem() const;
  // Counts up with every list that the authority signs, from 1.
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] WallTime this_update() const noexcept { return this_update_; }
  // From here on the list is out of date, and nothing is accepted under it.
  [[nodiscard]] WallTime next_update() const noexcept { return next_update_; }
  // Sorted by serial number.
  [[nodiscard]] const std::vector<RevokedCertificate>& entries() const noexcept { return entries_; }

  [[nodiscard]] bool contains(const Serial& serial) const;
  [[nodiscard]] bool revokes(const RevokedDevice& device) const;
  [[nodiscard]] bool revokes(const IdentityStatement& statement) const {
    return revokes(RevokedDevice{statement.id, statement.key});
  }

  friend bool operator==(const RevocationList& a, const RevocationList& b) noexcept { return a.der_ == b.der_; }

 private:
  RevocationList() = default;

  Bytes der_;
  std::uint64_t number_ = 0;
  WallTime this_update_{};
  WallTime next_update_{};
  std::vector<RevokedCertificate> entries_;
  std::vector<RevokedDevice> devices_;  // sorted
};

// Errors: invalid_argument (dates that are empty or leave the years 1 to 9999).
[[nodiscard]] Result<RevocationList> make_revocation_list(std::span<const RevokedCertificate> entries,
                                                          std::uint64_t number, WallTime this_update,
                                                          WallTime next_update, const Issuer& issuer);

// Whether `authority` signed the list and it is in force. Errors: bad_certificate, not_yet_valid, expired.
[[nodiscard]] Status check(const RevocationList& list, const Certificate& authority, WallTime now);

}  // namespace chorus::identity
