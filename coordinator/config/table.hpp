// One TOML table, read key by key: each read marks its key as known, and finish() refuses the others. The first error
// sticks. For config's .cpp files alone: toml++ stops there.
#pragma once

#include <concepts>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "common/base/result.hpp"

namespace chorus::coordinator {

class Table {
 public:
  // `name` is empty for the file itself, otherwise the table's name. `table` may be null: all defaults.
  Table(const toml::table* table, std::string name, const std::filesystem::path& file)
      : table_(table), name_(std::move(name)), file_(file.string()) {}

  // "job.toml:17", or the file alone for what is not there.
  [[nodiscard]] std::string place(std::string_view key) const {
    const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
    return node == nullptr ? file_ : fmt::format("{}:{}", file_, node->source().begin.line);
  }
  void reject(std::string_view key, std::string_view expected, ErrorCode code = ErrorCode::invalid_argument) {
    if (!error_) error_ = Error(code, fmt::format("{}: {}", full_name(key), expected), place(key));
  }

  // A whole number in [least, most], if the key is there.
  template <std::unsigned_integral T>
  void integer(std::string_view key, T& out, T least, T most = std::numeric_limits<T>::max()) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto* value = node->as_integer();
    if (value == nullptr || value->get() < 0 || static_cast<std::uint64_t>(value->get()) < least ||
        static_cast<std::uint64_t>(value->get()) > most) {
      reject(key, fmt::format("expected a whole number from {} to {}", least, most));
      return;
    }
    out = static_cast<T>(value->get());
  }
  [[nodiscard]] bool has(std::string_view key) const { return table_ != nullptr && table_->contains(key); }
  void number(std::string_view key, float& out);
  // Above 0.
  void positive(std::string_view key, double& out);
  void boolean(std::string_view key, bool& out);
  // Present afterwards unless there was an error or the key is missing.
  [[nodiscard]] std::optional<std::string> string(std::string_view key);
  [[nodiscard]] std::optional<std::string> required_string(std::string_view key);
  // A string that parse() accepts.
  template <typename T>
  void parsed(std::string_view key, T& out, Result<T> (*parse)(std::string_view)) {
    const auto text = string(key);
    if (!text) return;
    auto value = parse(*text);
    if (value) {
      out = std::move(*value);
    } else {
      reject(key, value.error().sentence());
    }
  }
  [[nodiscard]] std::vector<std::string> strings(std::string_view key);
  [[nodiscard]] const toml::table* table(std::string_view key);
  // Every key that was not read so far, as text, in the file's words: 15 -> "15", .8 -> "0.8", true -> "true".
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> others();
  // The first error; otherwise the first unknown key, with the known ones.
  [[nodiscard]] Status finish() const;

 private:
  const toml::node* find(std::string_view key);
  [[nodiscard]] std::string full_name(std::string_view key) const {
    return name_.empty() ? std::string(key) : fmt::format("[{}] {}", name_, key);
  }

  const toml::table* table_;
  std::string name_;
  std::string file_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

}  // namespace chorus::coordinator
