// A folder that appears whole: it is filled beside its place and renamed into it. Until then, and after a failure,
// nothing is seen of it.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "certs/io/files.hpp"
#include "common/base/bytes.hpp"
#include "common/base/result.hpp"

namespace chorus::certs {

class StagedFolder {
 public:
  // `place` must be free: nothing there, or an empty folder. Its parents are made.
  // Errors: already_exists, unwritable, disk_full, io.
  [[nodiscard]] static Result<StagedFolder> at(const std::filesystem::path& place);
  // For replace(): `place` is a folder. Errors: not_found, unwritable, disk_full, io.
  [[nodiscard]] static Result<StagedFolder> instead_of(const std::filesystem::path& place);

  StagedFolder(StagedFolder&& other) noexcept;
  StagedFolder& operator=(StagedFolder&&) = delete;
  // Removes what was not published.
  ~StagedFolder();

  // `name` is relative to the folder. Errors: unwritable, disk_full, io.
  [[nodiscard]] Status add(const std::filesystem::path& name, ByteView contents, mode_t mode);
  // A folder inside, mode 0700.
  [[nodiscard]] Status add_folder(const std::filesystem::path& name);

  // Flushes and renames. Errors: already_exists, unwritable, disk_full, io.
  [[nodiscard]] Status publish() &&;

  // Flushes, takes over the other files of `place` as hard links, exchanges the two folders in one step and removes
  // the old one: `place` holds all of the old or all of the new at any time. Errors: already_exists (the old folder
  // holds a folder, which cannot be taken over), unwritable, disk_full, io.
  [[nodiscard]] Status replace() &&;

 private:
  StagedFolder(std::filesystem::path place, std::filesystem::path staging)
      : place_(std::move(place)), staging_(std::move(staging)) {}
  [[nodiscard]] static Result<StagedFolder> beside(std::filesystem::path place);
  [[nodiscard]] Status flush() const;
  [[nodiscard]] Status take_over_other_files() const;

  std::filesystem::path place_;
  std::filesystem::path staging_;  // empty when there is nothing to remove
  std::set<std::filesystem::path> files_;
};

}  // namespace chorus::certs
