#include "common/identity/host_name.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::identity {

namespace {

constexpr std::size_t kMostDnsCharacters = 253;  // RFC 1035 section 2.3.4, without the final dot
constexpr std::size_t kMostLabelCharacters = 63;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter_or_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z');
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMostLabelCharacters && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

// RFC 1123 section 2.1. The last label must not be a number: "10.0.0.300" is a mistyped address, not a name.
bool is_dns_name(std::string_view name) {
  if (name.empty() || name.size() > kMostDnsCharacters) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!is_label(label)) return false;
    if (dot == std::string_view::npos) return !std::ranges::all_of(label, is_digit);
    name.remove_prefix(dot + 1);
  }
}

std::optional<HostName> parse_address(const std::string& text) {
  ByteArray<16> address{};
  for (const auto& [family, size] : {std::pair{AF_INET, 4U}, std::pair{AF_INET6, 16U}}) {
    if (inet_pton(family, text.c_str(), address.data()) == 1) {
      return host_from_address(ByteView(address).first(size)).value();
    }
  }
  return std::nullopt;
}

}  // namespace

Result<HostName> parse_host_name(std::string_view text) {
  // A zero byte would end the C string early, and another name would be read than was checked.
  if (text.find('\0') == std::string_view::npos && text.size() <= kMostDnsCharacters) {
    if (auto host = parse_address(std::string(text))) return *std::move(host);
    std::string name(text);
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (is_dns_name(name)) return HostName{HostKind::dns, std::move(name), {}};
  }
  std::string shown(text.substr(0, 80));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return fail(ErrorCode::invalid_argument,
              "expected a DNS name (letters, digits, hyphens and dots), an IPv4 address or an IPv6 address without "
              "brackets",
              fmt::format("host '{}'", shown));
}

Result<HostName> host_from_address(ByteView address) {
  const bool is_v4 = address.size() == 4;
  if (!is_v4 && address.size() != 16) {
    return fail(ErrorCode::bad_certificate, fmt::format("an IP address of {} bytes", address.size()));
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  CHORUS_ENSURE(inet_ntop(is_v4 ? AF_INET : AF_INET6, address.data(), text.data(), text.size()) != nullptr,
                "4 or 16 bytes are an address");
  return HostName{is_v4 ? HostKind::ipv4 : HostKind::ipv6, text.data(), Bytes(address.begin(), address.end())};
}

}  // namespace chorus::identity
