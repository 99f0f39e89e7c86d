// What the commands that train share: the clock, and text to and from files.
#pragma once

#include <filesystem>
#include <string>

#include "common/base/result.hpp"
#include "common/base/time.hpp"

namespace chorus::sim {

[[nodiscard]] Moment now();
[[nodiscard]] double seconds_since(Moment start);
// Errors: not_found.
[[nodiscard]] Result<std::string> read_text(const std::filesystem::path& path);
// A JSON object: nowhere, if `where` is empty; the last line of standard output, if it is "-"; otherwise a file.
// Errors: unwritable.
[[nodiscard]] Status write_json(const std::string& json, const std::string& where);

}  // namespace chorus::sim
