#include "coordinator/federation/pace.hpp"

#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"
#include "common/protocol/messages.hpp"

namespace chorus::coordinator {

namespace {

using std::chrono::milliseconds;

// The share that the latest round has in what is known of rounds.
constexpr double kLatest = 0.25;
constexpr Duration kShortestInterval = 1s;

}  // namespace

void Pace::round_opened(std::uint32_t drawn, Moment now) {
  if (last_opened_) {
    const Duration latest = now - *last_opened_;
    const double before = static_cast<double>(interval_.value_or(latest).count());
    interval_ = Duration(
        static_cast<Duration::rep>(std::llround(before + kLatest * (static_cast<double>(latest.count()) - before))));
  }
  drawn_ = last_opened_ ? drawn_ + kLatest * (static_cast<double>(drawn) - drawn_) : drawn;
  last_opened_ = now;
}

std::uint64_t Pace::away(Moment now) {
  const auto minute = std::chrono::floor<std::chrono::minutes>(now.time_since_epoch()).count();
  while (!due_.empty() && due_.begin()->first < minute) {
    away_ -= due_.begin()->second;
    due_.erase(due_.begin());
  }
  return away_;
}

Duration Pace::window(std::uint32_t ready, Moment now) {
  const double waiting = static_cast<double>(away(now)) + ready;
  const double rounds = std::max(1.0, waiting / std::max(1.0, drawn_));
  const double longest = static_cast<double>(Duration(protocol::kMaxRetryAfter).count());
  const double wanted =
      rounds * static_cast<double>(std::max(interval_.value_or(kFirstInterval), kShortestInterval).count());
  return Duration(static_cast<Duration::rep>(std::min(wanted, longest)));
}

milliseconds Pace::come_back(std::uint32_t ready, Duration least, Moment now, crypto::RandomSource& random) {
  constexpr milliseconds kLongest = protocol::kMaxRetryAfter;
  const milliseconds first =
      std::min(std::chrono::ceil<milliseconds>(std::max(settings_.earliest, least)), kLongest - milliseconds(1));
  const milliseconds spread =
      std::clamp(std::chrono::floor<milliseconds>(window(ready, now)), milliseconds(1), kLongest - first);
  const auto later =
      first + milliseconds(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(spread.count()))));
  ++due_[std::chrono::floor<std::chrono::minutes>((now + later).time_since_epoch()).count()];
  ++away_;
  return later;
}

}  // namespace chorus::coordinator
