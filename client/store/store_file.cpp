#include "client/store/store_file.hpp"

#include <array>
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

struct Descriptor {
  explicit Descriptor(int opened) noexcept : number(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  int number;
};

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

Result<std::optional<Bytes>> read_private_file(const std::filesystem::path& file) {
  constexpr std::size_t kMost = std::size_t{64} * 1024;
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.number < 0) {
    if (errno == ENOENT) return std::nullopt;
    return fail(system_error_at(errno, "read a file of the store", file));
  }
  Bytes bytes;
  for (std::array<std::uint8_t, 4096> block;;) {
    const ssize_t got = ::read(in.number, block.data(), block.size());
    if (got == 0) return bytes;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(system_error_at(errno, "read a file of the store", file));
    bytes.insert(bytes.end(), block.begin(), block.begin() + got);
    if (bytes.size() > kMost) return fail(ErrorCode::too_large, "a file of the store is too large", file.string());
  }
}

Status replace_private_file(const std::filesystem::path& file, ByteView bytes, bool durable) {
  const std::filesystem::path next = file.string() + ".new";
  const auto failed = [&](std::string_view doing) { return fail(system_error_at(errno, doing, file)); };
  {
    const Descriptor out(::open(next.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
    if (out.number < 0) return failed("write a file of the store");
    while (!bytes.empty()) {
      const ssize_t put = ::write(out.number, bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failed("write a file of the store");
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    if (durable && ::fsync(out.number) != 0) return failed("write a file of the store");
  }
  if (::rename(next.c_str(), file.c_str()) != 0) return failed("replace a file of the store");
  if (!durable) return {};
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const Descriptor at(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (at.number < 0 || ::fsync(at.number) != 0) return failed("replace a file of the store");
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
