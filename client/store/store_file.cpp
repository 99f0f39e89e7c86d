#include "client/store/store_file.hpp"

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace chorus::client {
namespace {

Error system_error_at(int number, std::string_view doing, const std::filesystem::path& place) {
  ErrorCode code = ErrorCode::io;
  if (number == ENOSPC || number == EDQUOT) code = ErrorCode::disk_full;
  if (number == EACCES || number == EPERM || number == EROFS || number == ENOTDIR || number == EISDIR) {
    code = ErrorCode::unwritable;
  }
  return Error(code, fmt::format("cannot {}: {}", doing, std::generic_category().message(number)), place.string());
}

Status make_private_folders(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> missing;
  for (std::filesystem::path at = folder; !at.empty(); at = at.parent_path()) {
    struct stat found{};
    if (::stat(at.c_str(), &found) == 0) {
      if (!S_ISDIR(found.st_mode)) return fail(system_error_at(ENOTDIR, "make the store's folder", at));
      break;
    }
    if (errno != ENOENT) return fail(system_error_at(errno, "make the store's folder", at));
    missing.push_back(at);
    if (at == at.parent_path()) break;
  }
  for (auto next = missing.rbegin(); next != missing.rend(); ++next) {
    if (::mkdir(next->c_str(), 0700) != 0 && errno != EEXIST) {
      return fail(system_error_at(errno, "make the store's folder", *next));
    }
  }
  return {};
}

}  // namespace

Status prepare_private_file(const std::filesystem::path& file) {
  CHORUS_TRY_DO(make_private_folders(file.parent_path()));
  // O_EXCL: an existing database is not opened here, because closing any descriptor of it would drop the locks that
  // SQLite holds on it elsewhere in this process.
  const int descriptor = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (descriptor >= 0) {
    ::close(descriptor);
    return {};
  }
  if (errno != EEXIST) return fail(system_error_at(errno, "create the store", file));
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0) return fail(system_error_at(errno, "look at the store", file));
  if (S_ISDIR(found.st_mode)) return fail(system_error_at(EISDIR, "open the store", file));
  if ((found.st_mode & 077) != 0 && ::chmod(file.c_str(), 0600) != 0) {
    return fail(system_error_at(errno, "make the store private", file));
  }
  return {};
}

SessionLock::SessionLock(SessionLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

SessionLock& SessionLock::operator=(SessionLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

SessionLock::~SessionLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<SessionLock> SessionLock::take(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail(system_error_at(errno, "lock the store", file));
  SessionLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return fail(system_error_at(errno, "lock the store", file));
  return fail(ErrorCode::round_in_use, "another process is already taking part with this store; stop it first",
              file.string());
}

}  // namespace chorus::client
