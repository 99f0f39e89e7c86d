#include "common/wire/frame.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "common/protocol/phases.hpp"

namespace chorus::wire {

namespace {

// A payload's buffer grows with what has arrived, so that a peer that announces much and sends little costs little.
constexpr std::size_t kFirstBuffer = 4096;

}  // namespace

Result<FrameHead> parse_head(std::span<const std::uint8_t, kFrameHeader> head) {
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) length |= std::uint32_t{head[i]} << (8 * i);
  if (length == 0) return fail(ErrorCode::malformed, "a frame of length 0");
  if (head[4] == 0 || head[4] > protocol::kMessageTypes) {
    return fail(ErrorCode::malformed, fmt::format("an unknown message type {}", head[4]));
  }
  const auto type = static_cast<protocol::MessageType>(head[4]);
  const std::size_t payload = length - 1;
  if (payload > protocol::max_payload(type)) {
    return fail(ErrorCode::too_large,
                fmt::format("a payload of {} bytes, more than the {} allowed", payload, protocol::max_payload(type)),
                std::string(protocol::to_string(type)));
  }
  return FrameHead{type, payload};
}

Result<FrameReader::Fed> FrameReader::feed(ByteView input) {
  Fed fed;
  if (!parsed_) {
    const std::size_t taken = std::min(kFrameHeader - head_filled_, input.size());
    std::copy_n(input.begin(), taken, head_.begin() + static_cast<std::ptrdiff_t>(head_filled_));
    head_filled_ += taken;
    fed.consumed = taken;
    if (head_filled_ < kFrameHeader) return fed;
    CHORUS_TRY(parsed_, parse_head(head_));
    if ((accepted_ & protocol::message_bit(parsed_->type)) == 0) {
      return fail(ErrorCode::out_of_phase,
                  fmt::format("'{}' is not accepted in this phase", protocol::to_string(parsed_->type)));
    }
  }
  const std::size_t missing = parsed_->payload - payload_.size();
  const ByteView piece = input.subspan(fed.consumed, std::min(missing, input.size() - fed.consumed));
  fed.consumed += piece.size();
  if (piece.size() == missing && payload_.empty()) {
    // The whole payload lies in the input.
    CHORUS_TRY(fed.message, decode(parsed_->type, piece));
  } else {
    const std::size_t size = payload_.size() + piece.size();
    if (size > payload_.capacity()) {
      payload_.reserve(std::min(parsed_->payload, std::max(kFirstBuffer, 2 * size)));
    }
    payload_.insert(payload_.end(), piece.begin(), piece.end());
    if (piece.size() < missing) return fed;
    CHORUS_TRY(fed.message, decode(parsed_->type, payload_));
    payload_ = Bytes();
  }
  head_filled_ = 0;
  parsed_.reset();
  return fed;
}

}  // namespace chorus::wire
