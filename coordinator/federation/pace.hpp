// When devices that are not needed now are to come back (pace steering: Bonawitz et al., "Towards Federated Learning at
// Scale", MLSys 2019, section 2.3). The time is uniform over a window that holds as many rounds as it takes to draw
// everybody who waits, so that a million devices come back at about the rate at which rounds take them. Pure: time and
// randomness are parameters. Owned by Federation. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "common/base/time.hpp"
#include "common/crypto/random_source.hpp"

namespace chorus::coordinator {

struct PaceSettings {
  // Ready devices that may wait connected; lower it to hold fewer connections, 0 for no bound.
  std::uint32_t most_waiting = 10'000;
  Duration earliest = 30s;  // nobody is told to come back sooner
};

class Pace {
 public:
  explicit Pace(const PaceSettings& settings) : settings_(settings) {}

  // A round that drew so many devices has opened: how often rounds open, and how many they take.
  void round_opened(std::uint32_t drawn, Moment now);
  // How long the window is while so many devices are connected and ready.
  [[nodiscard]] Duration window(std::uint32_t ready, Moment now);
  // What a device is told that is sent away now: settings.earliest, or `least` if that is longer, and a uniform part of
  // the window. In whole milliseconds, at most protocol::kMaxRetryAfter. It counts as away until then.
  [[nodiscard]] std::chrono::milliseconds come_back(std::uint32_t ready, Duration least, Moment now,
                                                    crypto::RandomSource& random);
  // Devices that were sent away and are not due yet, about.
  [[nodiscard]] std::uint64_t away(Moment now);

  // Until two rounds have opened.
  static constexpr Duration kFirstInterval = 60s;
  static constexpr std::uint32_t kFirstDrawn = 128;

 private:
  PaceSettings settings_;
  std::optional<Moment> last_opened_;
  std::optional<Duration> interval_;
  double drawn_ = kFirstDrawn;
  std::map<std::int64_t, std::uint64_t> due_;  // by the minute; at most a day's
  std::uint64_t away_ = 0;                     // the sum of due_
};

}  // namespace chorus::coordinator
