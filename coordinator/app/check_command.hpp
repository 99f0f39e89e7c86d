// `check` and `explain`: what would keep serve from starting, and what to do about it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "coordinator/config/findings.hpp"

namespace chorus::coordinator {

// Reads what serve would read and looks at the machine. All that is wrong, in the order of the numbers: the settings,
// the jobs, their catalogues, the certificates, the machine. Changes nothing.
[[nodiscard]] std::vector<Finding> find_trouble(const std::filesystem::path& config,
                                                const std::vector<std::filesystem::path>& jobs);

// Prints them, and, if none keeps serve from starting, what it would run. Returns the exit status: 0 it would start,
// 2 a file is wrong, 1 the machine is not ready.
[[nodiscard]] int check(const std::filesystem::path& config, const std::vector<std::filesystem::path>& jobs, bool json);

// Prints one page, or the list of them if `number` is empty. Returns the exit status: 2 if there is no such page.
[[nodiscard]] int explain(const std::string& number);

}  // namespace chorus::coordinator
