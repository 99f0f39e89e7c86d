// Heads and the reader that cuts a byte stream into messages.
#include "common/wire/frame.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

#include "common/protocol/phases.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/common/wire/allocation_probe.hpp"
#include "tests/common/wire/samples.hpp"

namespace chorus::wire {
namespace {

using protocol::Message;
using protocol::MessageType;

ByteArray<kFrameHeader> head(std::uint32_t length, std::uint8_t type) {
  return {static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(length >> 8),
          static_cast<std::uint8_t>(length >> 16), static_cast<std::uint8_t>(length >> 24), type};
}

struct Stream {
  std::vector<Message> messages;
  Bytes bytes;
};

Stream sample_stream() {
  Stream stream{sample_messages(), {}};
  for (const Message& message : stream.messages) {
    const Frame frame = encode(message);
    stream.bytes.insert(stream.bytes.end(), frame->begin(), frame->end());
  }
  return stream;
}

// Everything that the reader makes of `input`; what is left after an error is not read.
Status feed_all(FrameReader& reader, ByteView input, std::vector<Message>& out) {
  while (!input.empty()) {
    CHORUS_TRY(FrameReader::Fed fed, reader.feed(input));
    input = input.subspan(fed.consumed);
    if (fed.message) out.push_back(std::move(*fed.message));
  }
  return {};
}

TEST(FrameHeads, AreParsed) {
  const auto parsed = parse_head(head(11, 2));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->type, MessageType::fetch);
  EXPECT_EQ(parsed->payload, 10U);
}

TEST(FrameHeads, UnknownTypesAndLengthZeroAreMalformed) {
  EXPECT_EQ(parse_head(head(0, 1)).error().code(), ErrorCode::malformed);
  for (const int type : {0, protocol::kMessageTypes + 1, 100, 255}) {
    EXPECT_EQ(parse_head(head(1, static_cast<std::uint8_t>(type))).error().code(), ErrorCode::malformed) << type;
  }
}

TEST(FrameHeads, EveryTypeHasItsExactLimit) {
  for (std::uint8_t type = 1; type <= protocol::kMessageTypes; ++type) {
    const auto limit = static_cast<std::uint32_t>(protocol::max_payload(static_cast<MessageType>(type)));
    EXPECT_TRUE(parse_head(head(limit + 1, type)).has_value());
    EXPECT_EQ(parse_head(head(limit + 2, type)).error().code(), ErrorCode::too_large);
    EXPECT_EQ(parse_head(head(0xffffffff, type)).error().code(), ErrorCode::too_large);
  }
}

TEST(FrameReaders, EverySplitInTwoGivesTheSameMessages) {
  const Stream stream = sample_stream();
  for (std::size_t split = 0; split <= stream.bytes.size(); ++split) {
    FrameReader reader;
    std::vector<Message> messages;
    ASSERT_TRUE(feed_all(reader, ByteView(stream.bytes).first(split), messages).has_value());
    ASSERT_TRUE(feed_all(reader, ByteView(stream.bytes).subspan(split), messages).has_value());
    ASSERT_EQ(messages, stream.messages) << "split at " << split;
    ASSERT_FALSE(reader.mid_frame());
  }
}

TEST(FrameReaders, OneByteAtATimeGivesTheSameMessages) {
  const Stream stream = sample_stream();
  FrameReader reader;
  std::vector<Message> messages;
  for (std::size_t i = 0; i < stream.bytes.size(); ++i) {
    ASSERT_TRUE(feed_all(reader, ByteView(stream.bytes).subspan(i, 1), messages).has_value());
  }
  EXPECT_EQ(messages, stream.messages);
}

TEST(FrameReaders, RandomFragmentsGiveTheSameMessages) {
  const char* const given = std::getenv("CHORUS_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20'240'602;
  SCOPED_TRACE("CHORUS_SEED=" + std::to_string(seed));
  sim::SeededRandom random(seed);
  Stream stream = sample_stream();
  for (const Message& message : largest_messages()) {
    stream.messages.push_back(message);
    const Frame frame = encode(message);
    stream.bytes.insert(stream.bytes.end(), frame->begin(), frame->end());
  }
  for (int run = 0; run < 50; ++run) {
    FrameReader reader;
    std::vector<Message> messages;
    ByteView rest = stream.bytes;
    const std::uint64_t longest = std::uint64_t{1} << (4 + random.below(16));
    while (!rest.empty()) {
      const std::size_t size = std::min<std::size_t>(rest.size(), 1 + random.below(longest));
      ASSERT_TRUE(feed_all(reader, rest.first(size), messages).has_value());
      rest = rest.subspan(size);
    }
    ASSERT_EQ(messages, stream.messages) << "run " << run;
  }
}

TEST(FrameReaders, TakeBytesUpToTheEndOfOneFrame) {
  const Stream stream = sample_stream();
  FrameReader reader;
  std::size_t at = 0;
  for (const Message& message : stream.messages) {
    const auto fed = reader.feed(ByteView(stream.bytes).subspan(at));
    ASSERT_TRUE(fed.has_value());
    EXPECT_EQ(fed->message, message);
    EXPECT_EQ(fed->consumed, encode(message)->size());
    at += fed->consumed;
  }
}

TEST(FrameReaders, KnowWhetherTheyAreInTheMiddleOfAFrame) {
  const Frame frame = encode(protocol::Hello{.protocol_version = 1, .job = "films"});
  FrameReader reader;
  EXPECT_FALSE(reader.mid_frame());
  for (std::size_t i = 0; i < frame->size(); ++i) {
    ASSERT_TRUE(reader.feed(ByteView(*frame).subspan(i, 1)).has_value());
    EXPECT_EQ(reader.mid_frame(), i + 1 < frame->size()) << i;
  }
}

TEST(FrameReaders, ATypeThatIsNotAcceptedIsRefusedBeforeItsPayload) {
  FrameReader reader;
  reader.set_accepted(protocol::message_bit(MessageType::hello));
  const auto large = static_cast<std::uint32_t>(protocol::max_payload(MessageType::update) + 1);
  const AllocationProbe probe;
  const auto fed = reader.feed(head(large, static_cast<std::uint8_t>(MessageType::update)));
  EXPECT_LE(probe.largest(), 1024U);
  ASSERT_FALSE(fed.has_value());
  EXPECT_EQ(fed.error().code(), ErrorCode::out_of_phase);
}

TEST(FrameReaders, AnnouncingMuchAndSendingLittleCostsLittle) {
  FrameReader reader;
  const auto large = static_cast<std::uint32_t>(protocol::max_payload(MessageType::update) + 1);
  ASSERT_TRUE(reader.feed(head(large, static_cast<std::uint8_t>(MessageType::update))).has_value());
  const AllocationProbe probe;
  ASSERT_TRUE(reader.feed(Bytes(100, 1)).has_value());
  EXPECT_LE(probe.largest(), 4096U);
}

TEST(FrameReaders, MalformedPayloadsEndTheStream) {
  FrameReader reader;
  Bytes frame(kFrameHeader);
  const ByteArray<kFrameHeader> announced = head(4, static_cast<std::uint8_t>(MessageType::hello));
  std::ranges::copy(announced, frame.begin());
  frame.insert(frame.end(), {1, 1, 0});
  EXPECT_EQ(reader.feed(frame).error().code(), ErrorCode::malformed);
}

TEST(FrameReaders, RandomBytesNeverCrashThem) {
  const char* const given = std::getenv("CHORUS_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20'240'603;
  SCOPED_TRACE("CHORUS_SEED=" + std::to_string(seed));
  sim::SeededRandom random(seed);
  for (int run = 0; run < 20'000; ++run) {
    Bytes bytes(random.below(64));
    random.fill(bytes);
    // Short lengths and known types get further.
    if (bytes.size() >= kFrameHeader && random.below(4) != 0) {
      bytes[1] = bytes[2] = bytes[3] = 0;
      bytes[4] = static_cast<std::uint8_t>(1 + bytes[4] % protocol::kMessageTypes);
    }
    FrameReader reader;
    std::vector<Message> messages;
    const Status status = feed_all(reader, bytes, messages);
    if (!status) {
      ASSERT_TRUE(status.error().code() == ErrorCode::malformed || status.error().code() == ErrorCode::too_large)
          << status.error().to_string();
    }
  }
}

}  // namespace
}  // namespace chorus::wire
