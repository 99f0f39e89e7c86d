// The operator's page: one file without anything from elsewhere (web/dashboard.html, embedded by the build).
#pragma once

#include <string_view>

namespace chorus::coordinator {

[[nodiscard]] std::string_view dashboard_page() noexcept;

}  // namespace chorus::coordinator
