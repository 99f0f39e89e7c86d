#include "common/dataset/text.hpp"

#include <cstdint>

namespace chorus::dataset {

namespace {

// The length of the well-formed sequence at text[0], 0 if there is none (Unicode 15, table 3-7).
std::size_t sequence_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto in = [&](std::size_t i, unsigned low, unsigned high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return in(1, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;
    return in(1, low, high) && in(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return in(1, low, high) && in(2, 0x80, 0xbf) && in(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

// The length in bytes of the control character at text[0], 0 if it is something else.
std::size_t control_length(std::string_view text) noexcept {
  const auto first = static_cast<std::uint8_t>(text[0]);
  if (first < 0x20 || first == 0x7f) return 1;
  if (first == 0xc2 && text.size() > 1 && static_cast<std::uint8_t>(text[1]) < 0xa0) return 2;
  return 0;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool has_control(std::string_view utf8) noexcept {
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    if (control_length(utf8.substr(i)) != 0) return true;
  }
  return false;
}

std::string utf8_from_latin1(std::string_view latin1) {
  std::string utf8;
  utf8.reserve(latin1.size() + latin1.size() / 4);
  for (const char c : latin1) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte < 0x80) {
      utf8.push_back(c);
    } else {
      utf8.push_back(static_cast<char>(0xc0 | (byte >> 6)));
      utf8.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
    }
  }
  return utf8;
}

std::string printable(std::string_view field, std::size_t max) {
  const std::string utf8 = is_utf8(field) ? std::string(field) : utf8_from_latin1(field);
  std::string text;
  text.reserve(utf8.size());
  for (std::string_view rest = utf8; !rest.empty();) {
    if (const std::size_t control = control_length(rest); control != 0) {
      text.push_back(' ');
      rest.remove_prefix(control);
      continue;
    }
    const std::size_t length = sequence_length(rest);
    if (text.size() + length > max) break;
    text.append(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  return std::string(trimmed(text));
}

std::string_view trimmed(std::string_view text) noexcept {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string shown(std::string_view field) {
  constexpr std::size_t kMax = 40;
  std::string text = printable(field.substr(0, 4 * kMax), kMax);
  if (text.size() < trimmed(field).size() && text.size() + 4 > kMax) text += "...";
  return "'" + text + "'";
}

}  // namespace chorus::dataset
