#include "common/dataset/text_file.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace chorus::dataset {

namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;
static_assert(kChunkBytes > kMaxLineBytes + 2, "a whole line and its end fit the buffer");
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

LineReader::LineReader(std::string name, std::FILE* file) : name_(std::move(name)), file_(file), buffer_(kChunkBytes) {}

Result<LineReader> LineReader::open(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return fail(ErrorCode::not_found, "there is no such file", path.string());
  }
  if (error) return fail(ErrorCode::io, "cannot be read: " + error.message(), path.string());
  if (status.type() != std::filesystem::file_type::regular) {
    return fail(ErrorCode::invalid_argument, "expected a file", path.string());
  }
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return fail(ErrorCode::io, "cannot be read: " + std::generic_category().message(errno), path.string());
  }
  return LineReader(path.string(), file);
}

std::string LineReader::where() const {
  return fmt::format("{}:{}", name_, number_);
}

Status LineReader::refill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const std::size_t read = std::fread(buffer_.data() + end_, 1, buffer_.size() - end_, file_.get());
  if (std::ferror(file_.get()) != 0) {
    return fail(ErrorCode::io, "cannot be read: " + std::generic_category().message(errno), name_);
  }
  end_ += read;
  at_end_ = end_ < buffer_.size();
  return {};
}

Result<bool> LineReader::next() {
  const auto line_end = [&] {
    return static_cast<const char*>(end_ == begin_ ? nullptr
                                                   : std::memchr(buffer_.data() + begin_, '\n', end_ - begin_));
  };
  const char* newline = line_end();
  if (newline == nullptr && !at_end_) {
    CHORUS_TRY_DO(refill());
    newline = line_end();
  }
  line_ = {};
  if (begin_ == end_) return false;
  ++number_;
  const char* start = buffer_.data() + begin_;
  std::size_t size = newline == nullptr ? end_ - begin_ : static_cast<std::size_t>(newline - start);
  begin_ += size + (newline == nullptr ? 0 : 1);
  if (size > 0 && start[size - 1] == '\r') --size;
  if (size > kMaxLineBytes) {
    return fail(ErrorCode::too_large, fmt::format("a line of more than {} bytes", kMaxLineBytes), where());
  }
  line_ = {start, size};
  if (number_ == 1 && line_.starts_with(kByteOrderMark)) line_.remove_prefix(kByteOrderMark.size());
  if (line_.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::malformed, "expected text, found a NUL byte", where());
  }
  return true;
}

Result<std::span<const std::string_view>> FieldSplitter::split(std::string_view line) {
  fields_.clear();
  unquoted_.clear();
  unquoted_.reserve(line.size());  // the views into it stay valid
  while (true) {
    if (quotes_ && line.starts_with('"')) {
      const std::size_t start = unquoted_.size();
      std::size_t i = 1;
      for (; i < line.size(); ++i) {
        if (line[i] != '"') {
          unquoted_.push_back(line[i]);
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          unquoted_.push_back('"');
          ++i;
        } else {
          break;
        }
      }
      if (i >= line.size()) return fail(ErrorCode::malformed, "a quote is not closed on its line");
      fields_.push_back(std::string_view(unquoted_).substr(start));
      line.remove_prefix(i + 1);
      if (line.empty()) return fields_;
      if (!line.starts_with(separator_)) return fail(ErrorCode::malformed, "text follows a closing quote");
      line.remove_prefix(separator_.size());
      continue;
    }
    const std::size_t at = line.find(separator_);
    fields_.push_back(line.substr(0, at));
    if (at == std::string_view::npos) return fields_;
    line.remove_prefix(at + separator_.size());
  }
}

}  // namespace chorus::dataset
