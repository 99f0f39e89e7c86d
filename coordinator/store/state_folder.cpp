#include "coordinator/store/state_folder.hpp"

#include <cerrno>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace chorus::coordinator {

namespace {

std::unexpected<Error> system_failure(int number, std::string_view what, const std::filesystem::path& path) {
  ErrorCode code = ErrorCode::io;
  if (number == ENOSPC || number == EDQUOT) code = ErrorCode::disk_full;
  if (number == EACCES || number == EPERM || number == EROFS || number == ENOTDIR) code = ErrorCode::unwritable;
  return fail(code, fmt::format("{}: {}", what, std::generic_category().message(number)), path.string());
}

Status write_all(int descriptor, std::string_view text, std::uint64_t offset, const std::filesystem::path& path) {
  while (!text.empty()) {
    const ssize_t written = ::pwrite(descriptor, text.data(), text.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_failure(errno, "cannot write", path);
    text.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

}  // namespace

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<FileHandle> lock_state_folder(const std::filesystem::path& folder) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(folder, error);
  if (error) return system_failure(error.value(), "cannot make the state folder", folder);
  if (made) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  const auto path = folder / "lock";
  FileHandle lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (lock.get() < 0) return system_failure(errno, "the state folder cannot be written", folder);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return fail(ErrorCode::already_exists, "another coordinator is using this state folder", folder.string());
    }
    return system_failure(errno, "cannot lock the state folder", folder);
  }
  return lock;
}

Result<LineCopy> LineCopy::open(const std::filesystem::path& file) {
  LineCopy copy;
  copy.file_ = FileHandle(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (copy.file_.get() < 0) return system_failure(errno, "cannot open", file);
  copy.path_ = file;
  return copy;
}

Status LineCopy::next(std::string_view line) {
  std::string text(line);
  text += '\n';
  if (comparing_) {
    std::vector<char> there(text.size());
    const ssize_t count = ::pread(file_.get(), there.data(), there.size(), static_cast<off_t>(position_));
    if (count < 0) return system_failure(errno, "cannot read", path_);
    if (std::string_view(there.data(), static_cast<std::size_t>(count)) == text) {
      position_ += text.size();
      return {};
    }
    CHORUS_TRY_DO(end());
  }
  CHORUS_TRY_DO(write_all(file_.get(), text, position_, path_));
  position_ += text.size();
  return {};
}

Status LineCopy::end() {
  if (!comparing_) return {};
  if (::ftruncate(file_.get(), static_cast<off_t>(position_)) != 0) {
    return system_failure(errno, "cannot shorten", path_);
  }
  comparing_ = false;
  return {};
}

}  // namespace chorus::coordinator
