// One conversation with the enrolment authority, from the asking side: connects, knows the authority by its
// fingerprint, fetches its revocation list, holds the service's own certificate against it, and only then asks. Blocks
// the calling thread, on an event loop of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/revocation_list.hpp"
#include "common/protocol/enrolment.hpp"

namespace chorus::net {

struct EnrolmentPlace {
  std::string host;  // a DNS name or an address literal; the service's certificate names it
  std::uint16_t port = 0;
  Digest authority{};  // SHA-256 of the authority's certificate
};

// "host:port", "[::1]:7444". Errors: invalid_argument.
[[nodiscard]] Result<EnrolmentPlace> parse_enrolment_place(std::string_view address, const Digest& authority);

struct EnrolmentAnswer {
  protocol::enrolment::Answer answer;
  identity::Certificate authority;
  identity::RevocationList list;  // of this authority, in force at `now`
};

// What to ask, once the number of the connection is known. Asking for the list alone is answered by what is fetched
// anyway.
using Ask = std::function<Result<protocol::enrolment::Request>(const protocol::enrolment::Challenge&)>;

// `limit` is for all of it. Errors: unreachable, timeout, closed, tls, wrong_host, bad_certificate, expired,
// not_yet_valid, revoked (the service's certificate), malformed; those of `ask`; and what the authority refused with.
[[nodiscard]] Result<EnrolmentAnswer> ask_authority(const EnrolmentPlace& place, const Ask& ask, WallTime now,
                                                    std::chrono::milliseconds limit = std::chrono::seconds(30));

}  // namespace chorus::net
