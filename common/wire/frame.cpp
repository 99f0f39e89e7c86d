#include "common/wire/frame.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "common/protocol/phases.hpp"

namespace chorus::wire {

namespace {

// A payload's buffer: the first, and then as many times what has arrived.
constexpr std::size_t kFirstBuffer = 4096;
constexpr std::size_t kGrowth = 4;

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

std::span<std::uint8_t> FrameReader::space() {
  if (!parsed_) return std::span(head_).subspan(filled_);
  const std::size_t have = filled_ - kFrameHeader;
  if (have == capacity_) grow();
  return {payload_.get() + have, std::min(capacity_, parsed_->payload) - have};
}

void FrameReader::grow() {
  const std::size_t have = filled_ - kFrameHeader;
  const std::size_t capacity = std::min(parsed_->payload, std::max(kFirstBuffer, kGrowth * have));
  auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
  std::copy_n(payload_.get(), have, larger.get());
  payload_ = std::move(larger);
  capacity_ = capacity;
}

Result<std::optional<protocol::Message>> FrameReader::filled(std::size_t size) {
  filled_ += size;
  if (!parsed_) {
    if (filled_ < kFrameHeader) return std::nullopt;
    CHORUS_TRY(parsed_, parse_head(head_));
    if ((accepted_ & protocol::message_bit(parsed_->type)) == 0) {
      return fail(ErrorCode::out_of_phase,
                  fmt::format("'{}' is not accepted in this phase", protocol::to_string(parsed_->type)));
    }
  }
  if (filled_ - kFrameHeader < parsed_->payload) return std::nullopt;
  CHORUS_TRY(protocol::Message message, decode(parsed_->type, {payload_.get(), parsed_->payload}));
  payload_.reset();
  capacity_ = 0;
  filled_ = 0;
  parsed_.reset();
  return message;
}

Result<FrameReader::Fed> FrameReader::feed(ByteView input) {
  Fed fed;
  while (fed.consumed < input.size() && !fed.message) {
    const std::span<std::uint8_t> room = space();
    const std::size_t taken = std::min(room.size(), input.size() - fed.consumed);
    std::copy_n(input.begin() + static_cast<std::ptrdiff_t>(fed.consumed), taken, room.begin());
    fed.consumed += taken;
    CHORUS_TRY(fed.message, filled(taken));
  }
  return fed;
}

}  // namespace chorus::wire
