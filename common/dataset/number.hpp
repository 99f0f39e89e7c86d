// Numbers in text, independent of the locale. Stateless functions.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace chorus::dataset {

// The whole text as a number, or nothing. "nan" and "inf" are numbers here: whoever wants finite ones checks.
template <typename T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text) noexcept {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

[[nodiscard]] inline std::optional<double> parse_real(std::string_view text) noexcept {
  return parse_number<double>(text);
}

[[nodiscard]] inline std::optional<std::int64_t> parse_whole(std::string_view text) noexcept {
  return parse_number<std::int64_t>(text);
}

}  // namespace chorus::dataset
