// Files that are there whole or not at all: written beside their place, flushed, then renamed into it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::certs {

inline constexpr mode_t kPublicFile = 0644;
inline constexpr mode_t kSecretFile = 0600;

// An open file descriptor, closed at the end. Movable.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

// The last failed system call on `path` as an Error: not_found, already_exists, unwritable, disk_full or io.
[[nodiscard]] Error system_error(int error_number, std::string_view what, const std::filesystem::path& path);

// The bytes are wiped when they are given back, for a file may hold a key.
// Errors: not_found, too_large (more than `most` bytes), io.
[[nodiscard]] Result<crypto::ZeroizingBytes> read_file(const std::filesystem::path& path, std::size_t most);

// Writes a file that is not there yet, without flushing it. Errors: already_exists, unwritable, disk_full, io.
[[nodiscard]] Status write_new_file(const std::filesystem::path& path, ByteView contents, mode_t mode);

// Replaces a file, or makes it: after a crash there is the old one or the new one.
// Errors: unwritable, disk_full, io.
[[nodiscard]] Status replace_file(const std::filesystem::path& path, ByteView contents, mode_t mode);

// Makes a folder's entries durable.
[[nodiscard]] Status flush_folder(const std::filesystem::path& folder);

// One process at a time may change the folder; the others wait. Released at the end.
// Errors: not_found, io.
[[nodiscard]] Result<Descriptor> lock_folder(const std::filesystem::path& folder);

}  // namespace chorus::certs
