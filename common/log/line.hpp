// How an event becomes one line. Whatever a value holds, the line stays one line: control characters, bytes that
// are not UTF-8 and, in JSON, quotes are escaped, so a peer's name can neither forge a line nor steer a terminal.
// Pure functions; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "common/log/log.hpp"

namespace chorus::log {

// `event name=value name="a value with spaces"`
[[nodiscard]] std::string text_line(std::string_view event, Fields fields);

// `"event":"...","name":value`, the members of a JSON object whose braces the caller writes.
[[nodiscard]] std::string json_members(std::string_view event, Fields fields);

}  // namespace chorus::log
