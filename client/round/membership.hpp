// What makes a device a member of secure sums: the identity that the enrolment authority gave it, and the authority that
// it takes for the others' identities.
#pragma once

#include <memory>
#include <string_view>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/identity_statement.hpp"
#include "common/identity/revocation_list.hpp"

namespace chorus::client {

// Immutable, thread-safe.
class Membership {
 public:
  // The files of a device's folder, as chorus-certs makes it: PEM texts, and the encoded statement.
  // Errors: malformed, bad_key, bad_certificate, bad_identity (of another authority, or for another key),
  // not_yet_valid, expired, revoked; where() names the document.
  [[nodiscard]] static Result<std::shared_ptr<const Membership>> read(ByteView statement, ByteView key_pem,
                                                                      std::string_view authority_pem,
                                                                      std::string_view crl_pem, WallTime now);

  [[nodiscard]] const identity::IdentityStatement& statement() const noexcept { return statement_; }
  [[nodiscard]] const crypto::SigningKey& key() const noexcept { return key_; }
  [[nodiscard]] const identity::Certificate& authority() const noexcept { return authority_; }

  // The list that came with a plan: of this device's authority, in force, and no older than the list that the device
  // holds itself. Errors: malformed, bad_certificate, not_yet_valid, expired, stale_round (an older one).
  [[nodiscard]] Result<identity::RevocationList> accept_revocations(ByteView der, WallTime now) const;

 private:
  Membership(identity::IdentityStatement statement, crypto::SigningKey key, identity::Certificate authority,
             identity::RevocationList revoked)
      : statement_(std::move(statement)),
        key_(std::move(key)),
        authority_(std::move(authority)),
        revoked_(std::move(revoked)) {}

  identity::IdentityStatement statement_;
  crypto::SigningKey key_;
  identity::Certificate authority_;
  identity::RevocationList revoked_;
};

}  // namespace chorus::client
