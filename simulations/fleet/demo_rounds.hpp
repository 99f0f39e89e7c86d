// The demo's table of rounds: what the coordinator's trace says joined with what the devices counted. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/publish/trace.hpp"
#include "simulations/fleet/fleet.hpp"

namespace chorus::sim {

struct DemoRound {
  std::uint64_t number = 0;  // the coordinator's
  plan::Purpose purpose = plan::Purpose::train;
  std::uint64_t devices = 0;  // whose updates are in the sum
  // Of the version that the round made, on ratings that no device trained on; known once a later round measured it.
  std::optional<double> rmse;
  std::uint64_t bytes_up = 0;  // of one device, on average
  std::uint64_t bytes_down = 0;
  double seconds = 0;  // since the round before, or the fleet's start
};

[[nodiscard]] std::vector<DemoRound> demo_rounds(std::span<const coordinator::TraceRound> trace,
                                                 const std::map<std::uint64_t, RoundRecord>& told);

// What the last round of the trace did, for a person who waits. A round that trains also tells the error of the version
// that it began with, so that is of the round before. REQUIRES: the trace is not empty.
[[nodiscard]] std::string progress_text(std::span<const coordinator::TraceRound> trace, std::uint32_t rounds,
                                        double seconds);

// As text, with a line of headings; `baseline` is the error of predicting the mean.
[[nodiscard]] std::string round_table(std::span<const DemoRound> rounds, double baseline);

// "831 B", "12.4 kB", "3.1 MB".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

}  // namespace chorus::sim
