// The names under which a coordinator is reached, as they stand in its certificate.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"

namespace chorus::identity {

enum class HostKind : std::uint8_t { dns, ipv4, ipv6 };

struct HostName {
  HostKind kind = HostKind::dns;
  std::string text;  // canonical: lower-case DNS name without a final dot, or the address as inet_ntop writes it
  Bytes address;     // 4 or 16 bytes in network order; empty for a DNS name

  friend auto operator<=>(const HostName&, const HostName&) = default;
};

// A DNS name (RFC 1123: labels of letters, digits and hyphens; no wildcard), an IPv4 or an IPv6 address without
// brackets or zone. Errors: invalid_argument.
[[nodiscard]] Result<HostName> parse_host_name(std::string_view text);

// From the bytes of a certificate's IP address name. Errors: bad_certificate, if they are not 4 or 16.
[[nodiscard]] Result<HostName> host_from_address(ByteView address);

}  // namespace chorus::identity
