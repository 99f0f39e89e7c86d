#include "client/io/credentials.hpp"

namespace chorus::client {

Result<Credentials> make_credentials(const net::TlsCredentials& documents, WallTime now) {
  CHORUS_TRY(auto tls, net::TlsContext::client(documents, now));
  CHORUS_TRY(auto membership, Membership::read(as_bytes(documents.statement), documents.key, documents.authority,
                                               documents.crl, now));
  return Credentials{.tls = std::move(tls), .membership = std::move(membership)};
}

Result<Credentials> read_credentials(const std::filesystem::path& folder, WallTime now) {
  CHORUS_TRY(const auto documents, net::read_credentials(folder, "device"));
  return make_credentials(documents, now);
}

}  // namespace chorus::client
