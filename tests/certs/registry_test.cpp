#include "certs/authority/registry.hpp"

#include <string>

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"
#include "tests/certs/temporary_folder.hpp"

namespace chorus::certs {
namespace {

class RegistryTest : public ::testing::Test {
 protected:
  IssuedCertificate device(const identity::DeviceId& id, const crypto::PublicKey& key) {
    IssuedCertificate issued;
    issued.info.kind = identity::SubjectKind::device;
    issued.info.device = id;
    issued.info.key = key;
    issued.info.serial = identity::random_serial(random_);
    issued.info.validity = {kNow, kNow + 24h * 365};
    issued.enrolled_at = kNow - 24h;
    return issued;
  }
  IssuedCertificate device() { return device({random_.array<16>()}, random_.array<32>()); }

  IssuedCertificate coordinator() {
    IssuedCertificate issued;
    issued.info.kind = identity::SubjectKind::coordinator;
    for (const char* const host : {"chorus.example", "127.0.0.1", "::1"}) {
      issued.info.hosts.push_back(identity::parse_host_name(host).value());
    }
    issued.info.key = random_.array<32>();
    issued.info.serial = identity::random_serial(random_);
    issued.info.validity = {kNow, kNow + 24h * 90};
    issued.enrolled_at = kNow;
    return issued;
  }

  sim::SeededRandom random_{61};
};

TEST_F(RegistryTest, IsReadFromWhatItIsWrittenAs) {
  Registry registry;
  registry.add(device());
  registry.add(coordinator());
  IssuedCertificate revoked = device();
  revoked.revoked_at = kNow + 1h;
  registry.add(revoked);
  const auto again = Registry::parse(registry.text());
  ASSERT_TRUE(again.has_value()) << again.error().to_string();
  EXPECT_EQ(again->all(), registry.all());
  EXPECT_EQ(again->text(), registry.text());
  EXPECT_EQ(Registry::parse(Registry().text()).value().all().size(), 0U);
}

TEST_F(RegistryTest, ADamagedLineIsNamed) {
  Registry registry;
  registry.add(device());
  registry.add(coordinator());
  const std::string text = registry.text();
  struct Case {
    std::string_view from;
    std::string_view to;
    std::string_view line;
  };
  for (const Case& c :
       {Case{"# chorus-certs", "# chorus-cert", "line 1"}, Case{"device\t", "person\t", "line 3"},
        Case{"2024-01-01T", "2024-01-32T", "line 3"}, Case{"\t-\n", "\tnever\n", "line 3"},
        Case{"\t-\n", "\n", "line 3"}, Case{"\t-\n", "\t-\t\n", "line 3"},
        Case{"chorus.example", "chorus example", "line 4"}, Case{"chorus.example,127.0.0.1,::1", "", "line 4"}}) {
    std::string damaged = text;
    const std::size_t position = damaged.find(c.from);
    ASSERT_NE(position, std::string::npos) << c.from;
    damaged.replace(position, c.from.size(), c.to);
    const auto parsed = Registry::parse(damaged);
    ASSERT_FALSE(parsed.has_value()) << c.from << " -> " << c.to;
    EXPECT_EQ(parsed.error().code(), ErrorCode::malformed);
    EXPECT_TRUE(parsed.error().where().starts_with(c.line)) << parsed.error().to_string();
  }
}

TEST_F(RegistryTest, ASerialNumberThatComesTwiceIsMalformed) {
  Registry registry;
  registry.add(device());
  std::string text = registry.text();
  const std::size_t line = text.find('\n', text.find('\n') + 1) + 1;
  text += text.substr(line);
  EXPECT_EQ(Registry::parse(text).error().code(), ErrorCode::malformed);
}

TEST_F(RegistryTest, AnotherVersionIsRefusedAsSuch) {
  EXPECT_EQ(Registry::parse("# chorus-certs index 2\n").error().code(), ErrorCode::unsupported_version);
  EXPECT_EQ(Registry::parse("").error().code(), ErrorCode::malformed);
}

TEST_F(RegistryTest, RevokingADeviceRevokesItsCertificatesWhateverTheirKey) {
  Registry registry;
  const identity::DeviceId id{random_.array<16>()};
  const IssuedCertificate first = device(id, random_.array<32>());
  const IssuedCertificate renewed = device(id, random_.array<32>());
  const IssuedCertificate other = device();
  for (const auto& issued : {first, renewed, other}) registry.add(issued);
  EXPECT_EQ(registry.revoke_device(id, kNow).value(), 2U);
  EXPECT_EQ(registry.find(first.info.serial)->revoked_at, kNow);
  EXPECT_EQ(registry.find(renewed.info.serial)->revoked_at, kNow);
  EXPECT_FALSE(registry.find(other.info.serial)->revoked_at.has_value());
}

TEST_F(RegistryTest, RevokingACertificateRevokesEveryCertificateWithItsKey) {
  Registry registry;
  const identity::DeviceId id{random_.array<16>()};
  const crypto::PublicKey lost = random_.array<32>();
  const IssuedCertificate first = device(id, lost);
  const IssuedCertificate renewed = device(id, lost);
  const IssuedCertificate with_new_key = device(id, random_.array<32>());
  for (const auto& issued : {first, renewed, with_new_key}) registry.add(issued);
  EXPECT_EQ(registry.revoke_key_of(first.info.serial, kNow).value(), 2U);
  EXPECT_TRUE(registry.find(renewed.info.serial)->revoked_at.has_value());
  EXPECT_FALSE(registry.find(with_new_key.info.serial)->revoked_at.has_value());
}

TEST_F(RegistryTest, WhatWasNotIssuedOrWasRevokedBeforeIsNotRevoked) {
  Registry registry;
  const IssuedCertificate issued = device();
  registry.add(issued);
  EXPECT_EQ(registry.revoke_device({}, kNow).error().code(), ErrorCode::not_found);
  EXPECT_EQ(registry.revoke_key_of({}, kNow).error().code(), ErrorCode::not_found);
  ASSERT_TRUE(registry.revoke_device(*issued.info.device, kNow).has_value());
  EXPECT_EQ(registry.revoke_device(*issued.info.device, kNow + 1h).error().code(), ErrorCode::revoked);
  EXPECT_EQ(registry.revoke_key_of(issued.info.serial, kNow + 1h).error().code(), ErrorCode::revoked);
  EXPECT_EQ(registry.find(issued.info.serial)->revoked_at, kNow) << "the first date stands";
}

TEST_F(RegistryTest, AListNamesTheDeviceAndKeyOfWhatIsRevoked) {
  Registry registry;
  const IssuedCertificate one = device();
  const IssuedCertificate two = coordinator();
  registry.add(one);
  registry.add(two);
  registry.add(device());
  ASSERT_TRUE(registry.revoke_device(*one.info.device, kNow).has_value());
  ASSERT_TRUE(registry.revoke_key_of(two.info.serial, kNow + 1h).has_value());
  const std::vector<identity::RevokedCertificate> expected = {
      {one.info.serial, kNow, identity::RevokedDevice{*one.info.device, one.info.key}},
      {two.info.serial, kNow + 1h, std::nullopt}};
  EXPECT_EQ(registry.revoked(kNow + 1h), expected);
}

TEST_F(RegistryTest, AListDropsARevocationSixtyDaysAfterTheCertificateEnded) {
  Registry registry;
  const IssuedCertificate issued = device();
  registry.add(issued);
  ASSERT_TRUE(registry.revoke_device(*issued.info.device, kNow).has_value());
  const WallTime end = issued.info.validity.not_after + 24h * 60;
  EXPECT_EQ(registry.revoked(end).size(), 1U);
  EXPECT_EQ(registry.revoked(end + 1s).size(), 0U);
}

}  // namespace
}  // namespace chorus::certs
