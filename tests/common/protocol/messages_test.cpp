#include "common/protocol/messages.hpp"

#include <array>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace chorus::protocol {
namespace {

TEST(Messages, TypesAreTheOrderOfTheVariant) {
  const std::array<std::pair<Message, MessageType>, kMessageTypes> all = {{
      {Hello{}, MessageType::hello},         {Fetch{}, MessageType::fetch},
      {Ready{}, MessageType::ready},         {Decline{}, MessageType::decline},
      {Update{}, MessageType::update},       {Welcome{}, MessageType::welcome},
      {Blob{}, MessageType::blob},           {Waiting{}, MessageType::waiting},
      {Manifest{}, MessageType::manifest},   {Result{}, MessageType::result},
      {Published{}, MessageType::published}, {Finished{}, MessageType::finished},
      {Refusal{}, MessageType::refusal},     {Advertise{}, MessageType::advertise},
      {Shares{}, MessageType::shares},       {Masked{}, MessageType::masked},
      {Vote{}, MessageType::vote},           {Openings{}, MessageType::openings},
      {Roster{}, MessageType::roster},       {Delivery{}, MessageType::delivery},
      {Survivors{}, MessageType::survivors}, {Certificate{}, MessageType::certificate},
      {Resume{}, MessageType::resume},       {Resumed{}, MessageType::resumed},
  }};
  for (const auto& [message, type] : all) EXPECT_EQ(type_of(message), type) << to_string(type);
}

// The numbers are on the wire.
TEST(Messages, NumbersAreThoseOfTheWire) {
  EXPECT_EQ(static_cast<int>(MessageType::hello), 1);
  EXPECT_EQ(static_cast<int>(MessageType::update), 5);
  EXPECT_EQ(static_cast<int>(MessageType::blob), 7);
  EXPECT_EQ(static_cast<int>(MessageType::refusal), 13);
  EXPECT_EQ(static_cast<int>(MessageType::advertise), 14);
  EXPECT_EQ(static_cast<int>(MessageType::openings), 18);
  EXPECT_EQ(static_cast<int>(MessageType::roster), 19);
  EXPECT_EQ(static_cast<int>(MessageType::certificate), 22);
  EXPECT_EQ(static_cast<int>(MessageType::resume), 23);
  EXPECT_EQ(static_cast<int>(MessageType::resumed), 24);
}

TEST(Messages, EveryTypeHasANameOfItsOwnAndALimit) {
  std::set<std::string_view> names;
  for (std::uint8_t type = 1; type <= kMessageTypes; ++type) {
    names.insert(to_string(static_cast<MessageType>(type)));
    EXPECT_GT(max_payload(static_cast<MessageType>(type)), 0U);
    EXPECT_LT(max_payload(static_cast<MessageType>(type)), 512U * 1024);
  }
  EXPECT_EQ(names.size(), kMessageTypes);
  EXPECT_EQ(to_string(MessageType::update), "update");
}

// What a full cohort sends is never cut off by the frame's limit, nor may a step be longer than it can ever be.
TEST(Messages, AStepHasTheLimitOfItsLargestBody) {
  constexpr std::size_t kEnvelope = 1 + 32 + 4;
  EXPECT_EQ(max_payload(MessageType::advertise), kEnvelope + 296);
  EXPECT_EQ(max_payload(MessageType::vote), kEnvelope + 64);
  EXPECT_EQ(max_payload(MessageType::roster), kEnvelope + 4 + 512 * 296);
  EXPECT_EQ(max_payload(MessageType::shares), kEnvelope + secagg::kMostShares);
  EXPECT_EQ(max_payload(MessageType::masked), kEnvelope + secagg::kMostMasked);
  EXPECT_EQ(max_payload(MessageType::openings), kEnvelope + secagg::kMostOpenings);
  EXPECT_EQ(max_payload(MessageType::delivery), kEnvelope + secagg::kMostDelivery);
  EXPECT_EQ(max_payload(MessageType::survivors), kEnvelope + secagg::kMostBitmap);
  EXPECT_EQ(max_payload(MessageType::certificate), kEnvelope + secagg::kMostCertificate);
  EXPECT_EQ(secagg::kMostMembers, 512U);
}

TEST(Messages, EveryErrorCodeNameFits) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::overloaded); ++code) {
    EXPECT_LE(to_string(static_cast<ErrorCode>(code)).size(), kMaxCodeName);
  }
}

}  // namespace
}  // namespace chorus::protocol
