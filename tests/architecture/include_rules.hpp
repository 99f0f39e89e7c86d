// The house's rules about who may include, call and name what. Each rule takes one file and returns a sentence for
// every place that breaks it, as "path:line: what is wrong". Pure functions.
#pragma once

#include <string>
#include <vector>

#include "tests/architecture/source_tree.hpp"

namespace chorus::architecture {

using Violations = std::vector<std::string>;

// A quoted include is written from the repository's root and names a file of `tree`.
[[nodiscard]] Violations check_includes_resolve(const SourceFile& file, const std::vector<SourceFile>& tree);
// The order of the layers in common/, and of the top folders; client and coordinator never meet.
[[nodiscard]] Violations check_layers(const SourceFile& file);
// What lies in an io/ folder is reached from app/, client/api, simulations/fleet and the tests that drive it.
[[nodiscard]] Violations check_io_is_included_by_drivers_only(const SourceFile& file);
// OpenSSL, Asio and Cereal are each known to a few folders.
[[nodiscard]] Violations check_libraries(const SourceFile& file);
// Clocks and randomness enter where the system meets the outside.
[[nodiscard]] Violations check_clocks_and_randomness(const SourceFile& file);
// A file that takes a secret out of its wrapper is on the list of those that may.
[[nodiscard]] Violations check_secrets_are_exposed_where_listed(const SourceFile& file);
// No drawers (util, helper, misc); a header says #pragma once.
[[nodiscard]] Violations check_names(const SourceFile& file);
// app/*.cpp at most 300 lines, other sources at most 500.
[[nodiscard]] Violations check_length(const SourceFile& file);
// common/ knows no data set, outside common/dataset.
[[nodiscard]] Violations check_no_data_set_in_common(const SourceFile& file);
// No path of the machine that a file was written on.
[[nodiscard]] Violations check_no_machine_paths(const SourceFile& file);

// All of the above.
[[nodiscard]] Violations check_everything(const std::vector<SourceFile>& tree);

}  // namespace chorus::architecture
