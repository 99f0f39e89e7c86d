// <state>/endpoint: where a running coordinator listens, for tests, scripts and people. Stateless.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.hpp"

namespace chorus::coordinator {

// One "host:port" a line; appears whole. Errors: disk_full, unwritable.
[[nodiscard]] Status write_endpoint_file(const std::filesystem::path& state, const std::vector<std::string>& endpoints);
void remove_endpoint_file(const std::filesystem::path& state) noexcept;

}  // namespace chorus::coordinator
