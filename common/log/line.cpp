#include "common/log/line.hpp"

#include <cstddef>

namespace chorus::log {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// The length of the well-formed UTF-8 sequence that begins at `i` (Unicode 15, table 3-7), or 0.
std::size_t utf8_length(std::string_view text, std::size_t i) {
  const unsigned lead = byte_at(text, i);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || i + length > text.size()) return 0;
  const unsigned second = byte_at(text, i + 1);
  const unsigned lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (std::size_t k = 2; k < length; ++k) {
    if ((byte_at(text, i + k) & 0xc0U) != 0x80) return 0;
  }
  return length;
}

// C0 and DEL as one byte; C1 (U+0080 to U+009F) as two, which some terminals obey too.
bool is_control(std::string_view sequence) {
  const unsigned first = byte_at(sequence, 0);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7f;
  return sequence.size() == 2 && first == 0xc2 && byte_at(sequence, 1) < 0xa0;
}

void append_hex(std::string& out, unsigned byte) {
  out.push_back(kHexDigits[byte >> 4U]);
  out.push_back(kHexDigits[byte & 0x0fU]);
}

// The short escape of a character that both formats escape, or 0.
char short_escape(char c) {
  switch (c) {
    case '"':
    case '\\':
      return c;
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

// In text, what cannot be printed is written byte by byte (\xNN); in JSON a control is \u00NN, and a byte that is
// not UTF-8 becomes U+FFFD, since JSON has no way to write it.
void append_escaped(std::string& out, std::string_view text, Format format) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text, i);
    const std::string_view sequence = text.substr(i, length == 0 ? 1 : length);
    i += sequence.size();
    if (const char escape = short_escape(sequence[0]); escape != 0) {
      out.push_back('\\');
      out.push_back(escape);
    } else if (length != 0 && !is_control(sequence)) {
      out.append(sequence);
    } else if (format == Format::text) {
      for (std::size_t k = 0; k < sequence.size(); ++k) {
        out.append("\\x");
        append_hex(out, byte_at(sequence, k));
      }
    } else if (length == 0) {
      out.append("\\ufffd");
    } else {
      out.append("\\u00");
      append_hex(out, byte_at(sequence, sequence.size() - 1));
    }
  }
}

void append_quoted(std::string& out, std::string_view text, Format format) {
  out.push_back('"');
  append_escaped(out, text, format);
  out.push_back('"');
}

// A value that a reader, or a script that splits at spaces and `=`, could misread is put in quotes.
bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (c == ' ' || c == '=' || c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) return true;
  }
  return false;
}

}  // namespace

std::string text_line(std::string_view event, Fields fields) {
  std::string line;
  append_escaped(line, event, Format::text);
  for (const Field& field : fields) {
    line.push_back(' ');
    append_escaped(line, field.name(), Format::text);
    line.push_back('=');
    if (needs_quotes(field.text())) {
      append_quoted(line, field.text(), Format::text);
    } else {
      append_escaped(line, field.text(), Format::text);
    }
  }
  return line;
}

std::string json_members(std::string_view event, Fields fields) {
  std::string line = "\"event\":";
  append_quoted(line, event, Format::json);
  for (const Field& field : fields) {
    line.push_back(',');
    append_quoted(line, field.name(), Format::json);
    line.push_back(':');
    if (field.is_literal()) {
      line.append(field.text());
    } else {
      append_quoted(line, field.text(), Format::json);
    }
  }
  return line;
}

}  // namespace chorus::log
