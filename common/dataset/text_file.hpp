// Reading text files line by line with bounded memory, and cutting lines into fields. The files come from elsewhere:
// a line has a longest length, NUL bytes are refused, and every error says "file:line". Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"

namespace chorus::dataset {

inline constexpr std::size_t kMaxLineBytes = 64 * 1024;

// Yields a file's lines without their line ends (LF or CRLF, the last one may lack it) and without a byte order mark.
class LineReader {
 public:
  // Errors: not_found, io; invalid_argument, if `path` is a folder or something else than a file.
  [[nodiscard]] static Result<LineReader> open(const std::filesystem::path& path);

  // Moves to the next line, which line() then holds; false at the end of the file.
  // Errors: malformed (a NUL byte: not a text file), too_large (a line of more than kMaxLineBytes), io.
  [[nodiscard]] Result<bool> next();

  // Valid until the next call of next().
  [[nodiscard]] std::string_view line() const noexcept { return line_; }
  // From 1.
  [[nodiscard]] std::size_t number() const noexcept { return number_; }
  // "file:line".
  [[nodiscard]] std::string where() const;

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };

  LineReader(std::string name, std::FILE* file);
  [[nodiscard]] Status refill();

  std::string name_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // buffer_[begin_, end_) is unread
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::string_view line_;
  std::size_t number_ = 0;
};

// Cuts lines at a separator. With quotes (CSV, RFC 4180), a field may be "in ""quotes""", on one line.
class FieldSplitter {
 public:
  FieldSplitter(std::string separator, bool quotes) : separator_(std::move(separator)), quotes_(quotes) {}

  // The fields, valid until the next call and as long as the line. Errors: malformed (quotes that do not close, or
  // text beside them).
  [[nodiscard]] Result<std::span<const std::string_view>> split(std::string_view line);

 private:
  std::string separator_;
  bool quotes_;
  std::vector<std::string_view> fields_;
  std::string unquoted_;  // where fields with doubled quotes live
};

}  // namespace chorus::dataset
