#include "common/identity/device_id.hpp"

#include <gtest/gtest.h>

namespace chorus::identity {
namespace {

constexpr char kHex[] = "000102030405060708090a0b0c0d0e0f";

DeviceId counting() {
  DeviceId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(i);
  return id;
}

TEST(DeviceId, IsWrittenAsHexadecimalAndAsUrn) {
  EXPECT_EQ(to_string(counting()), kHex);
  EXPECT_EQ(to_urn(counting()), "urn:chorus:device:000102030405060708090a0b0c0d0e0f");
}

TEST(DeviceId, IsReadFromWhatItIsWrittenAs) {
  EXPECT_EQ(parse_device_id(kHex).value(), counting());
  EXPECT_EQ(parse_device_urn(to_urn(counting())).value(), counting());
}

TEST(DeviceId, AnythingElseIsMalformed) {
  for (const std::string_view text :
       {"", "00", "000102030405060708090a0b0c0d0e0g", "000102030405060708090a0b0c0d0e0f00"}) {
    const auto id = parse_device_id(text);
    ASSERT_FALSE(id.has_value()) << text;
    EXPECT_EQ(id.error().code(), ErrorCode::malformed);
    EXPECT_EQ(id.error().where(), "device id");
  }
}

TEST(DeviceId, AUrnOfAnotherKindOrSpellingIsMalformed) {
  for (const std::string_view text :
       {"urn:chorus:person:000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f",
        "urn:chorus:device:000102030405060708090A0B0C0D0E0F", "urn:chorus:device:00"}) {
    const auto id = parse_device_urn(text);
    ASSERT_FALSE(id.has_value()) << text;
    EXPECT_EQ(id.error().code(), ErrorCode::malformed);
  }
}

}  // namespace
}  // namespace chorus::identity
