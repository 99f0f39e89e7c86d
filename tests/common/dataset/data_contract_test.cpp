#include "common/dataset/data_contract.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace chorus::dataset {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Bytes encoded(const DataContract& contract) {
  ByteWriter writer;
  contract.encode(writer);
  return std::move(writer).take();
}

TEST(DataContractTest, EncodingReadsBackAndHasItsLength) {
  const DataContract contract{Feedback::events, 0, 100, 0.5F, 321};
  const Bytes bytes = encoded(contract);
  EXPECT_EQ(bytes.size(), DataContract::kEncodedBytes);
  EXPECT_EQ(to_hex(bytes), "01000000000000c8420000003f41010000");
  ByteReader reader(bytes);
  EXPECT_EQ(DataContract::decode(reader).value(), contract);
  EXPECT_EQ(reader.remaining(), 0U);
}

TEST(DataContractTest, EveryTruncationIsRefused) {
  const Bytes bytes = encoded({});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader(ByteView(bytes).first(size));
    EXPECT_EQ(DataContract::decode(reader).error().code(), ErrorCode::malformed) << size;
  }
}

TEST(DataContractTest, ContractsThatMakeNoSenseNameTheField) {
  const auto field = [](DataContract contract) { return contract.validate().error().where(); };
  EXPECT_EQ(field({static_cast<Feedback>(2), 1, 5, 1, 10}), "field 'feedback'");
  EXPECT_EQ(field({Feedback::ratings, kNan, 5, 1, 10}), "field 'minimum'");
  EXPECT_EQ(field({Feedback::ratings, -0.0F, 5, 1, 10}), "field 'minimum'");
  EXPECT_EQ(field({Feedback::events, -1, 5, 1, 10}), "field 'minimum'");
  EXPECT_EQ(field({Feedback::ratings, 1, kInfinity, 1, 10}), "field 'maximum'");
  EXPECT_EQ(field({Feedback::ratings, 5, 5, 0, 10}), "field 'maximum'");
  EXPECT_EQ(field({Feedback::ratings, 5, 1, 0, 10}), "field 'maximum'");
  EXPECT_EQ(field({Feedback::ratings, -3e38F, 3e38F, 0, 10}), "field 'maximum'");
  EXPECT_EQ(field({Feedback::ratings, 1, 5, -1, 10}), "field 'step'");
  EXPECT_EQ(field({Feedback::ratings, 1, 5, kNan, 10}), "field 'step'");
  EXPECT_EQ(field({Feedback::ratings, 1, 5, 4.5F, 10}), "field 'step'");
  EXPECT_EQ(field({Feedback::ratings, 1, 5, 1, 0}), "field 'max_items_per_user'");
  EXPECT_EQ(field({Feedback::ratings, 1, 5, 1, kMaxItemsPerUserCeiling + 1}), "field 'max_items_per_user'");
  EXPECT_TRUE(DataContract{}.validate().has_value());
}

TEST(DataContractTest, BytesOfAnInvalidContractAreRefused) {
  ByteWriter writer;
  writer.u8(0);
  writer.f32(1);
  writer.f32(5);
  writer.f32(-0.0F);
  writer.u32(10);
  ByteReader reader(writer.view());
  const auto decoded = DataContract::decode(reader);
  EXPECT_EQ(decoded.error().code(), ErrorCode::malformed);
  EXPECT_EQ(decoded.error().where(), "field 'step'");
}

TEST(DataContractTest, ValuesOnTheScaleAreAccepted) {
  const DataContract half{Feedback::ratings, 0.5F, 5, 0.5F, 10};
  for (int k = 0; k <= 9; ++k) EXPECT_TRUE(half.check(0.5 + 0.5 * k).has_value()) << k;
  const DataContract tenth{Feedback::ratings, 0, 10, 0.1F, 10};
  for (int k = 0; k <= 100; ++k) EXPECT_TRUE(tenth.check(static_cast<float>(k) / 10).has_value()) << k;
  EXPECT_TRUE((DataContract{Feedback::ratings, 0, 1, 0, 10}.check(1.0 / 3).has_value()));
}

TEST(DataContractTest, ValuesOffTheScaleAreRefused) {
  const DataContract half{Feedback::ratings, 0.5F, 5, 0.5F, 10};
  for (const double value : {0.0, 0.49, 5.01, -1.0, 0.75, 4.9}) {
    EXPECT_EQ(half.check(value).error().code(), ErrorCode::malformed) << value;
  }
  for (const double value : {double{kNan}, double{kInfinity}, -double{kInfinity}}) {
    EXPECT_EQ(half.check(value).error().code(), ErrorCode::non_finite);
  }
}

}  // namespace
}  // namespace chorus::dataset
