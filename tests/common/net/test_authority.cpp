#include "tests/common/net/test_authority.hpp"

#include <algorithm>
#include <stdexcept>

#include <gtest/gtest.h>

#include "common/identity/private_key_pem.hpp"

namespace chorus::net {

namespace {

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return std::move(result).value();
}

WallTime middle(const Credentials& credentials) {
  const identity::Validity& validity = credentials.certificate.info().validity;
  return validity.not_before + (validity.not_after - validity.not_before) / 2;
}

}  // namespace

WallTime year(int number) {
  return std::chrono::sys_days(std::chrono::year(number) / std::chrono::January / 1);
}

TestAuthority::TestAuthority(std::uint64_t seed)
    : random_(seed),
      key_(crypto::SigningKey::generate(random_)),
      certificate_(must(identity::make_authority_certificate(key_, identity::random_serial(random_), kValid))) {}

Credentials TestAuthority::device(const identity::Validity& validity) {
  const crypto::SigningKey key = crypto::SigningKey::generate(random_);
  random_.fill(last_device_.bytes);
  return pack(key,
              must(identity::make_device_certificate(key.public_key(), last_device_, identity::random_serial(random_),
                                                     validity, {certificate_, key_})));
}

Credentials TestAuthority::coordinator(const identity::Validity& validity, const std::vector<std::string_view>& hosts) {
  const crypto::SigningKey key = crypto::SigningKey::generate(random_);
  std::vector<identity::HostName> names;
  for (const std::string_view host : hosts) names.push_back(must(identity::parse_host_name(host)));
  return pack(key, must(identity::make_coordinator_certificate(
                       key.public_key(), names, identity::random_serial(random_), validity, {certificate_, key_})));
}

void TestAuthority::revoke(const identity::Certificate& certificate) {
  revoked_.push_back({.serial = certificate.info().serial, .revoked_at = year(2000), .device = {}});
  std::ranges::sort(revoked_);
}

identity::RevocationList TestAuthority::list(const identity::Validity& validity) {
  return must(identity::make_revocation_list(revoked_, revoked_.size() + 1, validity.not_before, validity.not_after,
                                             {certificate_, key_}));
}

Credentials TestAuthority::pack(const crypto::SigningKey& key, identity::Certificate certificate) {
  return {.pem = {.certificate = certificate.pem(),
                  .key = identity::private_key_pem(key),
                  .authority = certificate_.pem(),
                  .crl = list().pem()},
          .certificate = std::move(certificate)};
}

TlsContext server_context(const Credentials& credentials) {
  return must(TlsContext::server(credentials.pem, middle(credentials)));
}

TlsContext client_context(const Credentials& credentials) {
  return must(TlsContext::client(credentials.pem, middle(credentials)));
}

}  // namespace chorus::net
