// The state folder's lock and its copy of the trace. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "common/base/result.hpp"

namespace chorus::coordinator {

// A file descriptor that closes itself.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileHandle();
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// The folder exists, can be written, and is ours until the handle closes (flock: a killed process lets it go).
// Errors: unwritable, already_exists (locked by another process), disk_full, io.
[[nodiscard]] Result<FileHandle> lock_state_folder(const std::filesystem::path& folder);

// Makes a file equal to a sequence of lines that is known elsewhere: what is there already is compared, what differs
// is cut off, what is missing is appended. A line that a killed process left half written is so repaired.
class LineCopy {
 public:
  // Errors: unwritable, io.
  [[nodiscard]] static Result<LineCopy> open(const std::filesystem::path& file);
  // The next line, without its break. Errors: disk_full, io; the line may then be tried again.
  [[nodiscard]] Status next(std::string_view line);
  // There are no more lines now: cuts off what follows. Errors: io.
  [[nodiscard]] Status end();

 private:
  FileHandle file_;
  std::filesystem::path path_;
  std::uint64_t position_ = 0;
  bool comparing_ = true;  // the file may still hold something beyond position_
};

}  // namespace chorus::coordinator
