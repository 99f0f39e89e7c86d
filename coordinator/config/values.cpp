// The grammar of single values.
#include <charconv>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "coordinator/config/config.hpp"

namespace chorus::coordinator {

namespace {

// A whole decimal number without sign; the rest of the text.
template <typename T>
std::optional<std::pair<T, std::string_view>> leading_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || text.front() == '-') return std::nullopt;
  return std::pair(value, text.substr(static_cast<std::size_t>(end - text.data())));
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const auto refuse = [&] {
    return fail(ErrorCode::malformed,
                fmt::format("expected a duration such as \"500ms\", \"30s\", \"10min\", \"2h\" or \"30d\", found \"{}\"", text));
  };
  const auto number = text.empty() ? std::nullopt : leading_number<std::uint32_t>(text);
  if (!number) return refuse();
  const auto& [value, unit] = *number;
  if (unit == "ms") return Duration(std::chrono::milliseconds(value));
  if (unit == "s") return Duration(std::chrono::seconds(value));
  if (unit == "min") return Duration(std::chrono::minutes(value));
  // Hours of 32 bits do not fit in nanoseconds of 64.
  if (unit == "h" && value <= 24 * 365) return Duration(std::chrono::hours(value));
  if (unit == "d" && value <= 365) return Duration(std::chrono::days(value));
  return refuse();
}

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto refuse = [&] {
    return fail(ErrorCode::malformed,
                fmt::format("expected an address such as \"127.0.0.1:7443\" or \"[::1]:7443\", found \"{}\"", text));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == text.size()) return refuse();
  const auto port = leading_number<std::uint16_t>(text.substr(colon + 1));
  if (!port || !port->second.empty()) return refuse();
  std::string host(text.substr(0, colon));
  ByteArray<16> address{};
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (::inet_pton(AF_INET6, host.c_str(), address.data()) != 1) return refuse();
  } else if (::inet_pton(AF_INET, host.c_str(), address.data()) != 1) {
    return refuse();
  }
  return ListenAddress{.host = std::move(host), .port = port->first};
}

Result<plan::Ratio> parse_ratio(std::string_view text) {
  const auto numerator = text.empty() ? std::nullopt : leading_number<std::uint32_t>(text);
  if (numerator && numerator->second.size() >= 2 && numerator->second.front() == '/') {
    const auto denominator = leading_number<std::uint32_t>(numerator->second.substr(1));
    if (denominator && denominator->second.empty() && denominator->first > 0) {
      return plan::Ratio{.numerator = numerator->first, .denominator = denominator->first};
    }
  }
  return fail(ErrorCode::malformed, fmt::format("expected a fraction such as \"3/20\", found \"{}\"", text));
}

}  // namespace chorus::coordinator
