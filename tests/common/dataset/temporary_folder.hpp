// A folder of its own for one test, gone at its end; and the public collections, where they are at hand.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <unistd.h>

namespace chorus::dataset {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "chorus-dataset-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no temporary folder " << pattern;
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Writes a file and returns its path.
  std::filesystem::path write(const std::string& name, std::string_view content) const {
    const auto file = path_ / name;
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

 private:
  std::filesystem::path path_;
};

// Where the public collections lie, from the environment; nothing where they are not at hand.
inline std::optional<std::filesystem::path> public_data(const std::string& folder) {
  const char* root = std::getenv("CHORUS_DATA");
  if (root == nullptr || *root == '\0') return std::nullopt;
  const auto path = std::filesystem::path(root) / folder;
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

}  // namespace chorus::dataset

#define CHORUS_PUBLIC_DATA(name, folder)                                     \
  const auto name##_found = public_data(folder);                             \
  if (!name##_found) GTEST_SKIP() << "CHORUS_DATA has no folder " << folder; \
  const std::filesystem::path& name = *name##_found
