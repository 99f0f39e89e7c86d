#include "common/identity/identity_statement.hpp"

#include <gtest/gtest.h>

#include "tests/common/identity/authority_fixture.hpp"

namespace chorus::identity {
namespace {

class IdentityStatementTest : public ::testing::Test {
 protected:
  static IdentityStatement unsigned_statement(sim::SeededRandom& random) {
    IdentityStatement statement;
    statement.id.bytes = random.array<16>();
    statement.key = crypto::SigningKey::generate(random).public_key();
    statement.enrolled_at = kNow;
    statement.expires_at = kNow + 24h;
    return statement;
  }

  [[nodiscard]] Status check_at(const IdentityStatement& statement, WallTime now) const {
    return check(statement, authority_.public_key(), now);
  }

  sim::SeededRandom random_{11};
  const crypto::SigningKey authority_ = crypto::SigningKey::generate(random_);
  const IdentityStatement statement_ = sign(unsigned_statement(random_), authority_);
};

TEST_F(IdentityStatementTest, ItsBytesAreTheDocumentedOnes) {
  IdentityStatement statement;
  statement.id.bytes.fill(0x11);
  statement.key.fill(0x22);
  statement.authority_key.fill(0x33);
  statement.enrolled_at = WallTime(std::chrono::seconds(0x0102030405));
  statement.expires_at = WallTime(std::chrono::seconds(0x0102030406));
  statement.signature.fill(0x44);
  ByteWriter expected;
  expected.raw(from_hex("43484f5249440100").value());
  expected.raw(Bytes(16, 0x11));
  expected.raw(Bytes(32, 0x22));
  expected.raw(Bytes(32, 0x33));
  expected.raw(from_hex("0504030201000000").value());
  expected.raw(from_hex("0604030201000000").value());
  expected.raw(Bytes(64, 0x44));
  EXPECT_EQ(to_hex(encode(statement)), to_hex(expected.view()));
}

TEST_F(IdentityStatementTest, IsReadFromWhatItIsWrittenAs) {
  const Bytes bytes = encode(statement_);
  EXPECT_EQ(bytes.size(), 168U);
  EXPECT_EQ(decode_identity_statement(bytes).value(), statement_);
}

TEST_F(IdentityStatementTest, EveryTruncationAndAnythingAfterItIsMalformed) {
  Bytes bytes = encode(statement_);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = decode_identity_statement(ByteView(bytes).first(size));
    ASSERT_FALSE(decoded.has_value()) << size;
    EXPECT_EQ(decoded.error().code(), ErrorCode::malformed) << size;
  }
  bytes.push_back(0);
  EXPECT_EQ(decode_identity_statement(bytes).error().code(), ErrorCode::malformed);
}

TEST_F(IdentityStatementTest, AnotherVersionIsRefusedAsSuch) {
  Bytes bytes = encode(statement_);
  bytes[6] = 2;
  EXPECT_EQ(decode_identity_statement(bytes).error().code(), ErrorCode::unsupported_version);
}

TEST_F(IdentityStatementTest, AnotherBeginningIsMalformed) {
  for (const std::size_t position : {std::size_t{0}, std::size_t{5}, std::size_t{7}}) {
    Bytes bytes = encode(statement_);
    bytes[position] ^= 1;
    EXPECT_EQ(decode_identity_statement(bytes).error().code(), ErrorCode::malformed) << position;
  }
}

TEST_F(IdentityStatementTest, DatesThatNoCalendarHasOrThatAreInTheWrongOrderAreMalformed) {
  IdentityStatement backwards = statement_;
  backwards.expires_at = backwards.enrolled_at;
  EXPECT_EQ(decode_identity_statement(encode(backwards)).error().code(), ErrorCode::malformed);
  IdentityStatement far = statement_;
  far.expires_at = WallTime(std::chrono::seconds(INT64_MAX));
  EXPECT_EQ(decode_identity_statement(encode(far)).error().code(), ErrorCode::malformed);
  IdentityStatement early = statement_;
  early.enrolled_at = WallTime(std::chrono::seconds(-1));
  EXPECT_EQ(decode_identity_statement(encode(early)).error().code(), ErrorCode::malformed);
}

TEST_F(IdentityStatementTest, IsGoodFromItsEnrolmentUntilItsExpiry) {
  EXPECT_TRUE(fails_with(check_at(statement_, kNow - 1s), ErrorCode::not_yet_valid));
  EXPECT_TRUE(check_at(statement_, kNow).has_value());
  EXPECT_TRUE(check_at(statement_, kNow + 24h - 1s).has_value());
  EXPECT_TRUE(fails_with(check_at(statement_, kNow + 24h), ErrorCode::expired));
}

TEST_F(IdentityStatementTest, AnotherAuthoritysIsABadIdentity) {
  const crypto::SigningKey another = crypto::SigningKey::generate(random_);
  EXPECT_TRUE(fails_with(check(statement_, another.public_key(), kNow), ErrorCode::bad_identity));
  // One that only claims to be ours.
  IdentityStatement forged = sign(statement_, another);
  forged.authority_key = authority_.public_key();
  EXPECT_TRUE(fails_with(check_at(forged, kNow), ErrorCode::bad_identity));
}

TEST_F(IdentityStatementTest, EveryFlippedBitOfWhatIsSignedIsABadIdentity) {
  const Bytes bytes = encode(statement_);
  for (std::size_t position = 8; position < bytes.size(); ++position) {
    Bytes changed = bytes;
    changed[position] ^= 1;
    const auto decoded = decode_identity_statement(changed);
    if (!decoded) continue;  // a date out of range: refused before its signature is asked for
    EXPECT_TRUE(fails_with(check_at(*decoded, kNow), ErrorCode::bad_identity)) << position;
  }
}

TEST_F(IdentityStatementTest, AnExpiredForgeryIsABadIdentityAndNotExpired) {
  IdentityStatement forged = statement_;
  forged.expires_at = kNow - 1s;
  EXPECT_TRUE(fails_with(check_at(forged, kNow), ErrorCode::bad_identity));
}

}  // namespace
}  // namespace chorus::identity
