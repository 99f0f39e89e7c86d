#include "common/identity/revocation_list.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/common/identity/authority_fixture.hpp"

namespace chorus::identity {
namespace {

ErrorCode code_of(const Result<RevocationList>& list) {
  return list.has_value() ? ErrorCode::aborted : list.error().code();
}

class RevocationListTest : public ::testing::Test {
 protected:
  TestAuthority authority_{41};
  const Certificate device_ = authority_.device();
  const Certificate coordinator_ = authority_.coordinator({"localhost"});
};

TEST_F(RevocationListTest, SaysWhatItWasGiven) {
  const std::vector<RevokedCertificate> entries = {revocation_of(device_, kNow - 1h), revocation_of(coordinator_)};
  const auto list = make_revocation_list(entries, 77, kNow, kNow + 24h, authority_.issuer());
  ASSERT_TRUE(list.has_value()) << list.error().to_string();
  EXPECT_EQ(list->number(), 77U);
  EXPECT_EQ(list->this_update(), kNow);
  EXPECT_EQ(list->next_update(), kNow + 24h);
  std::vector<RevokedCertificate> sorted = entries;
  std::ranges::sort(sorted);
  EXPECT_EQ(list->entries(), sorted);
}

TEST_F(RevocationListTest, IsReadFromItsPemAndItsDer) {
  const RevocationList list = authority_.list({revocation_of(device_)});
  EXPECT_EQ(RevocationList::from_pem(list.pem()).value(), list);
  EXPECT_EQ(RevocationList::from_der(list.der()).value().entries(), list.entries());
}

TEST_F(RevocationListTest, ContainsWhatWasRevokedAndNothingElse) {
  const RevocationList list = authority_.list({revocation_of(device_)});
  EXPECT_TRUE(list.contains(device_.info().serial));
  EXPECT_FALSE(list.contains(coordinator_.info().serial));
  EXPECT_FALSE(authority_.list().contains(device_.info().serial));
}

TEST_F(RevocationListTest, RevokesTheStatementsOfARevokedKey) {
  IdentityStatement statement;
  statement.id = *device_.info().device;
  statement.key = device_.info().key;
  EXPECT_TRUE(authority_.list({revocation_of(device_)}).revokes(statement));
  EXPECT_FALSE(authority_.list({revocation_of(coordinator_)}).revokes(statement));
  // The same device after it lost that key and got another.
  statement.key[0] ^= 1;
  EXPECT_FALSE(authority_.list({revocation_of(device_)}).revokes(statement));
}

TEST_F(RevocationListTest, IsInForceFromItsDateUntilTheNext) {
  const RevocationList list = authority_.list({}, kNow, kNow + 24h);
  EXPECT_TRUE(fails_with(check(list, authority_.certificate, kNow - 1s), ErrorCode::not_yet_valid));
  EXPECT_TRUE(check(list, authority_.certificate, kNow).has_value());
  EXPECT_TRUE(check(list, authority_.certificate, kNow + 24h - 1s).has_value());
  EXPECT_TRUE(fails_with(check(list, authority_.certificate, kNow + 24h), ErrorCode::expired));
}

TEST_F(RevocationListTest, AnotherAuthoritysIsABadCertificate) {
  TestAuthority another(42);
  EXPECT_TRUE(fails_with(check(authority_.list(), another.certificate, kNow), ErrorCode::bad_certificate));
  // Another authority with our name: only the signature tells.
  TestAuthority namesake(43);
  const Serial serial = authority_.certificate.info().serial;
  const Certificate same_name =
      make_authority_certificate(namesake.key, serial, authority_.certificate.info().validity).value();
  EXPECT_TRUE(fails_with(check(authority_.list(), same_name, kNow), ErrorCode::bad_certificate));
  EXPECT_TRUE(fails_with(check(authority_.list(), device_, kNow), ErrorCode::bad_certificate));
}

TEST_F(RevocationListTest, AChangedListIsABadCertificate) {
  const RevocationList list = authority_.list({revocation_of(device_)});
  Bytes der = list.der();
  const auto found = std::ranges::search(der, device_.info().serial);
  ASSERT_FALSE(found.empty());
  found.back() = static_cast<std::uint8_t>(found.back() ^ 1);
  const auto changed = RevocationList::from_der(der);
  ASSERT_TRUE(changed.has_value());
  EXPECT_FALSE(changed->contains(device_.info().serial));
  EXPECT_TRUE(fails_with(check(*changed, authority_.certificate, kNow), ErrorCode::bad_certificate));
}

TEST_F(RevocationListTest, WhatIsNoListIsRefused) {
  EXPECT_EQ(code_of(RevocationList::from_pem("")), ErrorCode::malformed);
  EXPECT_EQ(code_of(RevocationList::from_pem(device_.pem())), ErrorCode::malformed);
  const Bytes der = authority_.list({revocation_of(device_)}).der();
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_EQ(code_of(RevocationList::from_der(ByteView(der).first(size))), ErrorCode::bad_certificate) << size;
  }
  EXPECT_EQ(code_of(RevocationList::from_der(device_.der())), ErrorCode::bad_certificate);
  EXPECT_EQ(code_of(RevocationList::from_der(Bytes((16 << 20) + 1))), ErrorCode::too_large);
}

TEST_F(RevocationListTest, NoChangedByteStopsTheReader) {
  const Bytes der = authority_.list({revocation_of(device_)}).der();
  for (std::size_t position = 0; position < der.size(); ++position) {
    for (const std::uint8_t mask : {std::uint8_t{0x01}, std::uint8_t{0x80}, std::uint8_t{0xff}}) {
      Bytes changed = der;
      changed[position] = static_cast<std::uint8_t>(changed[position] ^ mask);
      const auto list = RevocationList::from_der(changed);
      if (list) {
        EXPECT_FALSE(check(*list, authority_.certificate, kNow).has_value()) << position;
      }
    }
  }
}

TEST_F(RevocationListTest, DatesThatAreEmptyOrLeaveTheCalendarAreRefused) {
  const auto with = [this](WallTime from, WallTime until) {
    return make_revocation_list({}, 1, from, until, authority_.issuer());
  };
  EXPECT_EQ(code_of(with(kNow, kNow)), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(with(kNow, WallTime::max())), ErrorCode::invalid_argument);
  RevokedCertificate entry = revocation_of(device_, WallTime::max());
  EXPECT_EQ(code_of(make_revocation_list({&entry, 1}, 1, kNow, kNow + 1s, authority_.issuer())),
            ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace chorus::identity
