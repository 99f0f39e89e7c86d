#include "common/crypto/hkdf.hpp"

#include <gtest/gtest.h>

namespace chorus::crypto {
namespace {

Bytes hex(std::string_view text) {
  return from_hex(text).value();
}

std::string derive(std::string_view key_material, std::string_view salt, std::string_view info) {
  return to_hex(hkdf_sha256(hex(key_material), hex(salt), hex(info)).expose());
}

// The vectors ask for 42 or 82 bytes; HKDF's output is a prefix code, so their first 32 are ours.
TEST(Hkdf, MatchesRfc5869AppendixA1) {
  EXPECT_EQ(
      derive("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9"),
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
}

TEST(Hkdf, MatchesRfc5869AppendixA2WithLongInputs) {
  std::string key_material;
  std::string salt;
  std::string info;
  for (int i = 0; i < 80; ++i) {
    const auto byte = [](int value) {
      const std::uint8_t raw = static_cast<std::uint8_t>(value);
      return to_hex({&raw, 1});
    };
    key_material += byte(i);
    salt += byte(0x60 + i);
    info += byte(0xb0 + i);
  }
  EXPECT_EQ(derive(key_material, salt, info), "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c");
}

TEST(Hkdf, MatchesRfc5869AppendixA3WithEmptySaltAndInfo) {
  EXPECT_EQ(derive("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", ""),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

}  // namespace
}  // namespace chorus::crypto
