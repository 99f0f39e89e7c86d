// The one logging door. Structured lines on standard error: an event's name and its fields. Never personal data,
// never a secret: the fields of one event are listed where it is logged, so a reviewer can read them.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace chorus::log {

enum class Level { debug, info, warning, error, off };
enum class Format { text, json };

class Field {
 public:
  Field(std::string_view name, std::string_view value);
  Field(std::string_view name, const char* value) : Field(name, std::string_view(value)) {}
  Field(std::string_view name, const std::string& value) : Field(name, std::string_view(value)) {}
  Field(std::string_view name, bool value);
  Field(std::string_view name, double value);
  template <std::integral T>
  Field(std::string_view name, T value) : Field(name, Number{}, std::to_string(value)) {}

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  // Whether `text` is a JSON number or boolean, written without quotes.
  [[nodiscard]] bool is_literal() const noexcept { return literal_; }

 private:
  struct Number {};
  Field(std::string_view name, Number, std::string text) : name_(name), text_(std::move(text)), literal_(true) {}
  std::string_view name_;
  std::string text_;
  bool literal_ = false;
};

using Fields = std::initializer_list<Field>;

// Once at start-up, before threads: where lines go is standard error. Default: info, text.
void configure(Level level, Format format);
// At any time, thread-safe.
void set_level(Level level);
[[nodiscard]] bool parse_level(std::string_view text, Level& level);

// `event` is a short sentence in plain words; newlines and control characters of values are escaped.
// Thread-safe.
void write(Level level, std::string_view event, Fields fields = {});
inline void debug(std::string_view event, Fields fields = {}) {
  write(Level::debug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) {
  write(Level::info, event, fields);
}
inline void warning(std::string_view event, Fields fields = {}) {
  write(Level::warning, event, fields);
}
inline void error(std::string_view event, Fields fields = {}) {
  write(Level::error, event, fields);
}

}  // namespace chorus::log
