// Which message a side accepts in which phase of a connection: one table, tested exhaustively. Anything else is
// out_of_phase and ends the connection.
#pragma once

#include <array>
#include <cstdint>

#include "common/protocol/messages.hpp"

namespace chorus::protocol {

// A connection as the coordinator sees it.
enum class CoordinatorPhase : std::uint8_t {
  greeting,  // TLS is up, Hello is due; ends by Hello or the hello deadline
  enrolled,  // knows the job; may fetch, resume; ends by Ready
  ready,     // waits for an invitation; may still fetch; ends by a Manifest sent
  in_round,  // in a cohort: which step is due is its secure sum's to say; ends by the Result sent, or Decline
};
// A connection as the device sees it.
enum class DevicePhase : std::uint8_t {
  greeting,       // Hello sent; ends by Welcome
  synchronizing,  // fetches catalogue and model; ends when both are there
  ready,          // Ready sent; ends by Manifest or Finished
  preparing,      // has a plan: fetches what it names, solves; ends when Advertise is sent
  advertised,     // ends by Roster, answered with Shares
  shared,         // ends by Delivery, answered with the masked update
  uploaded,       // the update is on its way or there; ends by Survivors, answered with Vote
  voted,          // ends by Certificate, answered with Openings
  unmasked,       // ends by Result
  resuming,       // a new connection in an old round: Resume sent; ends by Resumed
};

[[nodiscard]] constexpr std::uint32_t message_bit(MessageType type) noexcept {
  return std::uint32_t{1} << static_cast<std::uint8_t>(type);
}

inline constexpr std::uint32_t kSumFromDevice =
    message_bit(MessageType::advertise) | message_bit(MessageType::shares) | message_bit(MessageType::update) |
    message_bit(MessageType::masked) | message_bit(MessageType::vote) | message_bit(MessageType::openings) |
    message_bit(MessageType::decline);
inline constexpr std::array<std::uint32_t, 4> kCoordinatorAccepts = {
    /* greeting */ message_bit(MessageType::hello),
    /* enrolled */ message_bit(MessageType::fetch) | message_bit(MessageType::ready) |
        message_bit(MessageType::resume),
    /* ready    */ message_bit(MessageType::fetch),
    /* in_round */ message_bit(MessageType::fetch) | kSumFromDevice,
};

inline constexpr std::uint32_t kAlwaysToDevice =
    message_bit(MessageType::published) | message_bit(MessageType::refusal) | message_bit(MessageType::finished);
// In a round: the step that is due, the one before again (a repeat is ignored), or the end.
inline constexpr std::uint32_t kInRoundToDevice = message_bit(MessageType::result) | kAlwaysToDevice;
inline constexpr std::array<std::uint32_t, 10> kDeviceAccepts = {
    /* greeting      */ message_bit(MessageType::welcome) | message_bit(MessageType::refusal),
    /* synchronizing */ message_bit(MessageType::blob) | kAlwaysToDevice,
    /* ready         */ message_bit(MessageType::waiting) | message_bit(MessageType::manifest) |
        message_bit(MessageType::blob) | kAlwaysToDevice,
    /* preparing     */ message_bit(MessageType::blob) | kInRoundToDevice,
    /* advertised    */ message_bit(MessageType::roster) | kInRoundToDevice,
    /* shared        */ message_bit(MessageType::roster) | message_bit(MessageType::delivery) | kInRoundToDevice,
    /* uploaded      */ message_bit(MessageType::delivery) | message_bit(MessageType::survivors) | kInRoundToDevice,
    /* voted         */ message_bit(MessageType::survivors) | message_bit(MessageType::certificate) |
        kInRoundToDevice,
    /* unmasked      */ message_bit(MessageType::certificate) | kInRoundToDevice,
    /* resuming      */ message_bit(MessageType::resumed) | kInRoundToDevice,
};

[[nodiscard]] constexpr bool accepts(CoordinatorPhase phase, MessageType type) noexcept {
  return (kCoordinatorAccepts[static_cast<std::size_t>(phase)] & message_bit(type)) != 0;
}
[[nodiscard]] constexpr bool accepts(DevicePhase phase, MessageType type) noexcept {
  return (kDeviceAccepts[static_cast<std::size_t>(phase)] & message_bit(type)) != 0;
}

}  // namespace chorus::protocol
