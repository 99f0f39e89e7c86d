// A device's folder as chorus-certs makes it, and every way in which its parts may not belong together.
#include "client/round/membership.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/identity/private_key_pem.hpp"
#include "tests/client/round/fake_coordinator.hpp"

namespace chorus::client {
namespace {

using testing::Authority;
using testing::kToday;

struct Folder {
  Bytes statement;
  crypto::ZeroizingBytes key;
  std::string authority;
  std::string list;
};

class MembershipTest : public ::testing::Test {
 protected:
  MembershipTest()
      : random(5), key(crypto::SigningKey::generate(random)), other_key(crypto::SigningKey::generate(random)) {}
  Folder folder() const {
    return {.statement = identity::encode(authority.enrol(testing::device_id(1), key.public_key())),
            .key = identity::private_key_pem(key),
            .authority = authority.certificate().pem(),
            .list = authority.revocations(4).pem()};
  }
  static auto read(const Folder& folder, WallTime now = kToday) {
    return Membership::read(folder.statement, folder.key, folder.authority, folder.list, now);
  }
  static void expect_refused(const Folder& folder, ErrorCode code, std::string_view document, WallTime now = kToday) {
    const auto membership = read(folder, now);
    ASSERT_FALSE(membership) << document;
    EXPECT_EQ(membership.error().code(), code) << membership.error().to_string();
    EXPECT_THAT(membership.error().where(), ::testing::StartsWith(std::string(document)));
    EXPECT_EQ(membership.error().where().find(document, 1), std::string::npos) << "named once";
  }
  ErrorCode refusal_of(ByteView list, WallTime now = kToday) const {
    const auto membership = read(folder());
    const auto accepted = (*membership)->accept_revocations(list, now);
    return accepted ? ErrorCode::already_exists : accepted.error().code();
  }
  Authority authority;
  sim::SeededRandom random;
  crypto::SigningKey key;
  crypto::SigningKey other_key;
};

TEST_F(MembershipTest, AWholeFolderIsRead) {
  const auto membership = read(folder());
  ASSERT_TRUE(membership) << membership.error().to_string();
  EXPECT_EQ((*membership)->statement().id, testing::device_id(1));
  EXPECT_EQ((*membership)->key().public_key(), key.public_key());
  EXPECT_EQ((*membership)->authority(), authority.certificate());
}

TEST_F(MembershipTest, APartThatDoesNotParseIsNamed) {
  Folder each = folder();
  each.statement.pop_back();
  expect_refused(each, ErrorCode::malformed, "identity statement");
  each = folder();
  each.key.resize(20);
  expect_refused(each, ErrorCode::malformed, "device's key");
  each = folder();
  each.authority = "no certificate";
  expect_refused(each, ErrorCode::malformed, "authority's certificate");
  each = folder();
  each.list.clear();
  expect_refused(each, ErrorCode::malformed, "revocation list");
}

TEST_F(MembershipTest, AStatementForAnotherKeyIsRefused) {
  Folder each = folder();
  each.key = identity::private_key_pem(other_key);
  expect_refused(each, ErrorCode::bad_identity, "identity statement");
}

TEST_F(MembershipTest, AStatementOfAnotherAuthorityIsRefused) {
  Folder each = folder();
  each.statement = identity::encode(Authority(8).enrol(testing::device_id(1), key.public_key()));
  expect_refused(each, ErrorCode::bad_identity, "identity statement");
}

TEST_F(MembershipTest, AListOfAnotherAuthorityIsRefused) {
  Folder each = folder();
  each.list = Authority(8).revocations(4).pem();
  expect_refused(each, ErrorCode::bad_certificate, "revocation list");
}

TEST_F(MembershipTest, WhatIsOutOfDateIsRefused) {
  expect_refused(folder(), ErrorCode::expired, "revocation list", kToday + 24h);
  expect_refused(folder(), ErrorCode::not_yet_valid, "revocation list", kToday - 2h);
  Folder each = folder();
  each.list = authority.revocations(4, {}, kToday - 1h, kToday + 1000h).pem();
  expect_refused(each, ErrorCode::expired, "identity statement", kToday + 240h);
}

TEST_F(MembershipTest, ARevokedDeviceIsToldSo) {
  Folder each = folder();
  each.list = authority.revocations(5, {{.id = testing::device_id(1), .key = key.public_key()}}).pem();
  expect_refused(each, ErrorCode::revoked, "identity statement");
  each.list = authority.revocations(5, {{.id = testing::device_id(1), .key = other_key.public_key()}}).pem();
  EXPECT_TRUE(read(each)) << "an earlier key of the device was revoked, not this one";
}

TEST_F(MembershipTest, ThePlansListIsTakenIfItIsAsNewAsTheDevicesOwn) {
  const auto membership = read(folder());
  for (const std::uint64_t number : {4U, 5U, 99U}) {
    const auto list = (*membership)->accept_revocations(authority.revocations(number).der(), kToday);
    ASSERT_TRUE(list) << list.error().to_string();
    EXPECT_EQ(list->number(), number);
  }
  EXPECT_EQ(refusal_of(authority.revocations(3).der()), ErrorCode::stale_round);
}

TEST_F(MembershipTest, ThePlansListIsThisAuthoritysAndInForce) {
  EXPECT_EQ(refusal_of(Authority(8).revocations(5).der()), ErrorCode::bad_certificate);
  EXPECT_EQ(refusal_of(authority.revocations(5).der(), kToday + 24h), ErrorCode::expired);
  EXPECT_EQ(refusal_of(authority.revocations(5).der(), kToday - 2h), ErrorCode::not_yet_valid);
  EXPECT_EQ(refusal_of(Bytes{}), ErrorCode::bad_certificate);
  Bytes forged = authority.revocations(5).der();
  forged.back() ^= 1;
  EXPECT_EQ(refusal_of(forged), ErrorCode::bad_certificate);
}

}  // namespace
}  // namespace chorus::client
