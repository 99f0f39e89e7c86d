#include "certs/io/staged_folder.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace chorus::certs {

namespace fs = std::filesystem;

namespace {

// Beyond this many files one flush of the whole file system is quicker than one a file.
constexpr std::size_t kFlushedOneByOne = 64;

// Absolute and without a final slash, so that there is a parent to stand in.
Result<fs::path> place_of(const fs::path& place) {
  std::error_code error;
  fs::path path = fs::absolute(place, error).lexically_normal();
  if (error) return fail(system_error(error.value(), "cannot find the folder", place));
  if (!path.has_filename()) path = path.parent_path();
  if (!path.has_filename()) return fail(ErrorCode::already_exists, "the root of the file system", path.string());
  return path;
}

Status flush_path(const fs::path& path, int flags) {
  const Descriptor descriptor(::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC));
  if (descriptor.number() < 0 || ::fsync(descriptor.number()) != 0) {
    return fail(system_error(errno, "cannot flush", path));
  }
  return {};
}

}  // namespace

Result<StagedFolder> StagedFolder::at(const fs::path& place) {
  CHORUS_TRY(fs::path path, place_of(place));
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (fs::exists(status)) {
    const bool is_free = fs::is_directory(status) && fs::is_empty(path, error) && !error;
    if (!is_free) return fail(ErrorCode::already_exists, "nothing is overwritten: choose another place", path.string());
  }
  fs::create_directories(path.parent_path(), error);
  if (error == std::errc::not_a_directory) {
    return fail(ErrorCode::unwritable, "a file is where a folder is needed", path.parent_path().string());
  }
  if (error) return fail(system_error(error.value(), "cannot make the folder", path.parent_path()));
  return beside(std::move(path));
}

Result<StagedFolder> StagedFolder::instead_of(const fs::path& place) {
  CHORUS_TRY(fs::path path, place_of(place));
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(path, error))) {
    return fail(ErrorCode::not_found, "expected a folder", path.string());
  }
  return beside(std::move(path));
}

Result<StagedFolder> StagedFolder::beside(fs::path place) {
  std::string staging = (place.parent_path() / ".chorus-certs-XXXXXX").string();
  if (::mkdtemp(staging.data()) == nullptr) {  // mode 0700
    return fail(system_error(errno, "cannot write in the folder", place.parent_path()));
  }
  return StagedFolder(std::move(place), std::move(staging));
}

StagedFolder::StagedFolder(StagedFolder&& other) noexcept
    : place_(std::move(other.place_)), staging_(std::exchange(other.staging_, {})), files_(std::move(other.files_)) {}

StagedFolder::~StagedFolder() {
  if (staging_.empty()) return;
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
}

Status StagedFolder::add(const fs::path& name, ByteView contents, mode_t mode) {
  if (auto status = write_new_file(staging_ / name, contents, mode); !status) {
    // The staging folder is no place that a person knows.
    return fail(status.error().code(), status.error().sentence(), (place_ / name).string());
  }
  files_.insert(name);
  return {};
}

Status StagedFolder::add_folder(const fs::path& name) {
  if (::mkdir((staging_ / name).c_str(), 0700) == 0) return {};
  return fail(system_error(errno, "cannot make the folder", place_ / name));
}

Status StagedFolder::flush() const {
  if (files_.size() > kFlushedOneByOne) {
    const Descriptor descriptor(::open(staging_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (descriptor.number() < 0 || ::syncfs(descriptor.number()) != 0) {
      return fail(system_error(errno, "cannot flush", place_));
    }
    return {};
  }
  for (const fs::path& name : files_) {
    CHORUS_TRY_DO(flush_path(staging_ / name, 0));
    if (name.has_parent_path()) CHORUS_TRY_DO(flush_path((staging_ / name).parent_path(), O_DIRECTORY));
  }
  return flush_path(staging_, O_DIRECTORY);
}

Status StagedFolder::publish() && {
  CHORUS_TRY_DO(flush());
  // Onto an empty folder this succeeds, onto anything else it fails: there is no moment between look and leap.
  if (::rename(staging_.c_str(), place_.c_str()) != 0) {
    if (errno == ENOTDIR || errno == EEXIST || errno == ENOTEMPTY) {
      return fail(ErrorCode::already_exists, "nothing is overwritten: choose another place", place_.string());
    }
    return fail(system_error(errno, "cannot put the folder in its place", place_));
  }
  staging_.clear();
  return flush_folder(place_.parent_path());
}

Status StagedFolder::take_over_other_files() const {
  std::error_code error;
  for (fs::directory_iterator entry(place_, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path name = entry->path().filename();
    if (files_.contains(name)) continue;
    if (entry->is_directory(error) && !entry->is_symlink(error)) {
      return fail(ErrorCode::already_exists,
                  "the folder holds a folder, which cannot be taken over: renew into another place (--out)",
                  entry->path().string());
    }
    if (::link(entry->path().c_str(), (staging_ / name).c_str()) != 0) {
      return fail(system_error(errno, "cannot take over", entry->path()));
    }
  }
  if (error) return fail(system_error(error.value(), "cannot read the folder", place_));
  return {};
}

Status StagedFolder::replace() && {
  CHORUS_TRY_DO(take_over_other_files());
  CHORUS_TRY_DO(flush());
  if (::renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, place_.c_str(), RENAME_EXCHANGE) != 0) {
    return fail(system_error(errno, "cannot exchange the folder", place_));
  }
  // What stands at staging_ is the old folder now; the destructor removes it.
  return flush_folder(place_.parent_path());
}

}  // namespace chorus::certs
