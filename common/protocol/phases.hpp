// Which message a side accepts in which phase of a connection: one table, tested exhaustively. Anything else is
// out_of_phase and ends the connection.
#pragma once

#include <array>
#include <cstdint>

#include "common/protocol/messages.hpp"

namespace chorus::protocol {

// A connection as the coordinator sees it.
enum class CoordinatorPhase : std::uint8_t {
  greeting,   // TLS is up, Hello is due; ends by Hello or the hello deadline
  enrolled,   // knows the job; may fetch; ends by Ready
  ready,      // waits for an invitation; may still fetch; ends by a Manifest sent
  invited,    // in a cohort; its update is due; ends by the last piece, Decline or the deadline
  delivered,  // the update is complete; ends by the Result sent
};
// A connection as the device sees it.
enum class DevicePhase : std::uint8_t {
  greeting,       // Hello sent; ends by Welcome
  synchronizing,  // fetches catalogue and model; ends when both are there
  ready,          // Ready sent; ends by Manifest or Finished
  contributing,   // solving and uploading; ends when the last piece is written
  awaiting,       // waits for the Result
};

[[nodiscard]] constexpr std::uint32_t message_bit(MessageType type) noexcept {
  return std::uint32_t{1} << static_cast<std::uint8_t>(type);
}

inline constexpr std::array<std::uint32_t, 5> kCoordinatorAccepts = {
    /* greeting  */ message_bit(MessageType::hello),
    /* enrolled  */ message_bit(MessageType::fetch) | message_bit(MessageType::ready),
    /* ready     */ message_bit(MessageType::fetch),
    /* invited   */ message_bit(MessageType::fetch) | message_bit(MessageType::update) |
        message_bit(MessageType::decline),
    /* delivered */ message_bit(MessageType::fetch),
};

inline constexpr std::uint32_t kAlwaysToDevice =
    message_bit(MessageType::published) | message_bit(MessageType::refusal) | message_bit(MessageType::finished);
inline constexpr std::array<std::uint32_t, 5> kDeviceAccepts = {
    /* greeting      */ message_bit(MessageType::welcome) | message_bit(MessageType::refusal),
    /* synchronizing */ message_bit(MessageType::blob) | kAlwaysToDevice,
    /* ready         */ message_bit(MessageType::waiting) | message_bit(MessageType::manifest) |
        message_bit(MessageType::blob) | kAlwaysToDevice,
    /* contributing  */ message_bit(MessageType::blob) | message_bit(MessageType::result) | kAlwaysToDevice,
    /* awaiting      */ message_bit(MessageType::result) | kAlwaysToDevice,
};

[[nodiscard]] constexpr bool accepts(CoordinatorPhase phase, MessageType type) noexcept {
  return (kCoordinatorAccepts[static_cast<std::size_t>(phase)] & message_bit(type)) != 0;
}
[[nodiscard]] constexpr bool accepts(DevicePhase phase, MessageType type) noexcept {
  return (kDeviceAccepts[static_cast<std::size_t>(phase)] & message_bit(type)) != 0;
}

}  // namespace chorus::protocol
