// What is text: UTF-8 that is safe to print. Stateless functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace chorus::dataset {

// Well-formed UTF-8 as of RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

// Whether UTF-8 text holds a control character (U+0000..U+001F, U+007F..U+009F): these move cursors and rewrite
// lines on the terminals where ids and titles are printed.
[[nodiscard]] bool has_control(std::string_view utf8) noexcept;

// Each byte as the code point of its number.
[[nodiscard]] std::string utf8_from_latin1(std::string_view latin1);

// What a file's field becomes as a title: UTF-8 (ISO-8859-1 is converted if the bytes are not UTF-8), control
// characters as spaces, no space at either end, cut between two characters to at most `max` bytes.
[[nodiscard]] std::string printable(std::string_view field, std::size_t max);

// Without ASCII blanks at either end.
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;

// A piece of input for an error's sentence: in quotes, printable, at most 40 bytes.
[[nodiscard]] std::string shown(std::string_view field);

}  // namespace chorus::dataset
