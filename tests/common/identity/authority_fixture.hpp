// An authority with one coordinator and one device, for the tests of this folder.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/identity/certificate.hpp"
#include "common/identity/revocation_list.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::identity {

// 2024-01-01T00:00:00Z.
inline constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year(2024) / 1 / 1);

inline bool fails_with(const Status& status, ErrorCode code) {
  return !status.has_value() && status.error().code() == code;
}

struct TestAuthority {
  explicit TestAuthority(std::uint64_t seed, Validity validity = {kNow - 24h, kNow + 24h * 3650})
      : random(seed),
        key(crypto::SigningKey::generate(random)),
        certificate(make_authority_certificate(key, random_serial(random), validity).value()) {}

  [[nodiscard]] Issuer issuer() const { return {certificate, key}; }

  [[nodiscard]] Certificate device(Validity validity = {kNow, kNow + 24h * 365}) {
    return make_device_certificate(crypto::SigningKey::generate(random).public_key(), DeviceId{random.array<16>()},
                                   random_serial(random), validity, issuer())
        .value();
  }

  [[nodiscard]] Certificate coordinator(std::vector<std::string> names, Validity validity = {kNow, kNow + 24h * 90}) {
    std::vector<HostName> hosts;
    for (const std::string& name : names) hosts.push_back(parse_host_name(name).value());
    return make_coordinator_certificate(crypto::SigningKey::generate(random).public_key(), hosts, random_serial(random),
                                        validity, issuer())
        .value();
  }

  [[nodiscard]] RevocationList list(std::vector<RevokedCertificate> entries = {}, WallTime from = kNow,
                                    WallTime until = kNow + 24h * 30) const {
    return make_revocation_list(entries, 1, from, until, issuer()).value();
  }

  sim::SeededRandom random;
  crypto::SigningKey key;
  Certificate certificate;
};

inline RevokedCertificate revocation_of(const Certificate& certificate, WallTime at = kNow) {
  const CertificateInfo& info = certificate.info();
  RevokedCertificate entry{info.serial, at, std::nullopt};
  if (info.device) entry.device = RevokedDevice{*info.device, info.key};
  return entry;
}

}  // namespace chorus::identity
