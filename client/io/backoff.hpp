// How long to wait before the next attempt: exponential with full jitter, so that a population that lost its
// coordinator at one instant does not come back at one instant (Brooker, "Exponential Backoff And Jitter", AWS
// Architecture Blog, 2015).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "common/crypto/random_source.hpp"

namespace chorus::client {

// Not thread-safe.
class Backoff {
 public:
  using Milliseconds = std::chrono::milliseconds;

  Backoff(Milliseconds base, Milliseconds cap, crypto::RandomSource& random)
      : base_(base), cap_(cap), random_(random) {}

  // Uniform in [0, min(cap, base · 2^failures)]. If the other end asked for a pause, after that pause, spread over at
  // most `base`.
  [[nodiscard]] Milliseconds next(Milliseconds asked = Milliseconds{0}) {
    Milliseconds most = base_;
    for (std::uint32_t i = 0; i < failures_ && most < cap_; ++i) most *= 2;
    most = asked.count() > 0 ? base_ : std::min(most, cap_);
    ++failures_;
    const auto bound = static_cast<std::uint64_t>(std::max<std::int64_t>(most.count(), 0)) + 1;
    return asked + Milliseconds(static_cast<std::int64_t>(random_.below(bound)));
  }
  void reset() noexcept { failures_ = 0; }

 private:
  Milliseconds base_;
  Milliseconds cap_;
  crypto::RandomSource& random_;
  std::uint32_t failures_ = 0;
};

}  // namespace chorus::client
