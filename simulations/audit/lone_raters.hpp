// A4: items that one member of the cohort rated.
//
// In the raw sum such a row is the member's own g = e z, exactly: its residual and its factor (design: secure
// aggregation, attack 18). The coordinator sees that; noise alone covers it (A3, A5). A reader of the published model
// sees the row's step, w' − w = η M⁻¹ (g − Λw), and of the first round, where w_i[0] = 0, the sign of the bias' step is
// that of the residual: whether the lone rater liked the item more than expected. The count threshold keeps the row as
// it was.
#pragma once

#include "simulations/audit/finding.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

struct LoneRows {
  std::size_t items = 0;    // with one rater in the cohort
  double recovered = 0;     // share of rows of the raw sum that are the device's own, integer by integer
  double auc = 0;           // of the published step for the sign of the lone rater's residual
  double changed = 0;       // share of these items whose published row the round changed
  double rare_changed = 0;  // the same of all items below the threshold that is asked about
};

// The cohort's first training round under `model`; `least_raters`: what counts as rare.
[[nodiscard]] Result<LoneRows> attack_lone_rows(const Scene& scene, const model::Model& model,
                                                std::uint32_t least_raters);
[[nodiscard]] Result<Finding> attack_lone_raters(const Scene& scene);

}  // namespace chorus::sim::audit
