// What a Participant asks its driver to do, in order.
#pragma once

#include <chrono>
#include <variant>
#include <vector>

#include "client/round/event.hpp"
#include "common/base/error.hpp"
#include "common/base/time.hpp"
#include "common/protocol/messages.hpp"

namespace chorus::client {

// Both clocks at one instant: deadlines count on the first, the history is written with the second.
struct Now {
  Moment moment;
  WallTime wall;
};

// Write this message, then call Participant::written: only after an Update was written comes its next piece, so that an
// update is never queued whole.
struct Send {
  protocol::Message message;
};
struct Report {
  Event event;
};
// Write what was sent so far and close: the conversation is over. Always the last action.
struct End {
  Error error;
  std::chrono::milliseconds retry_after{0};  // the coordinator's wish; 0: the driver's own backoff
  bool clocks_differ = false;                // it found a date wrong that is right by this device's clock
};

using Action = std::variant<Send, Report, End>;
using Actions = std::vector<Action>;

}  // namespace chorus::client
