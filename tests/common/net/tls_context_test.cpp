#include "common/net/tls_context.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/common/net/loopback.hpp"
#include "tests/common/net/test_authority.hpp"

namespace chorus::net {
namespace {

const WallTime kToday = year(2024);

class TlsContexts : public testing::Test {
 protected:
  TestAuthority authority_;
  Credentials coordinator_ = authority_.coordinator();
  Credentials device_ = authority_.device();
};

TEST_F(TlsContexts, SayWhenTheyEnd) {
  Credentials device = authority_.device({year(2020), year(2030)});
  device.pem.crl = authority_.list({year(2020), year(2026)}).pem();
  const auto context = TlsContext::client(device.pem, kToday);
  ASSERT_TRUE(context.has_value()) << context.error().to_string();
  EXPECT_EQ(context->certificate_expires(), year(2030));
  EXPECT_EQ(context->crl_expires(), year(2026));
}

TEST_F(TlsContexts, CheckTheirOwnCertificateAtStart) {
  EXPECT_EQ(code_of(TlsContext::client(authority_.device(kExpired).pem, kToday)), ErrorCode::expired);
  EXPECT_EQ(code_of(TlsContext::server(authority_.coordinator(kExpired).pem, kToday)), ErrorCode::expired);
  EXPECT_EQ(code_of(TlsContext::client(authority_.device(kNotYetValid).pem, kToday)), ErrorCode::not_yet_valid);
  EXPECT_EQ(code_of(TlsContext::client(coordinator_.pem, kToday)), ErrorCode::bad_certificate);
  EXPECT_EQ(code_of(TlsContext::server(device_.pem, kToday)), ErrorCode::bad_certificate);
  EXPECT_EQ(code_of(TlsContext::client(device_.pem, year(2101))), ErrorCode::expired);

  authority_.revoke(device_.certificate);
  device_.pem.crl = authority_.list().pem();
  EXPECT_EQ(code_of(TlsContext::client(device_.pem, kToday)), ErrorCode::revoked);
}

TEST_F(TlsContexts, RefuseACertificateOfAnotherAuthority) {
  TestAuthority other(2);
  Credentials foreign = other.device();
  foreign.pem.authority = device_.pem.authority;
  foreign.pem.crl = device_.pem.crl;
  EXPECT_EQ(code_of(TlsContext::client(foreign.pem, kToday)), ErrorCode::bad_certificate);
}

TEST_F(TlsContexts, RefuseAListThatTheAuthorityDidNotSignOrThatIsOutOfDate) {
  TestAuthority other(2);
  Credentials device = device_;
  device.pem.crl = other.list().pem();
  EXPECT_EQ(code_of(TlsContext::client(device.pem, kToday)), ErrorCode::bad_certificate);
  device.pem.crl = authority_.list(kExpired).pem();
  EXPECT_EQ(code_of(TlsContext::client(device.pem, kToday)), ErrorCode::expired);
}

TEST_F(TlsContexts, RefuseAKeyThatDoesNotBelongToTheCertificate) {
  Credentials device = device_;
  device.pem.key = authority_.device().pem.key;
  const auto context = TlsContext::client(device.pem, kToday);
  EXPECT_EQ(code_of(context), ErrorCode::bad_certificate);
  EXPECT_EQ(context.error().where(), "the device's key");
}

TEST_F(TlsContexts, NameWhatDoesNotParse) {
  struct Case {
    std::string_view where;
    std::string TlsCredentials::* field;
  };
  for (const Case& c : {Case{"the device's certificate", &TlsCredentials::certificate},
                        Case{"the authority's certificate", &TlsCredentials::authority},
                        Case{"the revocation list", &TlsCredentials::crl}}) {
    TlsCredentials pem = device_.pem;
    pem.*c.field = "nonsense";
    const auto context = TlsContext::client(pem, kToday);
    EXPECT_EQ(code_of(context), ErrorCode::malformed) << c.where;
    EXPECT_TRUE(context.error().where().starts_with(c.where)) << context.error().to_string();
  }
  TlsCredentials pem = device_.pem;
  pem.key.clear();
  EXPECT_EQ(code_of(TlsContext::client(pem, kToday)), ErrorCode::malformed);
}

class CredentialFiles : public TlsContexts {
 protected:
  CredentialFiles() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    write("device.crt", device_.pem.certificate);
    write("device.key", {device_.pem.key.begin(), device_.pem.key.end()});
    write("authority.crt", device_.pem.authority);
    write("crl.pem", device_.pem.crl);
    write("identity.statement", "a statement");
  }
  ~CredentialFiles() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("chorus-credentials-" + std::to_string(::getpid()));
};

TEST_F(CredentialFiles, AreRead) {
  const auto credentials = read_credentials(folder_, "device");
  ASSERT_TRUE(credentials.has_value()) << credentials.error().to_string();
  EXPECT_EQ(credentials->certificate, device_.pem.certificate);
  EXPECT_EQ(credentials->key, device_.pem.key);
  EXPECT_EQ(credentials->authority, device_.pem.authority);
  EXPECT_EQ(credentials->crl, device_.pem.crl);
  EXPECT_EQ(credentials->statement, "a statement");
  EXPECT_TRUE(TlsContext::client(*credentials, kToday).has_value());
}

TEST_F(CredentialFiles, AMissingOneIsNamed) {
  EXPECT_EQ(read_credentials(folder_, "coordinator").error().where(), (folder_ / "coordinator.crt").string());
  for (const std::string name : {"device.crt", "device.key", "authority.crt", "crl.pem", "identity.statement"}) {
    std::filesystem::rename(folder_ / name, folder_ / "away");
    const auto credentials = read_credentials(folder_, "device");
    EXPECT_EQ(code_of(credentials), ErrorCode::not_found);
    EXPECT_EQ(credentials.error().where(), (folder_ / name).string());
    std::filesystem::rename(folder_ / "away", folder_ / name);
  }
}

TEST_F(CredentialFiles, AHugeOneIsRefused) {
  write("device.crt", std::string(100'000, 'x'));
  const auto credentials = read_credentials(folder_, "device");
  EXPECT_EQ(code_of(credentials), ErrorCode::malformed);
  EXPECT_EQ(credentials.error().where(), (folder_ / "device.crt").string());
}

}  // namespace
}  // namespace chorus::net
