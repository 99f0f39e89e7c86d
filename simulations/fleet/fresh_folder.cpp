#include "simulations/fleet/fresh_folder.hpp"

#include <string>

#include <fmt/format.h>
#include <stdlib.h>

namespace chorus::sim {
namespace {

namespace fs = std::filesystem;

constexpr int kMostRuns = 100'000;

Result<fs::path> make_empty(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(ErrorCode::unwritable, error.message(), folder.string());
  const bool empty = fs::is_empty(folder, error);
  if (error) return fail(ErrorCode::unwritable, error.message(), folder.string());
  if (!empty) {
    return fail(ErrorCode::already_exists, "the folder is not empty, and nothing is overwritten; name another",
                folder.string());
  }
  return fs::absolute(folder);
}

}  // namespace

Result<fs::path> make_fresh_folder(const std::optional<fs::path>& asked, const fs::path& build) {
  if (asked) return make_empty(*asked);
  std::error_code error;
  if (!fs::is_directory(build, error)) {
    std::string name = (fs::temp_directory_path(error) / "chorus-demo-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return fail(ErrorCode::unwritable, "no temporary folder can be made", name);
    return fs::path(name);
  }
  const fs::path parent = build / "demo";
  fs::create_directories(parent, error);
  for (int n = 1; !error && n <= kMostRuns; ++n) {
    const fs::path folder = parent / std::to_string(n);
    // Whoever makes it owns it: another run at the same moment gets the next number.
    if (fs::create_directory(folder, error)) return fs::absolute(folder);
  }
  return fail(ErrorCode::unwritable, error ? error.message() : "too many runs are kept here", parent.string());
}

}  // namespace chorus::sim
