#include "common/identity/chain.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/common/identity/authority_fixture.hpp"

namespace chorus::identity {
namespace {

class ChainTest : public ::testing::Test {
 protected:
  [[nodiscard]] Status verify_device(const Certificate& certificate, WallTime now = kNow) const {
    return verify(certificate, authority_.certificate, authority_.list(), now, SubjectKind::device);
  }

  TestAuthority authority_{51};
  const Certificate device_ = authority_.device();
  const Certificate coordinator_ = authority_.coordinator({"localhost", "127.0.0.1"});
};

TEST_F(ChainTest, TheAuthoritysWordHoldsForEachRole) {
  EXPECT_TRUE(verify_device(device_).has_value());
  EXPECT_TRUE(
      verify(coordinator_, authority_.certificate, authority_.list(), kNow, SubjectKind::coordinator).has_value());
  EXPECT_TRUE(verify(authority_.certificate, authority_.certificate, authority_.list(), kNow, SubjectKind::authority)
                  .has_value());
}

TEST_F(ChainTest, NoRoleStandsForAnother) {
  const RevocationList list = authority_.list();
  const auto role_of = [&](const Certificate& certificate, SubjectKind role) {
    return verify(certificate, authority_.certificate, list, kNow, role);
  };
  EXPECT_TRUE(fails_with(role_of(device_, SubjectKind::coordinator), ErrorCode::bad_certificate));
  EXPECT_TRUE(fails_with(role_of(device_, SubjectKind::authority), ErrorCode::bad_certificate));
  EXPECT_TRUE(fails_with(role_of(coordinator_, SubjectKind::device), ErrorCode::bad_certificate));
  EXPECT_TRUE(fails_with(role_of(authority_.certificate, SubjectKind::device), ErrorCode::bad_certificate));
  EXPECT_TRUE(fails_with(role_of(authority_.certificate, SubjectKind::coordinator), ErrorCode::bad_certificate));
}

TEST_F(ChainTest, ACertificateIsGoodFromItsFirstSecondUntilItsLast) {
  const Certificate device = authority_.device({kNow + 1h, kNow + 2h});
  EXPECT_TRUE(fails_with(verify_device(device, kNow + 1h - 1s), ErrorCode::not_yet_valid));
  EXPECT_TRUE(verify_device(device, kNow + 1h).has_value());
  EXPECT_TRUE(verify_device(device, kNow + 2h - 1s).has_value());
  EXPECT_TRUE(fails_with(verify_device(device, kNow + 2h), ErrorCode::expired));
}

TEST_F(ChainTest, TheErrorSaysWhoseCertificateAndWhen) {
  const Certificate device = authority_.device({kNow, kNow + 2h});
  const Status status = verify_device(device, kNow + 3h);
  EXPECT_EQ(status.error().where(), "certificate of device " + to_string(*device.info().device));
  EXPECT_EQ(status.error().sentence(), "expired on 2024-01-01T02:00:00Z");
}

TEST_F(ChainTest, ARevokedCertificateIsRevoked) {
  const RevocationList list = authority_.list({revocation_of(device_), revocation_of(coordinator_)});
  EXPECT_TRUE(fails_with(verify(device_, authority_.certificate, list, kNow, SubjectKind::device), ErrorCode::revoked));
  EXPECT_TRUE(fails_with(verify(coordinator_, authority_.certificate, list, kNow, SubjectKind::coordinator),
                         ErrorCode::revoked));
  EXPECT_TRUE(verify(authority_.device(), authority_.certificate, list, kNow, SubjectKind::device).has_value());
}

TEST_F(ChainTest, AForeignAuthoritysCertificateIsBad) {
  TestAuthority foreign(52);
  EXPECT_TRUE(fails_with(verify_device(foreign.device()), ErrorCode::bad_certificate));
  EXPECT_TRUE(fails_with(verify(device_, foreign.certificate, foreign.list(), kNow, SubjectKind::device),
                         ErrorCode::bad_certificate));
}

TEST_F(ChainTest, AForeignAuthorityWithOurNameIsBad) {
  TestAuthority foreign(53);
  const Certificate namesake = make_authority_certificate(foreign.key, authority_.certificate.info().serial,
                                                          authority_.certificate.info().validity)
                                   .value();
  const Certificate device =
      make_device_certificate(device_.info().key, *device_.info().device, random_serial(foreign.random),
                              {kNow, kNow + 24h}, {namesake, foreign.key})
          .value();
  EXPECT_TRUE(fails_with(verify_device(device), ErrorCode::bad_certificate));
}

TEST_F(ChainTest, AForeignAuthoritysListIsBad) {
  TestAuthority foreign(54);
  EXPECT_TRUE(fails_with(verify(device_, authority_.certificate, foreign.list(), kNow, SubjectKind::device),
                         ErrorCode::bad_certificate));
}

TEST_F(ChainTest, AChangedSignatureIsBad) {
  Bytes der = device_.der();
  der.back() = static_cast<std::uint8_t>(der.back() ^ 1);
  EXPECT_TRUE(fails_with(verify_device(Certificate::from_der(der).value()), ErrorCode::bad_certificate));
}

TEST_F(ChainTest, AnotherDevicesNameUnderTheSameSignatureIsBad) {
  Bytes der = device_.der();
  const std::string urn = to_urn(*device_.info().device);
  const auto found = std::ranges::search(der, as_bytes(urn));
  ASSERT_FALSE(found.empty());
  found.back() = found.back() == '0' ? '1' : '0';
  const Certificate changed = Certificate::from_der(der).value();
  ASSERT_NE(changed.info().device, device_.info().device);
  EXPECT_TRUE(fails_with(verify_device(changed), ErrorCode::bad_certificate));
}

TEST_F(ChainTest, AListThatIsOutOfDateProvesNothing) {
  const RevocationList list = authority_.list({}, kNow, kNow + 24h);
  const auto at = [&](WallTime now) {
    return verify(authority_.device({kNow - 24h, kNow + 24h * 365}), authority_.certificate, list, now,
                  SubjectKind::device);
  };
  EXPECT_TRUE(fails_with(at(kNow - 1s), ErrorCode::not_yet_valid));
  EXPECT_TRUE(at(kNow).has_value());
  EXPECT_TRUE(fails_with(at(kNow + 24h), ErrorCode::expired));
  EXPECT_EQ(at(kNow + 24h).error().where(), "revocation list");
}

TEST_F(ChainTest, AnExpiredAuthorityEndsItsCertificates) {
  TestAuthority old(55, {kNow - 24h, kNow + 1h});
  const Certificate device = old.device();
  EXPECT_TRUE(verify(device, old.certificate, old.list(), kNow, SubjectKind::device).has_value());
  const Status status = verify(device, old.certificate, old.list(), kNow + 1h, SubjectKind::device);
  EXPECT_TRUE(fails_with(status, ErrorCode::expired));
  EXPECT_EQ(status.error().where(), "the authority's certificate");
}

// A device's key must not sign certificates: path length 0 and the missing CA bit.
TEST_F(ChainTest, ADeviceIsNoAuthority) {
  EXPECT_EQ(ChainVerifier::create(device_, authority_.list()).error().code(), ErrorCode::bad_certificate);
}

TEST_F(ChainTest, OneVerifierAnswersManyTimes) {
  const ChainVerifier verifier =
      ChainVerifier::create(authority_.certificate, authority_.list({revocation_of(device_)})).value();
  const Certificate another = authority_.device();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(fails_with(verifier.verify(device_, kNow, SubjectKind::device), ErrorCode::revoked));
    EXPECT_TRUE(verifier.verify(another, kNow, SubjectKind::device).has_value());
  }
}

}  // namespace
}  // namespace chorus::identity
