// Where a coordinator listens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace chorus::client {

struct Endpoint {
  std::string host;  // a DNS name or an address literal; the coordinator's certificate must name it
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// "example.org:7443", "[2001:db8::1]:7443"
[[nodiscard]] std::string to_string(const Endpoint& endpoint);
// The same text. Errors: invalid_argument.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace chorus::client
