#include "common/protocol/messages.hpp"

#include <array>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace chorus::protocol {
namespace {

TEST(Messages, TypesAreTheOrderOfTheVariant) {
  const std::array<std::pair<Message, MessageType>, kMessageTypes> all = {{
      {Hello{}, MessageType::hello},
      {Fetch{}, MessageType::fetch},
      {Ready{}, MessageType::ready},
      {Decline{}, MessageType::decline},
      {Update{}, MessageType::update},
      {Welcome{}, MessageType::welcome},
      {Blob{}, MessageType::blob},
      {Waiting{}, MessageType::waiting},
      {Manifest{}, MessageType::manifest},
      {Result{}, MessageType::result},
      {Published{}, MessageType::published},
      {Finished{}, MessageType::finished},
      {Refusal{}, MessageType::refusal},
  }};
  for (const auto& [message, type] : all) EXPECT_EQ(type_of(message), type) << to_string(type);
}

// The numbers are on the wire.
TEST(Messages, NumbersAreThoseOfTheWire) {
  EXPECT_EQ(static_cast<int>(MessageType::hello), 1);
  EXPECT_EQ(static_cast<int>(MessageType::update), 5);
  EXPECT_EQ(static_cast<int>(MessageType::blob), 7);
  EXPECT_EQ(static_cast<int>(MessageType::refusal), 13);
}

TEST(Messages, EveryTypeHasANameOfItsOwnAndALimit) {
  std::set<std::string_view> names;
  for (std::uint8_t type = 1; type <= kMessageTypes; ++type) {
    names.insert(to_string(static_cast<MessageType>(type)));
    EXPECT_GT(max_payload(static_cast<MessageType>(type)), 0U);
    EXPECT_LT(max_payload(static_cast<MessageType>(type)), kChunkSize + 1024);
  }
  EXPECT_EQ(names.size(), kMessageTypes);
  EXPECT_EQ(to_string(MessageType::update), "update");
}

TEST(Messages, EveryErrorCodeNameFits) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::overloaded); ++code) {
    EXPECT_LE(to_string(static_cast<ErrorCode>(code)).size(), kMaxCodeName);
  }
}

}  // namespace
}  // namespace chorus::protocol
