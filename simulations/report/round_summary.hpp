// A round of a training run, as its report says it. Stateless.
#pragma once

#include "simulations/report/train_report.hpp"
#include "simulations/world/training_run.hpp"

namespace chorus::sim {

[[nodiscard]] RoundSummary summarise(const RoundReport& report);

}  // namespace chorus::sim
