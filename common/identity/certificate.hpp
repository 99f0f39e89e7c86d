// X.509 certificates of the three kinds that Chorus knows, all with Ed25519 keys and signatures:
//
//   authority    the enrolment authority's own root: CA, path length 0, signs certificates and revocation lists
//   coordinator  subject alternative names: DNS names and IP addresses; extended key usage: server
//   device       subject alternative name: urn:chorus:device:<32 hex>; extended key usage: client
//
// A Certificate is a value: its DER bytes and what they say. OpenSSL stays behind this header.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "common/crypto/random_source.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/device_id.hpp"
#include "common/identity/host_name.hpp"

struct x509_st;

namespace chorus::identity {

enum class SubjectKind : std::uint8_t { authority, coordinator, device };
[[nodiscard]] std::string_view to_string(SubjectKind kind) noexcept;

// The serial number, big-endian.
using Serial = ByteArray<16>;
// 126 random bits: the two high bits are 01, so that the number is positive and always 16 bytes long.
[[nodiscard]] Serial random_serial(crypto::RandomSource& random);

// Valid from not_before on and before not_after.
struct Validity {
  WallTime not_before{};
  WallTime not_after{};

  friend bool operator==(const Validity&, const Validity&) = default;
};

struct CertificateInfo {
  SubjectKind kind = SubjectKind::device;
  std::optional<DeviceId> device;  // a device's certificate only
  std::vector<HostName> hosts;     // a coordinator's certificate only
  Validity validity;
  Serial serial{};
  crypto::PublicKey key{};

  friend bool operator==(const CertificateInfo&, const CertificateInfo&) = default;
};

// What a certificate says that OpenSSL has parsed already, as that of a TLS peer: parsing it again would cost as much
// as an eighth of the handshake. Errors: bad_certificate, as Certificate::from_der.
[[nodiscard]] Result<CertificateInfo> describe(x509_st& certificate);

class Certificate {
 public:
  // At most 16 KiB. Errors: too_large, malformed (not one PEM block), bad_certificate (not X.509 version 3, not
  // Ed25519, or none of the three kinds). Does not check the signature: common/identity/chain.hpp does.
  [[nodiscard]] static Result<Certificate> from_pem(std::string_view pem);
  [[nodiscard]] static Result<Certificate> from_der(ByteView der);

  [[nodiscard]] const CertificateInfo& info() const noexcept { return info_; }
  [[nodiscard]] const Bytes& der() const noexcept { return der_; }
  [[nodiscard]] std::string pem() const;

  friend bool operator==(const Certificate& a, const Certificate& b) noexcept { return a.der_ == b.der_; }

 private:
  Certificate(Bytes der, CertificateInfo info) : der_(std::move(der)), info_(std::move(info)) {}

  Bytes der_;
  CertificateInfo info_;
};

// Who signs. REQUIRES: `key` is the key of `certificate`, which is an authority's.
struct Issuer {
  const Certificate& certificate;
  const crypto::SigningKey& key;
};

// The three builders. Errors: invalid_argument (a validity that is empty or leaves the years 1 to 9999; for a
// coordinator: no host, or more than 64).
[[nodiscard]] Result<Certificate> make_authority_certificate(const crypto::SigningKey& key, const Serial& serial,
                                                             const Validity& validity);
[[nodiscard]] Result<Certificate> make_coordinator_certificate(const crypto::PublicKey& key,
                                                               std::span<const HostName> hosts, const Serial& serial,
                                                               const Validity& validity, const Issuer& issuer);
[[nodiscard]] Result<Certificate> make_device_certificate(const crypto::PublicKey& key, const DeviceId& device,
                                                          const Serial& serial, const Validity& validity,
                                                          const Issuer& issuer);

}  // namespace chorus::identity
