// The report of `chorus-sim audit`: a table for people, one JSON object, and a plot. Values; stateless.
#pragma once

#include <string>

#include "simulations/audit/audit.hpp"

namespace chorus::sim {

[[nodiscard]] std::string to_table(const audit::AuditReport& report);
[[nodiscard]] std::string to_json(const audit::AuditReport& report, const std::string& data, std::uint64_t seed,
                                  double seconds);
// The table and the plot as a page of its own, without scripts, fonts or anything from elsewhere.
[[nodiscard]] std::string to_html(const audit::AuditReport& report, const std::string& data);
// Each attack's AUC as a bar from 1/2, beside that of popularity alone. An SVG of its own, without scripts or fonts.
[[nodiscard]] std::string to_svg(const audit::AuditReport& report);

}  // namespace chorus::sim
