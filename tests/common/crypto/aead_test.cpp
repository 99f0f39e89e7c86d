#include "common/crypto/aead.hpp"

#include <gtest/gtest.h>

namespace chorus::crypto {
namespace {

// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14: zero key, zero nonce.
TEST(Aead, MatchesTheGcmTestCasesWithZeroKeyAndNonce) {
  const SecretBytes<32> key;
  EXPECT_EQ(to_hex(seal_once(key, {}, {})), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(to_hex(seal_once(key, {}, Bytes(16))), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

class SealedMessage : public ::testing::Test {
 protected:
  static constexpr ByteArray<32> kRawKey = {7, 7, 7};
  SecretBytes<32> key{std::span<const std::uint8_t, 32>(kRawKey)};
  Bytes associated = {1, 2, 3};
  Bytes plaintext = {9, 8, 7, 6};
  Bytes sealed = seal_once(key, associated, plaintext);
};

TEST_F(SealedMessage, OpensUnderItsKeyAndAssociatedData) {
  const auto opened = open_once(key, associated, sealed);
  ASSERT_TRUE(opened.has_value());
  EXPECT_TRUE(std::equal(opened->begin(), opened->end(), plaintext.begin(), plaintext.end()));
}

TEST_F(SealedMessage, IsRefusedAfterAnyChangedBit) {
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes changed = sealed;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    const auto opened = open_once(key, associated, changed);
    ASSERT_FALSE(opened.has_value()) << bit;
    EXPECT_EQ(opened.error().code(), ErrorCode::share_not_authentic);
  }
}

TEST_F(SealedMessage, IsRefusedUnderOtherAssociatedData) {
  EXPECT_FALSE(open_once(key, Bytes{1, 2, 4}, sealed).has_value());
  EXPECT_FALSE(open_once(key, {}, sealed).has_value());
}

TEST_F(SealedMessage, IsRefusedUnderAnotherKey) {
  EXPECT_FALSE(open_once(SecretBytes<32>{}, associated, sealed).has_value());
}

TEST_F(SealedMessage, IsRefusedWhenCutShort) {
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(open_once(key, associated, ByteView(sealed).first(size)).has_value()) << size;
  }
}

}  // namespace
}  // namespace chorus::crypto
