#include "client/round/membership.hpp"

#include <fmt/format.h>

#include "common/identity/private_key_pem.hpp"

namespace chorus::client {

Result<std::shared_ptr<const Membership>> Membership::read(ByteView statement_bytes, ByteView key_pem,
                                                           std::string_view authority_pem, std::string_view crl_pem,
                                                           WallTime now) {
  const auto at = [](std::string_view document) {
    // Some errors name their document themselves.
    return [document](const Error& error) {
      return fail(error.where().starts_with(document) ? error : error.at(document));
    };
  };
  auto statement = identity::decode_identity_statement(statement_bytes);
  if (!statement) return at("identity statement")(statement.error());
  auto key = identity::parse_private_key_pem(key_pem);
  if (!key) return at("device's key")(key.error());
  auto authority = identity::Certificate::from_pem(authority_pem);
  if (!authority) return at("authority's certificate")(authority.error());
  auto revoked = identity::RevocationList::from_pem(crl_pem);
  if (!revoked) return at("revocation list")(revoked.error());
  if (const Status valid = identity::check(*revoked, *authority, now); !valid) {
    return at("revocation list")(valid.error());
  }
  if (const Status valid = identity::check(*statement, authority->info().key, now); !valid) {
    return at("identity statement")(valid.error());
  }
  if (statement->key != key->public_key()) {
    return fail(ErrorCode::bad_identity, "the statement is for another key than this device's", "identity statement");
  }
  if (revoked->revokes(*statement)) {
    return fail(ErrorCode::revoked, "the authority has revoked this device", "identity statement");
  }
  return std::shared_ptr<const Membership>(
      new Membership(std::move(*statement), std::move(*key), std::move(*authority), std::move(*revoked)));
}

Result<identity::RevocationList> Membership::accept_revocations(ByteView der, WallTime now) const {
  CHORUS_TRY(auto list, identity::RevocationList::from_der(der));
  CHORUS_TRY_DO(identity::check(list, authority_, now));
  if (list.number() < revoked_.number()) {
    return fail(ErrorCode::stale_round,
                fmt::format("the coordinator's revocation list {} is older than list {} of this device", list.number(),
                            revoked_.number()),
                "revocation list");
  }
  return list;
}

}  // namespace chorus::client
