#include "certs/authority/issue.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "certs/authority/date_text.hpp"
#include "common/protocol/enrolment.hpp"

namespace chorus::certs {

namespace {

Status check_lifetime(Days lifetime) {
  if (lifetime >= Days(1) && lifetime <= kLongestLifetime) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("expected 1 to {} days, found {}", kLongestLifetime.count(), lifetime.count()), "lifetime");
}

// From a little before now; never outside the authority's own validity, for nobody would accept that.
Result<identity::Validity> validity_under(const identity::Certificate& authority, WallTime now, Days lifetime) {
  CHORUS_TRY_DO(check_lifetime(lifetime));
  const identity::Validity& own = authority.info().validity;
  if (now < own.not_before) {
    return fail(ErrorCode::not_yet_valid,
                fmt::format("the authority's certificate begins on {}; is the clock right?", date_text(own.not_before)),
                "authority");
  }
  if (now >= own.not_after) {
    return fail(ErrorCode::expired, fmt::format("the authority's certificate expired on {}", date_text(own.not_after)),
                "authority");
  }
  const WallTime end = now + lifetime;
  if (end > own.not_after) {
    const auto left = std::chrono::floor<Days>(own.not_after - now);
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} days would outlive the authority, which ends on {} ({} days from now)",
                            lifetime.count(), date_text(own.not_after), left.count()),
                "lifetime");
  }
  return identity::Validity{std::max(now - kBackdating, own.not_before), end};
}

}  // namespace

Result<Signer> found_authority(WallTime now, Days lifetime, crypto::RandomSource& random) {
  CHORUS_TRY_DO(check_lifetime(lifetime));
  crypto::SigningKey key = crypto::SigningKey::generate(random);
  CHORUS_TRY(
      identity::Certificate certificate,
      identity::make_authority_certificate(key, identity::random_serial(random), {now - kBackdating, now + lifetime}));
  return Signer{std::move(key), std::move(certificate)};
}

Result<std::vector<identity::HostName>> parse_hosts(std::span<const std::string> hosts) {
  if (hosts.empty()) return fail(ErrorCode::invalid_argument, "a coordinator needs at least one host name", "hosts");
  std::vector<identity::HostName> parsed;
  for (const std::string& text : hosts) {
    CHORUS_TRY(identity::HostName host, identity::parse_host_name(text));
    if (host.text == protocol::enrolment::kServiceName) {
      return fail(ErrorCode::invalid_argument, "this name is the enrolment service's alone", text);
    }
    if (std::ranges::find(parsed, host) == parsed.end()) parsed.push_back(std::move(host));
  }
  return parsed;
}

Result<identity::Certificate> vouch_for_coordinator(const Signer& signer, std::span<const identity::HostName> hosts,
                                                    const crypto::PublicKey& key, WallTime now, Days lifetime,
                                                    crypto::RandomSource& random) {
  CHORUS_TRY(const identity::Validity validity, validity_under(signer.certificate, now, lifetime));
  return identity::make_coordinator_certificate(key, hosts, identity::random_serial(random), validity, signer.issuer());
}

Result<Coordinator> issue_coordinator(const Signer& signer, std::span<const identity::HostName> hosts, WallTime now,
                                      Days lifetime, crypto::RandomSource& random) {
  crypto::SigningKey key = crypto::SigningKey::generate(random);
  CHORUS_TRY(identity::Certificate certificate,
             vouch_for_coordinator(signer, hosts, key.public_key(), now, lifetime, random));
  return Coordinator{std::move(key), std::move(certificate)};
}

Result<Coordinator> issue_service(const Signer& signer, std::span<const identity::HostName> hosts, WallTime now,
                                  Days lifetime, crypto::RandomSource& random) {
  CHORUS_TRY(const identity::Validity validity, validity_under(signer.certificate, now, lifetime));
  std::vector<identity::HostName> names(hosts.begin(), hosts.end());
  CHORUS_TRY(names.emplace_back(), identity::parse_host_name(protocol::enrolment::kServiceName));
  crypto::SigningKey key = crypto::SigningKey::generate(random);
  CHORUS_TRY(identity::Certificate certificate,
             identity::make_coordinator_certificate(key.public_key(), names, identity::random_serial(random), validity,
                                                    signer.issuer()));
  return Coordinator{std::move(key), std::move(certificate)};
}

Result<DeviceWord> vouch_for_device(const Signer& signer, const identity::DeviceId& id, const crypto::PublicKey& key,
                                    WallTime enrolled_at, WallTime now, Days lifetime, crypto::RandomSource& random) {
  CHORUS_TRY(const identity::Validity validity, validity_under(signer.certificate, now, lifetime));
  CHORUS_TRY(identity::Certificate certificate,
             identity::make_device_certificate(key, id, identity::random_serial(random), validity, signer.issuer()));
  identity::IdentityStatement statement;
  statement.id = id;
  statement.key = key;
  statement.enrolled_at = enrolled_at;
  statement.expires_at = validity.not_after;
  return DeviceWord{std::move(certificate), identity::sign(statement, signer.key)};
}

Result<Device> enrol_device(const Signer& signer, WallTime now, Days lifetime, crypto::RandomSource& random) {
  const identity::DeviceId id{random.array<16>()};
  crypto::SigningKey key = crypto::SigningKey::generate(random);
  const WallTime enrolled_at = std::max(now - kBackdating, signer.certificate.info().validity.not_before);
  CHORUS_TRY(DeviceWord word, vouch_for_device(signer, id, key.public_key(), enrolled_at, now, lifetime, random));
  return Device{std::move(key), std::move(word.certificate), word.statement};
}

Result<identity::RevocationList> sign_revocation_list(const Signer& signer, const Registry& registry,
                                                      std::uint64_t number, WallTime now, Days lifetime) {
  CHORUS_TRY(const identity::Validity validity, validity_under(signer.certificate, now, lifetime));
  return identity::make_revocation_list(registry.revoked(now), number, validity.not_before, validity.not_after,
                                        signer.issuer());
}

IssuedCertificate record_of(const identity::Certificate& certificate, WallTime enrolled_at) {
  return {certificate.info(), enrolled_at, std::nullopt};
}

}  // namespace chorus::certs
