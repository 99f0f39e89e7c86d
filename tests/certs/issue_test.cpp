#include "certs/authority/issue.hpp"

#include <gtest/gtest.h>

#include "common/identity/chain.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/certs/temporary_folder.hpp"

namespace chorus::certs {
namespace {

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  return result.has_value() ? ErrorCode::aborted : result.error().code();
}

class IssueTest : public ::testing::Test {
 protected:
  [[nodiscard]] Status verify(const identity::Certificate& certificate, WallTime now,
                              identity::SubjectKind role) const {
    const auto list = sign_revocation_list(signer_, {}, 1, now, Days(1)).value();
    return identity::verify(certificate, signer_.certificate, list, now, role);
  }

  sim::SeededRandom random_{71};
  const Signer signer_ = found_authority(kNow, kAuthorityLifetime, random_).value();
  const std::vector<identity::HostName> hosts_ =
      parse_hosts(std::vector<std::string>{"localhost", "127.0.0.1"}).value();
};

TEST_F(IssueTest, AnEnrolledDeviceIsGoodAtOnceAndForAClockFiveMinutesSlow) {
  const Device device = enrol_device(signer_, kNow + 1h, Days(30), random_).value();
  for (const WallTime now : {kNow + 1h - 5min, kNow + 1h, kNow + 1h + Days(30) - 1s}) {
    EXPECT_TRUE(verify(device.certificate, now, identity::SubjectKind::device).has_value());
    EXPECT_TRUE(identity::check(device.statement, signer_.key.public_key(), now).has_value());
  }
}

TEST_F(IssueTest, TheStatementSaysWhatTheCertificateSays) {
  const Device device = enrol_device(signer_, kNow, Days(30), random_).value();
  const identity::CertificateInfo& info = device.certificate.info();
  EXPECT_EQ(device.statement.id, info.device);
  EXPECT_EQ(device.statement.key, info.key);
  EXPECT_EQ(device.statement.key, device.key.public_key());
  EXPECT_EQ(device.statement.expires_at, info.validity.not_after);
  EXPECT_EQ(device.statement.enrolled_at, info.validity.not_before);
}

TEST_F(IssueTest, ARenewedDeviceKeepsItsEnrolmentDate) {
  const Device device = enrol_device(signer_, kNow, Days(30), random_).value();
  const DeviceWord word = vouch_for_device(signer_, device.statement.id, device.statement.key,
                                           device.statement.enrolled_at, kNow + Days(20), Days(30), random_)
                              .value();
  EXPECT_EQ(word.statement.enrolled_at, device.statement.enrolled_at);
  EXPECT_EQ(word.statement.expires_at, kNow + Days(50));
  EXPECT_NE(word.certificate.info().serial, device.certificate.info().serial);
}

TEST_F(IssueTest, ACoordinatorIsGoodUnderItsHosts) {
  const Coordinator coordinator = issue_coordinator(signer_, hosts_, kNow, Days(90), random_).value();
  EXPECT_TRUE(verify(coordinator.certificate, kNow, identity::SubjectKind::coordinator).has_value());
  EXPECT_EQ(coordinator.certificate.info().hosts, hosts_);
  EXPECT_EQ(coordinator.certificate.info().key, coordinator.key.public_key());
}

TEST_F(IssueTest, HostsAreReadOnceEach) {
  const auto hosts = parse_hosts(std::vector<std::string>{"A.example", "a.EXAMPLE", "::1", "0::1"});
  ASSERT_TRUE(hosts.has_value());
  EXPECT_EQ(hosts->size(), 2U);
  EXPECT_EQ(code_of(parse_hosts({})), ErrorCode::invalid_argument);
  const auto bad = parse_hosts(std::vector<std::string>{"good.example", "not good"});
  EXPECT_EQ(code_of(bad), ErrorCode::invalid_argument);
  EXPECT_EQ(bad.error().where(), "host 'not good'");
}

TEST_F(IssueTest, ALifetimeIsOneDayToAHundredYearsAndEndsWithTheAuthority) {
  for (const Days lifetime : {Days(0), Days(-1), Days(36'501), Days::max(), Days::min()}) {
    EXPECT_EQ(code_of(found_authority(kNow, lifetime, random_)), ErrorCode::invalid_argument) << lifetime.count();
    EXPECT_EQ(code_of(enrol_device(signer_, kNow, lifetime, random_)), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(issue_coordinator(signer_, hosts_, kNow, lifetime, random_)), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(sign_revocation_list(signer_, {}, 1, kNow, lifetime)), ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(enrol_device(signer_, kNow, kAuthorityLifetime, random_).has_value());
  const auto longer = enrol_device(signer_, kNow + 24h, kAuthorityLifetime, random_);
  EXPECT_EQ(code_of(longer), ErrorCode::invalid_argument);
  EXPECT_NE(longer.error().sentence().find("outlive"), std::string::npos);
}

TEST_F(IssueTest, AnAuthorityThatEndedOrHasNotBegunIssuesNothing) {
  EXPECT_EQ(code_of(enrol_device(signer_, kNow + kAuthorityLifetime, Days(1), random_)), ErrorCode::expired);
  EXPECT_EQ(code_of(issue_coordinator(signer_, hosts_, kNow + kAuthorityLifetime, Days(1), random_)),
            ErrorCode::expired);
  EXPECT_EQ(code_of(sign_revocation_list(signer_, {}, 1, kNow - 6min, Days(1))), ErrorCode::not_yet_valid);
}

}  // namespace
}  // namespace chorus::certs
