// Talks to a running coordinator's admin server on this machine: the address and the token are in its state folder.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace chorus::coordinator {

// Stateless. Errors: not_found (no coordinator with an admin server runs on this state folder), unreachable, unwritable
// (the token may not be read), refused answers as aborted with the server's own sentence.
[[nodiscard]] Result<std::string> admin_get(const std::filesystem::path& state, const std::string& path);
[[nodiscard]] Result<std::string> admin_post(const std::filesystem::path& state, const std::string& path,
                                             const std::string& body = {});

}  // namespace chorus::coordinator
