// What an authority has issued: its index. A value; certs/io keeps it in issued.tsv.
//
// Text, UTF-8, one certificate a line, fields separated by tabs, dates in UTC:
//
//   # chorus-certs index 1
//   serial  kind  subject  key  enrolled  begins  ends  revoked
//
// serial and key in hexadecimal; subject is a device's id or a coordinator's hosts separated by commas; revoked is a
// date or "-".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/revocation_list.hpp"

namespace chorus::certs {

struct IssuedCertificate {
  identity::CertificateInfo info;  // a coordinator's or a device's
  WallTime enrolled_at{};          // a device's first enrolment, kept by renewal
  std::optional<WallTime> revoked_at;

  friend bool operator==(const IssuedCertificate&, const IssuedCertificate&) = default;
};

// Not thread-safe.
class Registry {
 public:
  // Errors: malformed ("line 3: ..."), unsupported_version.
  [[nodiscard]] static Result<Registry> parse(std::string_view text);
  [[nodiscard]] std::string text() const;

  // REQUIRES: a serial number that was not added before.
  void add(IssuedCertificate issued);

  // In the order of issue.
  [[nodiscard]] const std::vector<IssuedCertificate>& all() const noexcept { return issued_; }
  // Null if this authority did not issue it.
  [[nodiscard]] const IssuedCertificate* find(const identity::Serial& serial) const;
  // The device's newest certificate; null if it has none.
  [[nodiscard]] const IssuedCertificate* newest_of(const identity::DeviceId& device) const;
  // How many of the device's certificates begin at `since` or later.
  [[nodiscard]] std::size_t count_of(const identity::DeviceId& device, WallTime since) const;

  // Forgets a device's certificates that ended more than 60 days ago and were renewed since: short-lived ones would
  // fill the index. What was revoked stays.
  void forget_renewed(WallTime now);

  // Every certificate of the device, whatever its key. Returns how many were newly revoked.
  // Errors: not_found; revoked, if all of them were before.
  [[nodiscard]] Result<std::size_t> revoke_device(const identity::DeviceId& device, WallTime now);
  // Every certificate that holds the key of the one with this serial number: a key is what is lost.
  // Errors as above.
  [[nodiscard]] Result<std::size_t> revoke_key_of(const identity::Serial& serial, WallTime now);

  // The entries of a revocation list signed at `now`. A certificate that ended more than 60 days before is left out:
  // nothing accepts it any more, and it stood on a list issued after its end (RFC 5280 section 3.3).
  [[nodiscard]] std::vector<identity::RevokedCertificate> revoked(WallTime now) const;

 private:
  template <typename Matches>
  Result<std::size_t> revoke_if(Matches matches, const std::string& place, WallTime now);

  std::vector<IssuedCertificate> issued_;
  std::map<identity::Serial, std::size_t> by_serial_;
};

}  // namespace chorus::certs
