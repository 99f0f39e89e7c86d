#include "common/plan/update_layout.hpp"

#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::plan {
namespace {

using ::testing::HasSubstr;

TensorLayout gradient() {
  return {.name = "gradient", .rows = 5, .columns = 3, .per_item = true, .limbs = 1, .scale_log2 = 10, .clip = 8};
}
TensorLayout count() {
  return {.name = "count", .rows = 5, .columns = 1, .per_item = true, .limbs = 1, .scale_log2 = 0, .clip = 1};
}
TensorLayout curvature() {
  return {.name = "curvature", .rows = 1, .columns = 6, .per_item = false, .limbs = 2, .scale_log2 = 10, .clip = 1000};
}

void expect_refused(std::vector<TensorLayout> tensors, int bits, std::uint32_t contributors, ErrorCode code,
                    std::string_view words) {
  const auto layout = UpdateLayout::create(std::move(tensors), bits, contributors);
  ASSERT_FALSE(layout.has_value()) << "expected: " << words;
  EXPECT_EQ(layout.error().code(), code) << layout.error().to_string();
  EXPECT_THAT(layout.error().sentence(), HasSubstr(std::string(words)));
}

// Largest coordinate c with contributors · c < 2^(bits-1), by counting up: the definition itself.
std::uint64_t largest_allowed(int bits, std::uint64_t contributors) {
  std::uint64_t c = ((std::uint64_t{1} << (bits - 1)) / contributors) + 2;
  while (contributors * c >= std::uint64_t{1} << (bits - 1)) --c;
  return c;
}

TEST(UpdateLayout, OffsetsFollowTheOrderOfTheTensorsAndCountLimbs) {
  const auto layout = UpdateLayout::create({gradient(), curvature(), count()}, 24, 512);
  ASSERT_TRUE(layout.has_value()) << layout.error().to_string();
  EXPECT_EQ(layout->offset(0), 0U);
  EXPECT_EQ(layout->offset(1), 15U);
  EXPECT_EQ(layout->offset(2), 27U);
  EXPECT_EQ(layout->dimension(), 32U);
  EXPECT_EQ(layout->packed_size(), 96U);
  EXPECT_EQ(layout->items(), 5U);
  EXPECT_EQ(layout->row_width(), 4U);
  EXPECT_EQ(layout->dense_width(), 6U);
  EXPECT_EQ(layout->find("count"), std::size_t{2});
  EXPECT_EQ(layout->find("moments"), std::nullopt);
}

TEST(UpdateLayout, PackedSizeFollowsTheBits) {
  TensorLayout small = count();
  EXPECT_EQ(UpdateLayout::create({small}, 16, 512)->packed_size(), 10U);
  EXPECT_EQ(UpdateLayout::create({small}, 24, 512)->packed_size(), 15U);
  EXPECT_EQ(UpdateLayout::create({small}, 32, 512)->packed_size(), 20U);
}

TEST(UpdateLayout, HeadroomOfOneLimbIsExact) {
  for (const int bits : {16, 24, 32}) {
    for (const std::uint32_t contributors : {1U, 7U, 76U, 512U, 1000U}) {
      TensorLayout tensor = count();
      tensor.clip = static_cast<double>(largest_allowed(bits, contributors));
      EXPECT_TRUE(UpdateLayout::create({tensor}, bits, contributors).has_value()) << bits << ' ' << contributors;
      tensor.clip += 1;
      expect_refused({tensor}, bits, contributors, ErrorCode::too_large, "tensor 'count'");
    }
  }
}

TEST(UpdateLayout, HeadroomOfTwoLimbsIsExactInTheHighLimb) {
  for (const int bits : {24, 32}) {
    for (const std::uint32_t contributors : {1U, 76U, 512U}) {
      // hi ≤ c while v < c·2^12 + 2^11.
      TensorLayout tensor = curvature();
      tensor.scale_log2 = 0;
      tensor.clip = static_cast<double>(largest_allowed(bits, contributors) * 4096 + 2047);
      EXPECT_TRUE(UpdateLayout::create({tensor}, bits, contributors).has_value()) << bits << ' ' << contributors;
      tensor.clip += 1;
      expect_refused({tensor}, bits, contributors, ErrorCode::too_large, "no headroom");
    }
  }
}

TEST(UpdateLayout, TheLowLimbNeedsHeadroomToo) {
  TensorLayout tensor = curvature();
  tensor.scale_log2 = 0;
  tensor.clip = 5000;
  EXPECT_TRUE(UpdateLayout::create({tensor}, 16, 15).has_value());  // 15 · 2048 < 2^15
  expect_refused({tensor}, 16, 16, ErrorCode::too_large, "16 contributors times 2048");
}

TEST(UpdateLayout, RoundingUpAtTheClipCountsForHeadroom) {
  TensorLayout tensor = count();
  tensor.clip = 63.5;  // rounds to 64, and 512 · 64 = 2^15
  expect_refused({tensor}, 16, 512, ErrorCode::too_large, "64");
  tensor.clip = 63.25;
  EXPECT_TRUE(UpdateLayout::create({tensor}, 16, 512).has_value());
}

TEST(UpdateLayout, MalformedTensorsAreRefusedByName) {
  const auto with = [](auto change) {
    TensorLayout tensor = gradient();
    change(tensor);
    return std::vector<TensorLayout>{tensor};
  };
  const auto code = ErrorCode::invalid_argument;
  expect_refused(with([](auto& t) { t.name = ""; }), 24, 512, code, "name");
  expect_refused(with([](auto& t) { t.name = "Gradient"; }), 24, 512, code, "[a-z0-9_]");
  expect_refused(with([](auto& t) { t.name = std::string(33, 'a'); }), 24, 512, code, "32");
  expect_refused(with([](auto& t) { t.rows = 0; }), 24, 512, code, "'gradient' of the update layout is empty");
  expect_refused(with([](auto& t) { t.columns = 0; }), 24, 512, code, "empty");
  expect_refused(with([](auto& t) { t.per_item = false; }), 24, 512, code, "several rows");
  expect_refused(with([](auto& t) { t.limbs = 0; }), 24, 512, code, "0 limbs");
  expect_refused(with([](auto& t) { t.limbs = 3; }), 24, 512, code, "3 limbs");
  expect_refused(with([](auto& t) { t.scale_log2 = 41; }), 24, 512, code, "2^41");
  expect_refused(with([](auto& t) { t.scale_log2 = -128; }), 24, 512, code, "2^-128");
  expect_refused(with([](auto& t) { t.clip = 0; }), 24, 512, code, "clip");
  expect_refused(with([](auto& t) { t.clip = -1; }), 24, 512, code, "clip");
  expect_refused(with([](auto& t) { t.clip = std::numeric_limits<double>::infinity(); }), 24, 512, code, "clip");
  expect_refused(with([](auto& t) { t.clip = std::numeric_limits<double>::quiet_NaN(); }), 24, 512, code, "clip");
  expect_refused(with([](auto& t) { t.clip = 1e-6; }), 24, 512, code, "rounds everything to zero");
  expect_refused(with([](auto& t) { t.clip = 1e300; }), 24, 512, ErrorCode::too_large, "beyond 24 bits");
  expect_refused(with([](auto& t) { t.rows = 0xFFFFFFFF; }), 24, 512, ErrorCode::too_large, "coordinates");
}

TEST(UpdateLayout, MalformedWholesAreRefused) {
  expect_refused({}, 24, 512, ErrorCode::invalid_argument, "at least one tensor");
  expect_refused({count()}, 20, 512, ErrorCode::invalid_argument, "not 20");
  expect_refused({count()}, 24, 0, ErrorCode::invalid_argument, "contributor");
  expect_refused({count(), count()}, 24, 512, ErrorCode::invalid_argument, "two tensors named 'count'");
  TensorLayout longer = gradient();
  longer.rows = 6;
  expect_refused({count(), longer}, 24, 512, ErrorCode::invalid_argument, "6 items, the ones before it 5");

  std::vector<TensorLayout> many;
  for (int t = 0; t < 17; ++t) {
    many.push_back(count());
    many.back().name = "count" + std::to_string(t);
  }
  expect_refused(many, 24, 512, ErrorCode::too_large, "at most 16");
  many.pop_back();
  EXPECT_TRUE(UpdateLayout::create(many, 24, 512).has_value());
  for (TensorLayout& tensor : many) tensor.rows = 1U << 25;
  expect_refused(many, 24, 512, ErrorCode::too_large, "with tensor 'count8'");
}

TEST(UpdateLayout, EncodingRoundTrips) {
  const UpdateLayout layout = UpdateLayout::create({gradient(), count(), curvature()}, 24, 512).value();
  ByteWriter out;
  layout.encode(out);
  ByteReader in(out.view());
  const auto decoded = UpdateLayout::decode(in);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
  EXPECT_TRUE(in.finish("layout").has_value());
  EXPECT_EQ(*decoded, layout);
}

TEST(UpdateLayout, EveryTruncationIsRefused) {
  ByteWriter out;
  UpdateLayout::create({gradient(), count(), curvature()}, 24, 512)->encode(out);
  for (std::size_t size = 0; size < out.view().size(); ++size) {
    ByteReader in(ByteView(out.view()).first(size));
    const auto decoded = UpdateLayout::decode(in);
    ASSERT_FALSE(decoded.has_value()) << size;
    EXPECT_EQ(decoded.error().code(), ErrorCode::malformed) << size;
  }
}

TEST(UpdateLayout, HostileBytesNeverMakeALayoutThatBreaksItsOwnRules) {
  ByteWriter out;
  UpdateLayout::create({gradient(), count(), curvature()}, 24, 512)->encode(out);
  // Every byte takes every value: what is accepted must encode to the same bytes again.
  for (std::size_t position = 0; position < out.view().size(); ++position) {
    for (int value = 0; value < 256; ++value) {
      Bytes bytes = out.view();
      bytes[position] = static_cast<std::uint8_t>(value);
      ByteReader in(bytes);
      const auto decoded = UpdateLayout::decode(in);
      if (!decoded || in.remaining() != 0) continue;
      ByteWriter again;
      decoded->encode(again);
      ASSERT_EQ(again.view(), bytes) << position << ' ' << value;
      ASSERT_LE(decoded->dimension(), UpdateLayout::kMaxCoordinates);
    }
  }
}

TEST(UpdateLayout, ACountWithoutItsTensorsAllocatesNothing) {
  ByteWriter out;
  out.u8(24);
  out.u32(512);
  out.u32(0xFFFFFFFF);
  ByteReader in(out.view());
  const auto decoded = UpdateLayout::decode(in);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code(), ErrorCode::malformed);
}

}  // namespace
}  // namespace chorus::plan
