#include "common/base/bytes.hpp"

#include <limits>

#include <gtest/gtest.h>

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

TEST(ByteWriter, WritesTheDocumentedBytes) {
  ByteWriter writer;
  writer.u16(0x0102);
  writer.string("ab");
  writer.f32(1.0F);
  writer.i64(-2);
  EXPECT_EQ(to_hex(writer.view()),
            "0201"
            "020000006162"
            "0000803f"
            "feffffffffffffff");
}

TEST(ByteReader, TheFirstErrorStaysAndWhatFollowsIsZero) {
  const Bytes bytes{1, 2, 3, 4};
  ByteReader reader(bytes);
  reader.reject("the version is not 1");
  EXPECT_EQ(reader.u8(), 0U);
  EXPECT_EQ(reader.remaining(), 4U);
  reader.reject("something else");
  std::array<std::uint8_t, 2> raw{9, 9};
  reader.raw(raw);
  EXPECT_EQ(raw, (std::array<std::uint8_t, 2>{0, 0}));
  EXPECT_EQ(reader.count(10, 1), 0U);
  const Status status = reader.finish("header");
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().sentence(), "header is malformed: the version is not 1");
}

TEST(ByteReader, FloatsKeepTheirBits) {
  // A signalling NaN with a payload, minus zero, the smallest denormal.
  const std::array<std::uint32_t, 3> patterns{0x7fa12345, 0x80000000, 0x00000001};
  for (const std::uint32_t pattern : patterns) {
    ByteWriter writer;
    writer.u32(pattern);
    ByteReader reader(writer.view());
    std::array<float, 1> value{};
    reader.f32s(value);
    ByteWriter again;
    again.f32s(value);
    EXPECT_EQ(again.view(), writer.view());
  }
}

TEST(Hex, RefusesATextOfAnotherLengthThanAsked) {
  std::array<std::uint8_t, 2> out{};
  EXPECT_TRUE(from_hex_into("beef", out).has_value());
  EXPECT_EQ(out, (std::array<std::uint8_t, 2>{0xbe, 0xef}));
  const Status status = from_hex_into("beef00", out);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().sentence(), "expected 4 hexadecimal digits, found 6 characters");
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
