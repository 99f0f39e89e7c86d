// A folder for a run's files that overwrites nothing. Stateless.
#pragma once

#include <filesystem>
#include <optional>

#include "common/base/result.hpp"

namespace chorus::sim {

// `asked`: made if it is missing; it must be empty. Without it: <build>/demo/<n>, n the first free number, if the
// folder `build` exists, else a new one in the folder for temporary files. The absolute path.
// Errors: already_exists, unwritable.
[[nodiscard]] Result<std::filesystem::path> make_fresh_folder(const std::optional<std::filesystem::path>& asked,
                                                              const std::filesystem::path& build);

}  // namespace chorus::sim
