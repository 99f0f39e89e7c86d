#include "client/io/endpoint.hpp"

#include <charconv>

#include <fmt/format.h>

namespace chorus::client {

std::string to_string(const Endpoint& endpoint) {
  const bool literal = endpoint.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", literal ? "[" : "", endpoint.host, literal ? "]" : "", endpoint.port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto wrong = [&] {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' is not HOST:PORT (an IPv6 address goes in brackets: [::1]:7443)", text));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return wrong();
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong();
  }
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number == 0) return wrong();
  return Endpoint{.host = std::string(host), .port = number};
}

}  // namespace chorus::client
