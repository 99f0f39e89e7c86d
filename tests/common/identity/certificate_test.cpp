#include "common/identity/certificate.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/common/identity/authority_fixture.hpp"

namespace chorus::identity {
namespace {

ErrorCode code_of(const Result<Certificate>& certificate) {
  return certificate.has_value() ? ErrorCode::aborted : certificate.error().code();
}

class CertificateTest : public ::testing::Test {
 protected:
  TestAuthority authority_{31};
};

TEST_F(CertificateTest, AnAuthoritysSaysWhatItWasGiven) {
  const CertificateInfo& info = authority_.certificate.info();
  EXPECT_EQ(info.kind, SubjectKind::authority);
  EXPECT_EQ(info.key, authority_.key.public_key());
  EXPECT_EQ(info.validity, (Validity{kNow - 24h, kNow + 24h * 3650}));
  EXPECT_FALSE(info.device.has_value());
  EXPECT_TRUE(info.hosts.empty());
}

TEST_F(CertificateTest, ACoordinatorsSaysItsHosts) {
  const Certificate certificate = authority_.coordinator({"Chorus.example", "localhost", "127.0.0.1", "::1"});
  const CertificateInfo& info = certificate.info();
  EXPECT_EQ(info.kind, SubjectKind::coordinator);
  ASSERT_EQ(info.hosts.size(), 4U);
  EXPECT_EQ(info.hosts[0], parse_host_name("chorus.example").value());
  EXPECT_EQ(info.hosts[1], parse_host_name("localhost").value());
  EXPECT_EQ(info.hosts[2], parse_host_name("127.0.0.1").value());
  EXPECT_EQ(info.hosts[3], parse_host_name("::1").value());
  EXPECT_FALSE(info.device.has_value());
}

TEST_F(CertificateTest, ADevicesSaysItsIdKeySerialAndValidity) {
  const DeviceId id{authority_.random.array<16>()};
  const crypto::PublicKey key = crypto::SigningKey::generate(authority_.random).public_key();
  const Serial serial = random_serial(authority_.random);
  const Validity validity{kNow + 1s, kNow + 24h * 20'000};  // beyond 2049: the other ASN.1 time type
  const auto certificate = make_device_certificate(key, id, serial, validity, authority_.issuer());
  ASSERT_TRUE(certificate.has_value());
  EXPECT_EQ(certificate->info(), (CertificateInfo{SubjectKind::device, id, {}, validity, serial, key}));
}

TEST_F(CertificateTest, IsReadFromItsPemAndItsDer) {
  for (const Certificate& certificate :
       {authority_.certificate, authority_.coordinator({"localhost"}), authority_.device()}) {
    const auto from_pem = Certificate::from_pem("a line that says whose it is\n" + certificate.pem() + "\n\n");
    ASSERT_TRUE(from_pem.has_value()) << from_pem.error().to_string();
    EXPECT_EQ(*from_pem, certificate);
    EXPECT_EQ(from_pem->info(), certificate.info());
    EXPECT_EQ(Certificate::from_der(certificate.der()).value().info(), certificate.info());
  }
}

TEST_F(CertificateTest, SerialsAreSixteenBytesPositiveAndDifferent) {
  Serial previous{};
  for (int i = 0; i < 100; ++i) {
    const Serial serial = random_serial(authority_.random);
    EXPECT_EQ(serial[0] & 0xc0, 0x40);
    EXPECT_NE(serial, previous);
    previous = serial;
  }
}

TEST_F(CertificateTest, APemThatIsNotOneCertificateIsMalformed) {
  const std::string pem = authority_.certificate.pem();
  EXPECT_EQ(code_of(Certificate::from_pem("")), ErrorCode::malformed);
  EXPECT_EQ(code_of(Certificate::from_pem("hello")), ErrorCode::malformed);
  EXPECT_EQ(code_of(Certificate::from_pem(pem + pem)), ErrorCode::malformed);
  EXPECT_EQ(code_of(Certificate::from_pem(pem + "more")), ErrorCode::malformed);
  EXPECT_EQ(code_of(Certificate::from_pem(pem.substr(0, pem.size() / 2))), ErrorCode::malformed);
  EXPECT_EQ(code_of(Certificate::from_pem(authority_.list().pem())), ErrorCode::malformed);
  EXPECT_EQ(code_of(Certificate::from_pem(std::string(20'000, ' ') + pem)), ErrorCode::too_large);
}

TEST_F(CertificateTest, EveryTruncationAndAnythingAfterItIsABadCertificate) {
  Bytes der = authority_.device().der();
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_EQ(code_of(Certificate::from_der(ByteView(der).first(size))), ErrorCode::bad_certificate) << size;
  }
  der.push_back(0);
  EXPECT_EQ(code_of(Certificate::from_der(der)), ErrorCode::bad_certificate);
  EXPECT_EQ(code_of(Certificate::from_der(Bytes(20'000))), ErrorCode::too_large);
}

// Whatever a byte is changed to, reading ends in a certificate or an error.
TEST_F(CertificateTest, NoChangedByteStopsTheReader) {
  const Bytes der = authority_.coordinator({"localhost", "127.0.0.1"}).der();
  int refused = 0;
  for (std::size_t position = 0; position < der.size(); ++position) {
    for (const std::uint8_t mask : {std::uint8_t{0x01}, std::uint8_t{0x80}, std::uint8_t{0xff}}) {
      Bytes changed = der;
      changed[position] = static_cast<std::uint8_t>(changed[position] ^ mask);
      if (!Certificate::from_der(changed)) ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

TEST_F(CertificateTest, AUrnInADevicesCertificateThatIsNoUrnIsABadCertificate) {
  Bytes der = authority_.device().der();
  const std::string_view urn = "urn:chorus:device:";
  const auto found = std::ranges::search(der, as_bytes(urn));
  ASSERT_FALSE(found.empty());
  found.front() = 'x';
  EXPECT_EQ(code_of(Certificate::from_der(der)), ErrorCode::bad_certificate);
}

TEST_F(CertificateTest, AnotherPurposeThanItsNamesIsABadCertificate) {
  // Extended key usage is 1.3.6.1.5.5.7.3.1 for a server and …3.2 for a client: a device that claims to be a server.
  Bytes der = authority_.device().der();
  const ByteArray<8> client_auth = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02};
  const auto found = std::ranges::search(der, client_auth);
  ASSERT_FALSE(found.empty());
  found.back() = 0x01;
  EXPECT_EQ(code_of(Certificate::from_der(der)), ErrorCode::bad_certificate);
}

// Self-signed, P-256, made for this test and for nothing else: X.509, but not Chorus's.
TEST_F(CertificateTest, AnotherKindOfKeyIsABadCertificate) {
  const auto certificate = Certificate::from_pem(
      "-----BEGIN CERTIFICATE-----\n"
      "MIIBczCCARmgAwIBAgIURT4nrUuUWK3GwjT+W60VS2wEenswCgYIKoZIzj0EAwIw\n"
      "DzENMAsGA1UEAwwEcDI1NjAeFw0yNjExMjQwNDA1MzFaFw0zNjExMjEwNDA1MzFa\n"
      "MA8xDTALBgNVBAMMBHAyNTYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARTQYTo\n"
      "bSFsOzxLA8wM37HTR4dNHA82dgIaH46zFTVxQLI0XA8EVhQp/8y3NMnOBJFQmrkx\n"
      "pxhJtVySDmLfd+igo1MwUTAdBgNVHQ4EFgQUu22oUqBGxf2NH/xXanr1HxK1LaIw\n"
      "HwYDVR0jBBgwFoAUu22oUqBGxf2NH/xXanr1HxK1LaIwDwYDVR0TAQH/BAUwAwEB\n"
      "/zAKBggqhkjOPQQDAgNIADBFAiBTbFLGJ1Cmqtud/pIPL41ML+KxGD8wYdtaHwdG\n"
      "DeINggIhAJ1kJ6RvUPQ9IGEpva7K5V92aUpJdd23bcS/2CKr7+2o\n"
      "-----END CERTIFICATE-----\n");
  EXPECT_EQ(code_of(certificate), ErrorCode::bad_certificate);
  EXPECT_NE(certificate.error().sentence().find("Ed25519"), std::string::npos);
}

TEST_F(CertificateTest, AValidityThatIsEmptyOrLeavesTheCalendarIsRefused) {
  const crypto::PublicKey key = authority_.key.public_key();
  const WallTime far = std::chrono::sys_days(std::chrono::year(10000) / 1 / 1);
  const WallTime before = std::chrono::sys_days(std::chrono::year(0) / 1 / 1);
  for (const Validity& validity : {Validity{kNow, kNow}, Validity{kNow, kNow - 1s}, Validity{kNow, far},
                                   Validity{before, kNow}, Validity{kNow, WallTime::max()}}) {
    EXPECT_EQ(
        code_of(make_device_certificate(key, {}, random_serial(authority_.random), validity, authority_.issuer())),
        ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(make_authority_certificate(authority_.key, random_serial(authority_.random), validity)),
              ErrorCode::invalid_argument);
  }
}

TEST_F(CertificateTest, ACoordinatorHasOneToSixtyFourHosts) {
  const auto with = [this](std::size_t count) {
    const std::vector<HostName> hosts(count, parse_host_name("localhost").value());
    return make_coordinator_certificate(authority_.key.public_key(), hosts, random_serial(authority_.random),
                                        {kNow, kNow + 1s}, authority_.issuer());
  };
  EXPECT_EQ(code_of(with(0)), ErrorCode::invalid_argument);
  EXPECT_TRUE(with(1).has_value());
  EXPECT_TRUE(with(64).has_value());
  EXPECT_EQ(code_of(with(65)), ErrorCode::invalid_argument);
}

TEST_F(CertificateTest, TheSameRandomnessGivesTheSameBytes) {
  TestAuthority again(31);
  EXPECT_EQ(again.certificate, authority_.certificate);
  EXPECT_EQ(again.device(), authority_.device());
}

}  // namespace
}  // namespace chorus::identity
