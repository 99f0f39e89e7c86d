// Certificates for tests: an authority that issues whatever dates are asked for. OpenSSL verifies by the real clock, so
// what is valid is valid from 2000 to 2100, what is expired ended in 2001, what is not yet valid begins in 2099.
#pragma once

#include <string_view>
#include <vector>

#include "common/crypto/signature.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/revocation_list.hpp"
#include "common/net/tls_context.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::net {

[[nodiscard]] WallTime year(int number);

inline const identity::Validity kValid{year(2000), year(2100)};
inline const identity::Validity kExpired{year(2000), year(2001)};
inline const identity::Validity kNotYetValid{year(2099), year(2100)};

struct Credentials {
  TlsCredentials pem;
  identity::Certificate certificate;
};

class TestAuthority {
 public:
  explicit TestAuthority(std::uint64_t seed = 1);

  [[nodiscard]] Credentials device(const identity::Validity& validity = kValid);
  [[nodiscard]] Credentials coordinator(const identity::Validity& validity = kValid,
                                        const std::vector<std::string_view>& hosts = {"localhost", "127.0.0.1", "::1"});
  // From now on in every list that is issued.
  void revoke(const identity::Certificate& certificate);
  [[nodiscard]] identity::RevocationList list(const identity::Validity& validity = kValid);
  [[nodiscard]] identity::DeviceId last_device() const { return last_device_; }
  [[nodiscard]] const identity::Certificate& certificate() const { return certificate_; }

 private:
  [[nodiscard]] Credentials pack(const crypto::SigningKey& key, identity::Certificate certificate);

  sim::SeededRandom random_;
  crypto::SigningKey key_;
  identity::Certificate certificate_;
  identity::DeviceId last_device_;
  std::vector<identity::RevokedCertificate> revoked_;
};

// Contexts of peers that don't check themselves: as of the middle of the certificate's own validity.
[[nodiscard]] TlsContext server_context(const Credentials& credentials);
[[nodiscard]] TlsContext client_context(const Credentials& credentials);

}  // namespace chorus::net
