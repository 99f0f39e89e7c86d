// The file system's side of a store: private folders and files, and the lock of the one session that may take part in
// rounds. POSIX.
#pragma once

#include <filesystem>
#include <optional>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"

namespace chorus::client {

// Makes `file` (empty, mode 0600) and its missing folders (0700) unless it is there; takes other people's access to it
// away. Errors: unwritable, disk_full, io; where() is the place.
[[nodiscard]] Status prepare_private_file(const std::filesystem::path& file);

// A small file's bytes, or nothing if it is not there. Errors: unwritable, io; too_large, beyond 64 KiB.
[[nodiscard]] Result<std::optional<Bytes>> read_private_file(const std::filesystem::path& file);
// Puts a file (mode 0600) in the place of what was there: after a crash it is the old or the new one. `durable`: also
// after a power cut, once this returned. Errors: unwritable, disk_full, io.
[[nodiscard]] Status replace_private_file(const std::filesystem::path& file, ByteView bytes, bool durable);

// An advisory lock on a file of its own, given back when the object or the process ends. Not thread-safe; movable.
class SessionLock {
 public:
  SessionLock() noexcept = default;
  SessionLock(SessionLock&& other) noexcept;
  SessionLock& operator=(SessionLock&& other) noexcept;
  ~SessionLock();

  // Errors: round_in_use, unwritable, disk_full, io.
  [[nodiscard]] static Result<SessionLock> take(const std::filesystem::path& file);
  [[nodiscard]] bool held() const noexcept { return descriptor_ >= 0; }

 private:
  explicit SessionLock(int descriptor) noexcept : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace chorus::client
