#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/model.hpp"

namespace chorus::model {
namespace {

TensorSet two_tensors() {
  return {{{.name = "factors", .rows = 2, .columns = 3, .values = {1, -2, 3.5F, 0, -0.0F, 1e-30F}},
           {.name = "scale", .rows = 1, .columns = 1, .values = {7}}}};
}

TEST(TensorSet, EncodingRoundTrips) {
  const TensorSet set = two_tensors();
  const auto decoded = TensorSet::decode(set.encode());
  ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
  EXPECT_EQ(*decoded, set);
  EXPECT_EQ(TensorSet::decode(TensorSet{}.encode()).value(), TensorSet{});
}

TEST(TensorSet, EveryTruncationAndExtensionIsRefused) {
  Bytes bytes = two_tensors().encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = TensorSet::decode(ByteView(bytes).first(size));
    ASSERT_FALSE(decoded.has_value()) << size;
    EXPECT_EQ(decoded.error().code(), ErrorCode::malformed);
  }
  bytes.push_back(0);
  EXPECT_EQ(TensorSet::decode(bytes).error().code(), ErrorCode::malformed);
}

TEST(TensorSet, AcceptedBytesAreCanonical) {
  const Bytes legal = two_tensors().encode();
  for (std::size_t position = 0; position < legal.size(); ++position) {
    for (const int flip : {1, 16, 128, 255}) {
      Bytes bytes = legal;
      bytes[position] = static_cast<std::uint8_t>(bytes[position] ^ flip);
      if (const auto decoded = TensorSet::decode(bytes)) {
        ASSERT_EQ(decoded->encode(), bytes) << position;
      }
    }
  }
}

TEST(TensorSet, AHostileShapeAllocatesNothing) {
  ByteWriter out;
  out.string("CHORUS/1/tensors");
  out.u32(1);
  out.string("factors");
  out.u32(0xFFFFFFFF);
  out.u32(0xFFFFFFFF);
  EXPECT_EQ(TensorSet::decode(out.view()).error().code(), ErrorCode::malformed);
}

TEST(TensorSet, TwoTensorsOfOneNameAreRefused) {
  TensorSet set = two_tensors();
  set.tensors[1].name = "factors";
  EXPECT_EQ(TensorSet::decode(set.encode()).error().code(), ErrorCode::malformed);
}

TEST(TensorSet, TooManyTensorsOrBytesAreTooLarge) {
  TensorSet set;
  for (int t = 0; t < 65; ++t)
    set.tensors.push_back({.name = std::to_string(t), .rows = 0, .columns = 0, .values = {}});
  EXPECT_EQ(TensorSet::decode(set.encode()).error().code(), ErrorCode::too_large);
  const Bytes bytes = two_tensors().encode();
  EXPECT_EQ(TensorSet::decode(bytes, bytes.size() - 1).error().code(), ErrorCode::too_large);
  EXPECT_TRUE(TensorSet::decode(bytes, bytes.size()).has_value());
}

TEST(ServerState, HiddenStateRoundTrips) {
  ServerState state;
  state.hidden["momentum"] = {1.0, -0.1, 1e-300};
  state.hidden["empty"] = {};
  const auto decoded = ServerState::decode_hidden(state.encode_hidden());
  ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
  EXPECT_EQ(*decoded, state.hidden);
}

TEST(ServerState, MalformedHiddenStateIsRefused) {
  ServerState state;
  state.hidden["a"] = {1, 2};
  state.hidden["b"] = {3};
  const Bytes bytes = state.encode_hidden();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ServerState::decode_hidden(ByteView(bytes).first(size)).has_value()) << size;
  }
  Bytes swapped = bytes;
  std::ranges::replace(swapped, std::uint8_t{'b'}, std::uint8_t{'a'});
  EXPECT_EQ(ServerState::decode_hidden(swapped).error().code(), ErrorCode::malformed);
}

}  // namespace
}  // namespace chorus::model
