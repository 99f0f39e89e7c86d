// One payload, of the type that the first byte says.
#include "common/wire/frame.hpp"
#include "tests/common/wire/samples.hpp"
#include "tests/fuzz/targets.hpp"

namespace chorus::fuzz {

bool read_payload(ByteView input) {
  if (input.empty()) return false;
  const auto type = static_cast<protocol::MessageType>(1 + input[0] % protocol::kMessageTypes);
  const ByteView payload = input.subspan(1);
  const auto message = wire::decode(type, payload);
  if (!message) {
    CHORUS_ENSURE(message.error().code() == ErrorCode::malformed, "what does not parse is malformed");
    return false;
  }
  CHORUS_ENSURE(protocol::type_of(*message) == type, "a payload is read as its type");
  const wire::Frame frame = wire::encode(*message);
  if (type == protocol::MessageType::decline || type == protocol::MessageType::refusal) {
    // A sentence loses the blanks at its ends when we write it; everything else has one form.
    CHORUS_ENSURE(frame->size() <= wire::kFrameHeader + payload.size(), "a sentence does not grow");
  } else {
    expect_same(Bytes(frame->begin() + wire::kFrameHeader, frame->end()), payload);
  }
  return true;
}

std::vector<Bytes> payload_seeds() {
  std::vector<Bytes> seeds;
  for (const protocol::Message& message : wire::sample_messages()) {
    const wire::Frame frame = wire::encode(message);
    Bytes seed{static_cast<std::uint8_t>(static_cast<int>(protocol::type_of(message)) - 1)};
    seed.insert(seed.end(), frame->begin() + wire::kFrameHeader, frame->end());
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

}  // namespace chorus::fuzz
