// Dates as text: "2024-01-31T12:00:00Z" (RFC 3339, UTC, whole seconds), which people read and files keep.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "common/base/time.hpp"

namespace chorus::certs {

// REQUIRES: a year between 0 and 9999.
[[nodiscard]] std::string date_text(WallTime time);
// Errors: malformed.
[[nodiscard]] Result<WallTime> parse_date(std::string_view text);

}  // namespace chorus::certs
