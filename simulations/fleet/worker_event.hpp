// What a fleet's worker process tells its parent: one JSON object a line, over a pipe. Incremental, so that what a
// killed worker's devices did until then is known. Values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace chorus::sim {

struct WorkerEvent {
  enum class Kind {
    imported,  // every device of the worker has its ratings in its store; `count` says how many
    welcomed,  // the device is connected and has been welcomed
    round,     // a round that the device contributed to ended; `text` is its outcome, `round` its number
    trouble,   // `text` is the error's code, `sentence` the words; the device goes on if it can
    ended,     // the device is through: totals
    waiting,   // too few devices are ready for a round: `ready` of `needed`
    step,      // the device's message of a step of its secure sum was written: `round`, `cohort`, `text` ("shares")
  };
  Kind kind = Kind::imported;
  std::uint32_t device = 0;  // index in the population
  std::uint64_t count = 0;
  std::uint64_t round = 0;
  std::uint32_t cohort = 0;
  std::uint64_t version = 0;   // of the model that the device holds (round, ended)
  std::uint64_t bytes_up = 0;  // since the device started (round, ended)
  std::uint64_t bytes_down = 0;
  bool finished = false;              // ended: the coordinator said that the job is finished
  std::uint32_t recommendations = 0;  // ended: how many it could make (asked for ten)
  bool explained = false;             // ended: each of them with reasons that add up to its score
  std::uint32_t ready = 0;            // waiting: devices that the coordinator has
  std::uint32_t needed = 0;           // waiting: devices that a round needs
  std::string text{};
  std::string sentence{};

  friend bool operator==(const WorkerEvent&, const WorkerEvent&) = default;
};

[[nodiscard]] std::string encode(const WorkerEvent& event);  // without the line's end
// Errors: malformed.
[[nodiscard]] Result<WorkerEvent> decode_worker_event(std::string_view line);

}  // namespace chorus::sim
