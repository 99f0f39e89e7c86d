#include "common/base/bytes.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace chorus {
namespace {

TEST(ByteReader, ReadsBackEveryKindOfValue) {
  ByteWriter writer;
  writer.u8(0xab);
  writer.u16(0x1234);
  writer.u32(0xdeadbeef);
  writer.u64(std::numeric_limits<std::uint64_t>::max());
  writer.i64(-5);
  writer.f32(-0.5F);
  writer.f64(1e300);
  writer.string("naïve");
  const std::array<float, 2> floats{1.0F, -2.0F};
  writer.f32s(floats);
  const Bytes bytes = std::move(writer).take();

  ByteReader reader(bytes);
  EXPECT_EQ(reader.u8(), 0xab);
  EXPECT_EQ(reader.u16(), 0x1234);
  EXPECT_EQ(reader.u32(), 0xdeadbeef);
  EXPECT_EQ(reader.u64(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(reader.i64(), -5);
  EXPECT_EQ(reader.f32(), -0.5F);
  EXPECT_EQ(reader.f64(), 1e300);
  EXPECT_EQ(reader.string(16), "naïve");
  std::array<float, 2> read{};
  reader.f32s(read);
  EXPECT_EQ(read, floats);
  EXPECT_TRUE(reader.finish("value").has_value());
}

TEST(ByteReader, EveryTruncationOfAValueIsRefused) {
  ByteWriter writer;
  writer.u64(7);
  writer.string("abc");
  const Bytes bytes = std::move(writer).take();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader(ByteView(bytes).first(size));
    reader.u64();
    reader.string(16);
    const Status status = reader.finish("value");
    ASSERT_FALSE(status.has_value()) << size;
    EXPECT_EQ(status.error().code(), ErrorCode::malformed);
  }
}

TEST(ByteReader, TrailingBytesAreRefused) {
  const Bytes bytes{1, 2};
  ByteReader reader(bytes);
  reader.u8();
  const Status status = reader.finish("flag");
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().sentence(), "flag is malformed: 1 bytes after its end");
}

TEST(ByteReader, ALengthBeyondTheLimitIsRefusedBeforeAnythingIsAllocated) {
  ByteWriter writer;
  writer.u32(0xffffffff);
  const Bytes bytes = std::move(writer).take();
  ByteReader reader(bytes);
  EXPECT_TRUE(reader.string(1000).empty());
  EXPECT_FALSE(reader.finish("name").has_value());
}

TEST(ByteReader, ACountIsHeldAgainstTheBytesThatAreThere) {
  ByteWriter writer;
  writer.u32(1000);
  writer.u64(0);
  const Bytes bytes = std::move(writer).take();
  ByteReader reader(bytes);
  EXPECT_EQ(reader.count(10'000, 8), 0U);
  EXPECT_TRUE(reader.failed());
}

TEST(Hex, RoundTripsAndRefusesOtherCharacters) {
  const Bytes bytes{0x00, 0x7f, 0xff};
  EXPECT_EQ(to_hex(bytes), "007fff");
  EXPECT_EQ(from_hex("007FFf").value(), bytes);
  EXPECT_FALSE(from_hex("0").has_value());
  EXPECT_FALSE(from_hex("0g").has_value());
}

}  // namespace
}  // namespace chorus
