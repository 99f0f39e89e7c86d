// TLS 1.3 only, mutual, ALPN "chorus/1", chain and CRL checked on both ends (RFC 8446, RFC 5280). Each end is given
// the enrolment authority's certificate and CRL and its own certificate and key.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/device_id.hpp"

struct ssl_ctx_st;

namespace chorus::net {

// PEM texts, so that tests and embedding apps need no files.
struct TlsCredentials {
  std::string certificate;
  crypto::ZeroizingBytes key;
  std::string authority;
  std::string crl;
  std::string statement{};  // a device's encoded identity statement; not a part of TLS
};
// Reads <folder>/{device|coordinator}.crt, .key, authority.crt, crl.pem (`role` is "device" or "coordinator"), and a
// device's identity.statement.
// Errors: not_found, malformed; names the file.
[[nodiscard]] Result<TlsCredentials> read_credentials(const std::filesystem::path& folder, std::string_view role);

// Immutable after creation; may be shared by threads and connections. A reload makes a new one.
class TlsContext {
 public:
  // Errors: malformed, bad_certificate (the key does not belong to the certificate, wrong usage), expired,
  // not_yet_valid, revoked - of the own certificate, checked at `now` so that a daemon says so at start.
  [[nodiscard]] static Result<TlsContext> server(const TlsCredentials& credentials, WallTime now);
  [[nodiscard]] static Result<TlsContext> client(const TlsCredentials& credentials, WallTime now);

  [[nodiscard]] ssl_ctx_st* native() const noexcept { return context_.get(); }
  // When the own certificate and the CRL stop being valid, for warnings.
  [[nodiscard]] WallTime certificate_expires() const noexcept { return certificate_expires_; }
  [[nodiscard]] WallTime crl_expires() const noexcept { return crl_expires_; }

 private:
  TlsContext() = default;
  std::shared_ptr<ssl_ctx_st> context_;
  WallTime certificate_expires_{};
  WallTime crl_expires_{};
};

// Who is at the other end, after a handshake.
struct PeerIdentity {
  std::optional<identity::DeviceId> device;  // a device's certificate
  std::string subject;                       // host names of a coordinator's certificate
  crypto::PublicKey key{};                   // the certificate's Ed25519 key
  WallTime expires_at{};
};

}  // namespace chorus::net
