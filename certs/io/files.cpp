#include "certs/io/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace chorus::certs {

namespace {

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::not_found;
    case EEXIST:
    case ENOTEMPTY:
      return ErrorCode::already_exists;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::unwritable;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::disk_full;
    default:
      return ErrorCode::io;
  }
}

Status write_all(int descriptor, ByteView contents, const std::filesystem::path& path) {
  while (!contents.empty()) {
    const ssize_t written = ::write(descriptor, contents.data(), contents.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(system_error(errno, "cannot write", path));
    }
    contents = contents.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// The mode is set apart from open, which the process's umask cuts.
Status fill(const Descriptor& file, ByteView contents, mode_t mode, const std::filesystem::path& path) {
  if (::fchmod(file.number(), mode) != 0) return fail(system_error(errno, "cannot set the mode", path));
  return write_all(file.number(), contents, path);
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Error system_error(int error_number, std::string_view what, const std::filesystem::path& path) {
  return {code_of(error_number), fmt::format("{}: {}", what, std::strerror(error_number)), path.string()};
}

Result<crypto::ZeroizingBytes> read_file(const std::filesystem::path& path, std::size_t most) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) return fail(system_error(errno, "cannot read", path));
  struct stat status{};
  if (::fstat(file.number(), &status) != 0) return fail(system_error(errno, "cannot read", path));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::io, "expected a file", path.string());
  if (static_cast<std::uintmax_t>(status.st_size) > most) {
    return fail(ErrorCode::too_large, fmt::format("{} bytes; the limit is {}", status.st_size, most), path.string());
  }
  crypto::ZeroizingBytes contents(static_cast<std::size_t>(status.st_size));
  std::size_t filled = 0;
  while (filled < contents.size()) {
    const ssize_t read = ::read(file.number(), contents.data() + filled, contents.size() - filled);
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return fail(system_error(errno, "cannot read", path));
    if (read == 0) break;  // cut while it was read
    filled += static_cast<std::size_t>(read);
  }
  contents.resize(filled);
  return contents;
}

Status write_new_file(const std::filesystem::path& path, ByteView contents, mode_t mode) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kSecretFile));
  if (file.number() < 0) return fail(system_error(errno, "cannot make the file", path));
  return fill(file, contents, mode, path);
}

Status replace_file(const std::filesystem::path& path, ByteView contents, mode_t mode) {
  std::string beside = path.string() + ".XXXXXX";
  const Descriptor file(::mkostemp(beside.data(), O_CLOEXEC));  // mode 0600
  if (file.number() < 0) return fail(system_error(errno, "cannot write beside", path));
  Status status = fill(file, contents, mode, path);
  if (status && ::fsync(file.number()) != 0) status = fail(system_error(errno, "cannot flush", path));
  if (status && ::rename(beside.c_str(), path.c_str()) != 0) status = fail(system_error(errno, "cannot replace", path));
  if (!status) {
    ::unlink(beside.c_str());
    return status;
  }
  return flush_folder(path.parent_path());
}

Status flush_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() < 0 || ::fsync(descriptor.number()) != 0) {
    return fail(system_error(errno, "cannot flush", folder));
  }
  return {};
}

Result<Descriptor> lock_folder(const std::filesystem::path& folder) {
  Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() < 0) return fail(system_error(errno, "cannot open the folder", folder));
  while (::flock(descriptor.number(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail(system_error(errno, "cannot lock the folder", folder));
  }
  return descriptor;
}

}  // namespace chorus::certs
