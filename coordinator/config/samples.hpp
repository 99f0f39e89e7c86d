// The settings files with every option explained: what `chorus-coordinator sample-config` and `sample-job` print, and
// what packaging/ holds.
#pragma once

#include <string_view>

namespace chorus::coordinator {

[[nodiscard]] std::string_view sample_coordinator_file() noexcept;
[[nodiscard]] std::string_view sample_job_file() noexcept;

}  // namespace chorus::coordinator
