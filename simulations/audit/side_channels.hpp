// A6: how many items a member rated, told from the sizes of what it sends and from how long it takes.
//
// Updates are dense over what the plan names and of one width, so that all members send the same bytes. A device solves
// before it advertises and sends in a fixed slot (design: secure aggregation, section 2, step 0): the coordinator sees
// the time of masking, voting and opening alone, which read no rating.
#pragma once

#include "simulations/audit/finding.hpp"
#include "simulations/audit/masked_session.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

// `rated`: how many items each member rated, in the cohort's order.
[[nodiscard]] Finding attack_side_channels(const MaskedSession& session, std::span<const double> rated);

}  // namespace chorus::sim::audit
