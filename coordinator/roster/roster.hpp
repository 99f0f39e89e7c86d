// Who is connected, who is ready, who took part when; draws the members of a round. Owned by Federation, on its
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/base/id.hpp"
#include "common/base/time.hpp"
#include "common/crypto/random_source.hpp"
#include "common/identity/device_id.hpp"

namespace chorus::coordinator {

// One connection of a device, as the daemon or the simulation numbers them.
using SessionId = Id<struct SessionTag, std::uint64_t>;

// Not thread-safe.
class Roster {
 public:
  // The device's older session if it has one; that one is then no longer here. REQUIRES: a session that is not here.
  [[nodiscard]] std::optional<SessionId> connect(SessionId session, const identity::DeviceId& device);
  // No effect for a session that is not here.
  void disconnect(SessionId session);
  // REQUIRES: the session is here.
  void set_ready(SessionId session, bool ready);

  [[nodiscard]] bool contains(SessionId session) const noexcept { return sessions_.contains(session); }
  // REQUIRES: the session is here.
  [[nodiscard]] const identity::DeviceId& device(SessionId session) const { return sessions_.at(session).device; }
  [[nodiscard]] std::uint32_t connected() const noexcept { return static_cast<std::uint32_t>(sessions_.size()); }
  [[nodiscard]] std::uint32_t ready() const noexcept { return ready_; }
  [[nodiscard]] std::vector<SessionId> ready_sessions() const;

  // Divides ready devices into random cohorts (cohort_sizes). If there are more than `target` (0: no bound), or some
  // have to wait, those come first who took part longest ago, or never; among equals chance decides.
  struct Wanted {
    std::uint32_t least = 1;   // members of a cohort
    std::uint32_t most = 1;    // members of a cohort
    std::uint32_t fewest = 1;  // cohorts
    std::uint32_t target = 0;
  };
  [[nodiscard]] std::vector<std::vector<SessionId>> draw(const Wanted& wanted, crypto::RandomSource& random) const;
  // These take part in a round: they are not ready any more, and returned() waits for them.
  void take_part(RoundId round, std::span<const SessionId> members, Moment now);
  // What an earlier process knew. No effect on what is known of later rounds.
  void remember(const identity::DeviceId& device, RoundId round, Moment when);
  // When it was drawn last; nothing, if it never was.
  [[nodiscard]] std::optional<Moment> drawn_at(const identity::DeviceId& device) const;
  // Whether all members of the last round that are still connected are ready again, and there is one.
  [[nodiscard]] bool returned() const noexcept { return returned_ > 0 && away_ == 0; }
  // Forgets the last round's members: returned() is false until the next round.
  void forget_last_round();

 private:
  struct Session {
    identity::DeviceId device;
    bool ready = false;
    bool last_round = false;  // a member of the last round
  };

  std::map<SessionId, Session> sessions_;
  std::map<identity::DeviceId, SessionId> by_device_;
  struct LastRound {
    RoundId round;
    Moment when;
  };
  std::map<identity::DeviceId, LastRound> took_part_;
  std::uint32_t ready_ = 0;
  std::uint32_t away_ = 0;      // members of the last round that are connected and not ready
  std::uint32_t returned_ = 0;  // members of the last round that are ready
};

}  // namespace chorus::coordinator
