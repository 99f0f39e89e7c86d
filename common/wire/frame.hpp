// Frames and codec, sans-IO. A frame is a 32-bit little-endian length, a type byte and the payload; the length counts
// type and payload. Cereal stops here.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "common/base/bytes.hpp"
#include "common/protocol/messages.hpp"

namespace chorus::wire {

inline constexpr std::size_t kFrameHeader = 5;

// A whole frame, ready for the socket; shared, because many connections get the same bytes.
using Frame = std::shared_ptr<const Bytes>;

// REQUIRES: the message is within the limits of common/protocol/messages.hpp; a sentence (of Decline, Refusal) may be
// longer: it is cut, and what a terminal should not see becomes a space.
[[nodiscard]] Frame encode(const protocol::Message& message);
// The payload of one frame. Errors: malformed (does not parse, trailing bytes, a limit), never an exception, and never
// an allocation beyond the payload's own size.
[[nodiscard]] Result<protocol::Message> decode(protocol::MessageType type, ByteView payload);

struct FrameHead {
  protocol::MessageType type;
  std::size_t payload = 0;
};
// From the first kFrameHeader bytes. Errors: malformed (unknown type, length 0), too_large (beyond max_payload(type)).
[[nodiscard]] Result<FrameHead> parse_head(std::span<const std::uint8_t, kFrameHeader> head);

// Cuts a byte stream into messages. Holds at most one frame, in a buffer that grows with what has arrived and is given
// back when the frame is complete: an idle connection holds none, and a peer that announces much and sends little costs
// little. A type that is not accepted is refused before its payload is read. Not thread-safe.
class FrameReader {
 public:
  // Only these types are read on (a bit for each MessageType, protocol::message_bit); another is out_of_phase before
  // its payload is buffered.
  void set_accepted(std::uint32_t types) noexcept { accepted_ = types; }

  // Where the next bytes of the stream go, never empty and never beyond the end of the frame that has begun.
  [[nodiscard]] std::span<std::uint8_t> space();
  // The first `size` bytes of space() were filled; the message, if its frame is now complete. After an error the reader
  // is dead. REQUIRES: size <= space().size().
  [[nodiscard]] Result<std::optional<protocol::Message>> filled(std::size_t size);

  // Takes bytes from the front of `input` up to the end of one frame and says how many it took; the message is there
  // if the frame is complete.
  struct Fed {
    std::size_t consumed = 0;
    std::optional<protocol::Message> message;
  };
  [[nodiscard]] Result<Fed> feed(ByteView input);

  // In the middle of a frame: a peer that closes now truncated it.
  [[nodiscard]] bool mid_frame() const noexcept { return filled_ != 0; }

 private:
  // Makes room for more of the payload.
  void grow();

  std::uint32_t accepted_ = 0xffffffff;
  ByteArray<kFrameHeader> head_{};
  std::optional<FrameHead> parsed_;
  std::size_t filled_ = 0;  // bytes of the frame so far, head and payload
  std::unique_ptr<std::uint8_t[]> payload_;
  std::size_t capacity_ = 0;
};

}  // namespace chorus::wire
