// The operator's page (web/, embedded by the build): a document, its style and its script, with nothing from elsewhere.
#pragma once

#include <string_view>

namespace chorus::coordinator {

[[nodiscard]] std::string_view dashboard_page() noexcept;
[[nodiscard]] std::string_view dashboard_style() noexcept;
[[nodiscard]] std::string_view dashboard_script() noexcept;

}  // namespace chorus::coordinator
