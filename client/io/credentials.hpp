// What a device proves itself with: to a coordinator by TLS, to the members of its cohort by its identity statement.
#pragma once

#include <memory>

#include "client/round/membership.hpp"
#include "common/net/tls_context.hpp"

namespace chorus::client {

// Immutable; cheap to copy.
struct Credentials {
  net::TlsContext tls;
  std::shared_ptr<const Membership> membership;
};

// Errors: those of net::TlsContext::client and Membership::read.
[[nodiscard]] Result<Credentials> make_credentials(const net::TlsCredentials& documents, WallTime now);
// From a device's folder, as chorus-certs makes it. Errors: those, and not_found.
[[nodiscard]] Result<Credentials> read_credentials(const std::filesystem::path& folder, WallTime now);

}  // namespace chorus::client
