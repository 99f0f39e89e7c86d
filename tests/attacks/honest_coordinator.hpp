// The coordinator's real half around a play's cast: for what members do to each other and to it, and for what an honest
// run gives away.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "coordinator/round/secure_sum.hpp"
#include "tests/attacks/play.hpp"

namespace chorus::attacks {

enum class Step : std::uint8_t { leaf, shares, masked, vote, openings };

struct HonestRun {
  // From this step on a member is silent; empty: nobody is.
  std::vector<std::optional<Step>> silent_from;
  // What a corrupt member does to what it sends (of the masked update: to its end).
  std::function<void(Step, std::uint32_t position, Bytes& said)> tamper;
  unsigned threads = 1;
};

struct HonestOutcome {
  std::optional<Lanes> sum;
  std::optional<Error> reason;
  std::vector<std::uint32_t> survivors;
  // Members whose own words prove a lie, and whose messages were refused.
  std::vector<std::pair<std::uint32_t, Error>> named;
  std::vector<std::pair<std::uint32_t, Error>> refused;
};

[[nodiscard]] HonestOutcome run_honestly(Play& play, const HonestRun& run = {});

}  // namespace chorus::attacks
