#include "common/identity/private_key_pem.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::identity {
namespace {

ErrorCode code_of(const Result<crypto::SigningKey>& key) {
  return key.has_value() ? ErrorCode::aborted : key.error().code();
}

class PrivateKeyPemTest : public ::testing::Test {
 protected:
  sim::SeededRandom random_{21};
  const crypto::SigningKey key_ = crypto::SigningKey::generate(random_);
};

// RFC 8410 section 10.3, without the attributes: seed and public key.
TEST_F(PrivateKeyPemTest, TheExampleOfRfc8410IsRead) {
  const auto key =
      parse_private_key_pem(as_bytes("-----BEGIN PRIVATE KEY-----\n"
                                     "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                                     "-----END PRIVATE KEY-----\n"));
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(to_hex(key->public_key()), "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
}

TEST_F(PrivateKeyPemTest, IsReadFromWhatItIsWrittenAs) {
  const auto pem = private_key_pem(key_);
  const std::string_view text(reinterpret_cast<const char*>(pem.data()), pem.size());
  EXPECT_TRUE(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
  EXPECT_EQ(parse_private_key_pem(pem).value().seed(), key_.seed());
}

TEST_F(PrivateKeyPemTest, APassphraseOpensWhatItClosed) {
  const auto pem = private_key_pem(key_, as_bytes("correct horse"), random_);
  const std::string_view text(reinterpret_cast<const char*>(pem.data()), pem.size());
  EXPECT_TRUE(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
  EXPECT_EQ(parse_private_key_pem(pem, as_bytes("correct horse")).value().seed(), key_.seed());
  EXPECT_EQ(code_of(parse_private_key_pem(pem, as_bytes("wrong horse"))), ErrorCode::bad_key);
  EXPECT_EQ(code_of(parse_private_key_pem(pem)), ErrorCode::bad_key);
  EXPECT_EQ(code_of(parse_private_key_pem(pem, as_bytes(std::string(100'000, 'x')))), ErrorCode::bad_key);
}

TEST_F(PrivateKeyPemTest, AnotherKindOfKeyIsABadKey) {
  // An X25519 key of 32 zero bytes (RFC 8410: OID 1.3.101.110).
  const auto key =
      parse_private_key_pem(as_bytes("-----BEGIN PRIVATE KEY-----\n"
                                     "MC4CAQAwBQYDK2VuBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                                     "-----END PRIVATE KEY-----\n"));
  EXPECT_EQ(code_of(key), ErrorCode::bad_key);
}

TEST_F(PrivateKeyPemTest, WhatIsNoKeyIsMalformed) {
  EXPECT_EQ(code_of(parse_private_key_pem({})), ErrorCode::malformed);
  EXPECT_EQ(code_of(parse_private_key_pem(as_bytes("hello"))), ErrorCode::malformed);
  EXPECT_EQ(code_of(parse_private_key_pem(as_bytes("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))),
            ErrorCode::malformed);
  EXPECT_EQ(code_of(parse_private_key_pem(as_bytes("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))),
            ErrorCode::malformed);
  auto cut = private_key_pem(key_);
  cut.resize(cut.size() / 2);
  EXPECT_EQ(code_of(parse_private_key_pem(cut)), ErrorCode::malformed);
  EXPECT_EQ(code_of(parse_private_key_pem(Bytes(20'000, 'A'))), ErrorCode::too_large);
}

}  // namespace
}  // namespace chorus::identity
