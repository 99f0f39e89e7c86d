// Issuing: who the authority is, and the certificates and identity statements that it signs. Pure: time and
// randomness are parameters, and everything made is a value. certs/io puts them into files.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "certs/authority/registry.hpp"
#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/crypto/random_source.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/identity_statement.hpp"
#include "common/identity/revocation_list.hpp"

namespace chorus::certs {

using Days = std::chrono::days;

// How long things hold unless a caller says otherwise, and why: certs/README.md, "Lifetimes".
inline constexpr Days kAuthorityLifetime{3650};
inline constexpr Days kCoordinatorLifetime{90};
inline constexpr Days kDeviceLifetime{365};
inline constexpr Days kRevocationListLifetime{30};
// Of the enrolment service's own certificate, and of the devices that it enrols: they renew by themselves.
inline constexpr Days kServiceLifetime{30};
inline constexpr Days kEnrolledLifetime{30};
// How long after its end a certificate still renews: a device may have been away.
inline constexpr Days kRenewalGrace{90};
// Certificates that one device gets within an hour: answers may be lost.
inline constexpr std::size_t kMostInAnHour = 5;
inline constexpr Days kLongestLifetime{36'500};

// Everything begins this long before it is made, for readers whose clock is a little slow.
inline constexpr auto kBackdating = std::chrono::minutes(5);

inline constexpr std::size_t kMostDevicesAtOnce = 100'000;

// The authority itself. Not thread-safe.
struct Signer {
  crypto::SigningKey key;
  identity::Certificate certificate;

  [[nodiscard]] identity::Issuer issuer() const noexcept { return {certificate, key}; }
};

struct Coordinator {
  crypto::SigningKey key;
  identity::Certificate certificate;
};

struct Device {
  crypto::SigningKey key;
  identity::Certificate certificate;
  identity::IdentityStatement statement;
};

// A new authority. Errors: invalid_argument (a lifetime that is not 1 to kLongestLifetime).
[[nodiscard]] Result<Signer> found_authority(WallTime now, Days lifetime, crypto::RandomSource& random);

// DNS names, IPv4 and IPv6 addresses, without repetitions, and without the enrolment service's own. Errors:
// invalid_argument, naming the host.
[[nodiscard]] Result<std::vector<identity::HostName>> parse_hosts(std::span<const std::string> hosts);

// The errors of the functions below: invalid_argument (a lifetime that is not 1 to kLongestLifetime, or outlives the
// authority), expired and not_yet_valid (the authority itself).

// A fresh key under these names.
[[nodiscard]] Result<Coordinator> issue_coordinator(const Signer& signer, std::span<const identity::HostName> hosts,
                                                    WallTime now, Days lifetime, crypto::RandomSource& random);

// A device that was not known before: a fresh id and key.
[[nodiscard]] Result<Device> enrol_device(const Signer& signer, WallTime now, Days lifetime,
                                          crypto::RandomSource& random);

// The authority's word for a device that has its id, key and enrolment date already. The statement ends with the
// certificate.
struct DeviceWord {
  identity::Certificate certificate;
  identity::IdentityStatement statement;
};
[[nodiscard]] Result<DeviceWord> vouch_for_device(const Signer& signer, const identity::DeviceId& id,
                                                  const crypto::PublicKey& key, WallTime enrolled_at, WallTime now,
                                                  Days lifetime, crypto::RandomSource& random);
// As issue_coordinator, for a key that is elsewhere.
[[nodiscard]] Result<identity::Certificate> vouch_for_coordinator(const Signer& signer,
                                                                  std::span<const identity::HostName> hosts,
                                                                  const crypto::PublicKey& key, WallTime now,
                                                                  Days lifetime, crypto::RandomSource& random);

// A fresh key for the enrolment service under these names and the one that no coordinator's certificate has
// (protocol::enrolment::kServiceName).
[[nodiscard]] Result<Coordinator> issue_service(const Signer& signer, std::span<const identity::HostName> hosts,
                                                WallTime now, Days lifetime, crypto::RandomSource& random);

// `number` must be greater than that of every list before.
[[nodiscard]] Result<identity::RevocationList> sign_revocation_list(const Signer& signer, const Registry& registry,
                                                                    std::uint64_t number, WallTime now, Days lifetime);

// The line of the index for a certificate just issued.
[[nodiscard]] IssuedCertificate record_of(const identity::Certificate& certificate, WallTime enrolled_at);

}  // namespace chorus::certs
