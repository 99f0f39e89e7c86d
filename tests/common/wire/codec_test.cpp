// Encoding and decoding of single messages.
#include <cstdlib>

#include <gtest/gtest.h>

#include "common/wire/frame.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/common/wire/allocation_probe.hpp"
#include "tests/common/wire/samples.hpp"

namespace chorus::wire {
namespace {

using protocol::Message;
using protocol::MessageType;

ByteView payload_of(const Frame& frame) {
  return ByteView(*frame).subspan(kFrameHeader);
}

Bytes payload_copy(const Message& message) {
  const Frame frame = encode(message);
  return {frame->begin() + kFrameHeader, frame->end()};
}

// Room for the error's sentence and what the standard library asks for.
constexpr std::size_t kSlack = 1024;

void expect_malformed(MessageType type, ByteView payload, std::string_view what) {
  const AllocationProbe probe;
  const auto decoded = decode(type, payload);
  const std::size_t largest = probe.largest();
  ASSERT_FALSE(decoded.has_value()) << what;
  EXPECT_EQ(decoded.error().code(), ErrorCode::malformed) << what;
  EXPECT_EQ(decoded.error().where(), to_string(type)) << what;
  EXPECT_LE(largest, payload.size() + kSlack) << what;
}

TEST(Codec, EveryMessageComesBackAsItWas) {
  for (const Message& message : sample_messages()) {
    const Frame frame = encode(message);
    const auto decoded = decode(type_of(message), payload_of(frame));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
    EXPECT_EQ(*decoded, message) << to_string(type_of(message));
    EXPECT_EQ(*encode(*decoded), *frame);
  }
}

TEST(Codec, TheLargestOfEachTypeHasExactlyTheLimitsSize) {
  const std::vector<Message> largest = largest_messages();
  ASSERT_EQ(largest.size(), protocol::kMessageTypes);
  for (const Message& message : largest) {
    const MessageType type = type_of(message);
    const Frame frame = encode(message);
    const bool has_code = type == MessageType::decline || type == MessageType::refusal;
    // The longest name of an error code leaves some room.
    const std::size_t unused =
        has_code ? protocol::kMaxCodeName - to_string(ErrorCode::parameter_above_ceiling).size() : 0;
    EXPECT_EQ(payload_of(frame).size() + unused, protocol::max_payload(type)) << to_string(type);
    const auto decoded = decode(type, payload_of(frame));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
    EXPECT_EQ(*decoded, message);
  }
}

TEST(Codec, BytesOnTheWireAreThoseOfTheDocument) {
  const Bytes hello = {0x0d, 0,   0,   0,   1,  /* order */ 1, /* version */ 1, 0, /* job */ 5, 0, 0, 0,
                       'f',  'i', 'l', 'm', 's'};
  EXPECT_EQ(*encode(protocol::Hello{.protocol_version = 1, .job = "films"}), hello);
  const Bytes refusal = {0x16, 0, 0, 0, 13, 1,   4,   0,   0,   0,    'l', 'a', 't',
                         'e',  4, 0, 0, 0,  'o', 'v', 'e', 'r', 0xf4, 1,   0,   0};
  EXPECT_EQ(*encode(protocol::Refusal{.code = ErrorCode::late, .sentence = "over", .retry_after = 500ms}), refusal);
}

TEST(Codec, EveryTruncationIsRefused) {
  for (const Message& message : sample_messages()) {
    const Frame frame = encode(message);
    const ByteView payload = payload_of(frame);
    for (std::size_t size = 0; size < payload.size(); ++size) {
      expect_malformed(type_of(message), payload.first(size),
                       std::string(to_string(type_of(message))) + " cut to " + std::to_string(size));
    }
  }
}

TEST(Codec, TrailingBytesAreRefused) {
  for (const Message& message : sample_messages()) {
    Bytes payload = payload_copy(message);
    payload.push_back(0);
    expect_malformed(type_of(message), payload, to_string(type_of(message)));
  }
}

TEST(Codec, PayloadsInTheOtherByteOrderAreRefused) {
  for (const Message& message : sample_messages()) {
    for (const std::uint8_t order : Bytes{0, 2, 255}) {
      Bytes payload = payload_copy(message);
      payload.front() = order;
      expect_malformed(type_of(message), payload, to_string(type_of(message)));
    }
  }
}

TEST(Codec, APayloadReadAsAnotherTypeNeverMisleads) {
  for (const Message& message : sample_messages()) {
    const Frame frame = encode(message);
    for (std::uint8_t type = 1; type <= protocol::kMessageTypes; ++type) {
      const auto decoded = decode(static_cast<MessageType>(type), payload_of(frame));
      // Some documents look alike; what is read is then what the bytes say.
      if (decoded) {
        EXPECT_EQ(payload_of(encode(*decoded)).size(), payload_of(frame).size());
      }
    }
  }
}

// Four hostile bytes: a length of four gigabytes in each place where a length stands.
TEST(Codec, AHostileLengthAllocatesNothing) {
  for (const Message& message : sample_messages()) {
    const Frame frame = encode(message);
    const ByteView payload = payload_of(frame);
    for (std::size_t at = 1; at + 4 <= payload.size(); ++at) {
      for (const std::uint32_t length : {0xffffffffU, 0x7fffffffU, 262'144U, 16'384U, 256U}) {
        Bytes hostile(payload.begin(), payload.end());
        for (std::size_t i = 0; i < 4; ++i) hostile[at + i] = static_cast<std::uint8_t>(length >> (8 * i));
        const AllocationProbe probe;
        const auto decoded = decode(type_of(message), hostile);
        ASSERT_LE(probe.largest(), hostile.size() + kSlack) << to_string(type_of(message)) << " at " << at;
        if (decoded) {
          EXPECT_LE(payload_of(encode(*decoded)).size(), hostile.size());
        }
      }
    }
  }
}

// Where the payload's own limit would allow it, the field's does not.
TEST(Codec, ARevocationListBeyondItsLimitIsRefusedBeforeItIsCopied) {
  const Bytes list = counting_bytes(protocol::kMaxRevocations + 1);
  ByteWriter writer;
  writer.u8(1);
  writer.bytes(Bytes(10, 1));
  writer.raw(ByteArray<64>{});
  writer.bytes(list);
  ASSERT_LT(writer.view().size(), protocol::max_payload(MessageType::manifest));
  const AllocationProbe probe;
  const auto decoded = decode(MessageType::manifest, writer.view());
  EXPECT_LE(probe.largest(), kSlack);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code(), ErrorCode::malformed);
}

TEST(Codec, AStepThatClaimsMoreThanItsLargestBodyAllocatesNothing) {
  for (const Message& message : largest_messages()) {
    const MessageType type = type_of(message);
    if (type < MessageType::advertise || type > MessageType::certificate) continue;
    Bytes payload = payload_copy(message);
    constexpr std::size_t kLengthAt = 1 + 32;
    const auto length = static_cast<std::uint32_t>(payload.size() - kLengthAt - 4 + 1);
    for (std::size_t i = 0; i < 4; ++i) payload[kLengthAt + i] = static_cast<std::uint8_t>(length >> (8 * i));
    const AllocationProbe probe;
    const auto decoded = decode(type, payload);
    EXPECT_LE(probe.largest(), kSlack) << to_string(type);
    ASSERT_FALSE(decoded.has_value()) << to_string(type);
    EXPECT_EQ(decoded.error().code(), ErrorCode::malformed);
  }
}

TEST(Codec, FlagsAndKindsHaveOneForm) {
  Bytes ready = payload_copy(protocol::Ready{.model_version = ModelVersion(1), .has_model = true});
  ready.back() = 2;
  expect_malformed(MessageType::ready, ready, "has_model 2");
  Bytes resumed = payload_copy(protocol::Resumed{.session = {}, .in_round = true});
  resumed[1 + 32] = 2;
  expect_malformed(MessageType::resumed, resumed, "in_round 2");
  for (const std::uint8_t kind : Bytes{0, 3, 255}) {
    Bytes fetch = payload_copy(protocol::Fetch{});
    fetch[1] = kind;
    expect_malformed(MessageType::fetch, fetch, "kind");
  }
}

TEST(Codec, PiecesLieWithinTheirWhole) {
  struct Case {
    std::uint64_t offset;
    std::uint64_t total;
    std::size_t size;
  };
  for (const Case c : {Case{0, 0, 0}, Case{0, 10, 0}, Case{10, 10, 1}, Case{5, 10, 6}, Case{UINT64_MAX, 10, 1},
                       Case{UINT64_MAX - 1, UINT64_MAX, 1}, Case{0, protocol::kMaxBlob + 1, 1}}) {
    // The same fields behind a session and behind a kind and a version.
    for (const MessageType type : {MessageType::update, MessageType::blob}) {
      ByteWriter writer;
      writer.u8(1);
      if (type == MessageType::update) {
        writer.raw(ByteArray<32>{});
      } else {
        writer.u8(1);
        writer.u64(7);
      }
      writer.u64(c.offset);
      writer.u64(c.total);
      writer.bytes(Bytes(c.size, 1));
      expect_malformed(type, writer.view(),
                       std::to_string(c.offset) + "+" + std::to_string(c.size) + " of " + std::to_string(c.total));
    }
  }
}

TEST(Codec, UnknownCodesJobNamesAndLongWaitsAreRefused) {
  ByteWriter code;
  code.u8(1);
  code.string("no_such_code");
  code.string("sentence");
  code.u32(0);
  expect_malformed(MessageType::refusal, code.view(), "code");

  ByteWriter wait;
  wait.u8(1);
  wait.string("late");
  wait.string("sentence");
  wait.u32(86'400'001);
  expect_malformed(MessageType::refusal, wait.view(), "wait");

  for (const std::string_view name : {"Films", "a b", "a\n", "../x"}) {
    ByteWriter hello;
    hello.u8(1);
    hello.u16(1);
    hello.string(name);
    expect_malformed(MessageType::hello, hello.view(), name);
  }
}

TEST(Codec, SentencesThatMoveTheCursorAreRefusedAndNeverSent) {
  for (const std::string_view sentence : {"\x1b[2J", "a\nb", "\xff\xfe",
                                          "\xc2\x9b"
                                          "2J"}) {
    ByteWriter refusal;
    refusal.u8(1);
    refusal.string("late");
    refusal.string(sentence);
    refusal.u32(0);
    expect_malformed(MessageType::refusal, refusal.view(), "sentence");

    const Frame sent = encode(protocol::Refusal{.code = ErrorCode::late, .sentence = std::string(sentence)});
    EXPECT_TRUE(decode(MessageType::refusal, payload_of(sent)).has_value());
  }
  const Frame sent =
      encode(protocol::Decline{.session = {}, .code = ErrorCode::late, .sentence = std::string(999, 'x')});
  const auto decoded = decode(MessageType::decline, payload_of(sent));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(std::get<protocol::Decline>(*decoded).sentence, std::string(protocol::kMaxSentence, 'x'));
}

// Whatever the bytes: a message that encodes to the same bytes, or `malformed`.
TEST(Codec, RandomBytesAreAMessageOrMalformed) {
  const char* const given = std::getenv("CHORUS_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20'240'601;
  SCOPED_TRACE("CHORUS_SEED=" + std::to_string(seed));
  sim::SeededRandom random(seed);
  const std::vector<Message> samples = sample_messages();
  int accepted = 0;
  for (int i = 0; i < 30'000; ++i) {
    MessageType type;
    Bytes payload;
    if (random.below(2) == 0) {
      type = static_cast<MessageType>(1 + random.below(protocol::kMessageTypes));
      payload.resize(random.below(300));
      random.fill(payload);
      if (!payload.empty()) payload.front() = 1;
    } else {
      const Message& sample = samples[random.below(samples.size())];
      type = type_of(sample);
      payload = payload_copy(sample);
      for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
        payload[random.below(payload.size())] = static_cast<std::uint8_t>(random.below(256));
      }
    }
    const AllocationProbe probe;
    const auto decoded = decode(type, payload);
    ASSERT_LE(probe.largest(), payload.size() + kSlack);
    if (!decoded) {
      ASSERT_EQ(decoded.error().code(), ErrorCode::malformed);
      continue;
    }
    ++accepted;
    const auto* const refusal = std::get_if<protocol::Refusal>(&*decoded);
    const auto* const decline = std::get_if<protocol::Decline>(&*decoded);
    // Blanks at a sentence's ends are the one thing that a sender would not write.
    if (refusal == nullptr && decline == nullptr) {
      const Frame again = encode(*decoded);
      ASSERT_TRUE(std::ranges::equal(payload_of(again), payload)) << to_string(type);
    }
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace chorus::wire
