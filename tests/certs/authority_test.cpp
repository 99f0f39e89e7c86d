#include "certs/io/authority.hpp"

#include <sstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "certs/io/folder_files.hpp"
#include "common/identity/chain.hpp"
#include "common/identity/private_key_pem.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/certs/temporary_folder.hpp"

namespace chorus::certs {
namespace {

namespace fs = std::filesystem;

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  return result.has_value() ? ErrorCode::timeout : result.error().code();
}

const std::vector<std::string> kHosts = {"localhost", "127.0.0.1"};
const std::vector<std::string> kAuthorityFiles = {"authority.crt", "authority.key", "crl.pem", "issued.tsv"};
const std::vector<std::string> kCoordinatorFiles = {"authority.crt", "coordinator.crt", "coordinator.key", "crl.pem"};
const std::vector<std::string> kDeviceFiles = {"authority.crt", "crl.pem", "device.crt", "device.key",
                                               "identity.statement"};

identity::IdentityStatement statement_in(const fs::path& folder) {
  return identity::decode_identity_statement(as_bytes(read(folder / kStatementFile))).value();
}

crypto::PublicKey key_in(const fs::path& file) {
  return identity::parse_private_key_pem(as_bytes(read(file))).value().public_key();
}

class AuthorityTest : public ::testing::Test {
 protected:
  [[nodiscard]] Status verify(const fs::path& certificate, identity::SubjectKind role, WallTime now = kNow) const {
    return identity::verify(read_certificate(certificate).value(), authority_.certificate(),
                            authority_.revocation_list().value(), now, role);
  }

  TemporaryFolder folder_;
  sim::SeededRandom random_{81};
  Authority authority_ = Authority::create(folder_ / "authority", kNow, random_).value();
};

TEST_F(AuthorityTest, ANewOneHasItsFilesAndItsKeyIsPrivate) {
  EXPECT_EQ(names_in(folder_ / "authority"), kAuthorityFiles);
  EXPECT_EQ(mode_of(folder_ / "authority"), 0700U);
  EXPECT_EQ(mode_of(folder_ / "authority" / "authority.key"), 0600U);
  EXPECT_EQ(mode_of(folder_ / "authority" / "authority.crt"), 0644U);
  EXPECT_EQ(authority_.revocation_list().value().number(), 1U);
  EXPECT_TRUE(authority_.registry().value().all().empty());
}

TEST_F(AuthorityTest, IsOpenedAgainWithTheSameKey) {
  const auto again = Authority::open(folder_ / "authority", random_);
  ASSERT_TRUE(again.has_value()) << again.error().to_string();
  EXPECT_EQ(again->certificate(), authority_.certificate());
}

TEST_F(AuthorityTest, NothingIsOverwritten) {
  const std::string key = read(folder_ / "authority" / "authority.key");
  EXPECT_EQ(code_of(Authority::create(folder_ / "authority", kNow, random_)), ErrorCode::already_exists);
  EXPECT_EQ(read(folder_ / "authority" / "authority.key"), key);

  fs::create_directory(folder_ / "taken");
  write(folder_ / "taken" / "thesis.txt", "years of work");
  write(folder_ / "file", "a file");
  for (const char* const name : {"taken", "file"}) {
    const fs::path out = folder_ / name;
    EXPECT_EQ(code_of(authority_.issue_device(out, kNow)), ErrorCode::already_exists);
    EXPECT_EQ(code_of(authority_.issue_coordinator(kHosts, out, kNow)), ErrorCode::already_exists);
    EXPECT_EQ(code_of(authority_.issue_fleet(2, out, kNow)), ErrorCode::already_exists);
  }
  EXPECT_EQ(read(folder_ / "taken" / "thesis.txt"), "years of work");
  EXPECT_EQ(read(folder_ / "file"), "a file");
  EXPECT_TRUE(authority_.registry().value().all().empty()) << "nothing was issued";
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"authority", "file", "taken"}));
}

TEST_F(AuthorityTest, AnEmptyFolderAndMissingParentsAreFine) {
  fs::create_directory(folder_ / "empty");
  EXPECT_TRUE(authority_.issue_device(folder_ / "empty", kNow).has_value());
  EXPECT_TRUE(authority_.issue_device(folder_ / "a/b/c/", kNow).has_value());
  EXPECT_EQ(names_in(folder_ / "empty"), kDeviceFiles);
  EXPECT_EQ(names_in(folder_ / "a/b/c"), kDeviceFiles);
}

TEST_F(AuthorityTest, ACoordinatorsFolderHoldsWhatItNeeds) {
  const auto issued = authority_.issue_coordinator(kHosts, folder_ / "coordinator", kNow);
  ASSERT_TRUE(issued.has_value()) << issued.error().to_string();
  EXPECT_EQ(names_in(folder_ / "coordinator"), kCoordinatorFiles);
  EXPECT_EQ(mode_of(folder_ / "coordinator" / "coordinator.key"), 0600U);
  EXPECT_TRUE(verify(folder_ / "coordinator" / "coordinator.crt", identity::SubjectKind::coordinator).has_value());
  EXPECT_EQ(key_in(folder_ / "coordinator" / "coordinator.key"), issued->info.key);
  EXPECT_EQ(read(folder_ / "coordinator" / "authority.crt"), read(folder_ / "authority" / "authority.crt"));
  EXPECT_EQ(read(folder_ / "coordinator" / "crl.pem"), read(folder_ / "authority" / "crl.pem"));
}

TEST_F(AuthorityTest, ADevicesFolderHoldsWhatItNeeds) {
  const auto issued = authority_.issue_device(folder_ / "device", kNow);
  ASSERT_TRUE(issued.has_value()) << issued.error().to_string();
  EXPECT_EQ(names_in(folder_ / "device"), kDeviceFiles);
  EXPECT_EQ(mode_of(folder_ / "device" / "device.key"), 0600U);
  EXPECT_TRUE(verify(folder_ / "device" / "device.crt", identity::SubjectKind::device).has_value());
  EXPECT_EQ(key_in(folder_ / "device" / "device.key"), issued->info.key);
  const identity::IdentityStatement statement = statement_in(folder_ / "device");
  EXPECT_TRUE(identity::check(statement, authority_.certificate().info().key, kNow).has_value());
  EXPECT_EQ(statement.id, issued->info.device);
}

TEST_F(AuthorityTest, AFleetIsListedInOrder) {
  const auto members = authority_.issue_fleet(70, folder_ / "fleet", kNow);
  ASSERT_TRUE(members.has_value()) << members.error().to_string();
  ASSERT_EQ(members->size(), 70U);
  std::istringstream table(read(folder_ / "fleet" / "fleet.tsv"));
  for (std::size_t i = 0; i < members->size(); ++i) {
    std::string number;
    std::string id;
    std::string inside;
    std::getline(table, number, '\t');
    std::getline(table, id, '\t');
    std::getline(table, inside);
    EXPECT_EQ(number, std::to_string(i + 1));
    EXPECT_EQ(id, identity::to_string((*members)[i].id));
    EXPECT_EQ(inside, (*members)[i].folder.string());
    EXPECT_EQ(names_in(folder_ / "fleet" / inside), kDeviceFiles);
    EXPECT_EQ(statement_in(folder_ / "fleet" / inside).id, (*members)[i].id);
  }
  EXPECT_EQ(table.peek(), std::char_traits<char>::eof());
  EXPECT_EQ(authority_.registry().value().all().size(), 70U);
}

TEST_F(AuthorityTest, AFleetOfNoneOrTooManyIsRefused) {
  EXPECT_EQ(code_of(authority_.issue_fleet(0, folder_ / "fleet", kNow)), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(authority_.issue_fleet(kMostDevicesAtOnce + 1, folder_ / "fleet", kNow)),
            ErrorCode::invalid_argument);
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"authority"});
}

TEST_F(AuthorityTest, ARefusalLeavesNothingBehind) {
  const std::vector<std::string> bad = {"not a host"};
  EXPECT_EQ(code_of(authority_.issue_coordinator(bad, folder_ / "out", kNow)), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(authority_.issue_coordinator({}, folder_ / "out", kNow)), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(authority_.issue_device(folder_ / "out", kNow, Days(0))), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(authority_.issue_fleet(3, folder_ / "out", kNow + kAuthorityLifetime)), ErrorCode::expired);
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"authority"});
  EXPECT_TRUE(authority_.registry().value().all().empty());
}

TEST_F(AuthorityTest, WhereThereIsNoAuthorityOneIsMissed) {
  const auto missing = Authority::open(folder_ / "nowhere", random_);
  EXPECT_EQ(code_of(missing), ErrorCode::not_found);
  EXPECT_NE(missing.error().sentence().find("chorus-certs init"), std::string::npos);
}

TEST_F(AuthorityTest, DamagedOrMixedFilesAreNamed) {
  const fs::path folder = folder_ / "authority";
  const std::string key = read(folder / "authority.key");
  write(folder / "authority.key", "nonsense");
  EXPECT_EQ(code_of(Authority::open(folder, random_)), ErrorCode::malformed);
  EXPECT_NE(Authority::open(folder, random_).error().where().find("authority.key"), std::string::npos);
  write(folder / "authority.key", [this] {
    const auto pem = identity::private_key_pem(crypto::SigningKey::generate(random_));
    return std::string(pem.begin(), pem.end());
  }());
  EXPECT_EQ(code_of(Authority::open(folder, random_)), ErrorCode::bad_key);
  write(folder / "authority.key", key);
  ASSERT_TRUE(authority_.issue_device(folder_ / "device", kNow).has_value());
  write(folder / "authority.crt", read(folder_ / "device" / "device.crt"));
  EXPECT_EQ(code_of(Authority::open(folder, random_)), ErrorCode::bad_certificate);
  write(folder / "issued.tsv", "nonsense");
  const auto issued = authority_.issue_device(folder_ / "another", kNow);
  EXPECT_EQ(code_of(issued), ErrorCode::malformed);
  EXPECT_NE(issued.error().where().find("issued.tsv"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "another"));
}

TEST_F(AuthorityTest, APassphraseIsAskedFor) {
  write(folder_ / "secret", "correct horse\n");
  const auto passphrase = read_passphrase(folder_ / "secret");
  ASSERT_TRUE(passphrase.has_value());
  EXPECT_EQ(std::string(passphrase->begin(), passphrase->end()), "correct horse");
  const fs::path folder = folder_ / "protected";
  ASSERT_TRUE(Authority::create(folder, kNow, random_, Days(100), ByteView(*passphrase)).has_value());
  EXPECT_EQ(code_of(Authority::open(folder, random_)), ErrorCode::bad_key);
  EXPECT_EQ(code_of(Authority::open(folder, random_, as_bytes("wrong"))), ErrorCode::bad_key);
  EXPECT_TRUE(Authority::open(folder, random_, ByteView(*passphrase)).has_value());
  write(folder_ / "secret", "\n");
  EXPECT_EQ(code_of(read_passphrase(folder_ / "secret")), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(read_passphrase(folder_ / "no secret")), ErrorCode::not_found);
}

TEST_F(AuthorityTest, AnAuthorityShorterThanItsListsCanBeMade) {
  EXPECT_TRUE(Authority::create(folder_ / "short", kNow, random_, Days(1)).has_value());
}

TEST_F(AuthorityTest, ARevokedDeviceIsOnTheNewListWithItsRenewals) {
  const auto issued = authority_.issue_device(folder_ / "device", kNow).value();
  ASSERT_TRUE(authority_.renew(folder_ / "device", kNow + 1h).has_value());
  const auto revocation = authority_.revoke_device(*issued.info.device, kNow + 2h);
  ASSERT_TRUE(revocation.has_value()) << revocation.error().to_string();
  EXPECT_EQ(revocation->certificates, 2U);
  EXPECT_EQ(revocation->list.number(), 2U);
  EXPECT_EQ(authority_.revocation_list().value(), revocation->list);
  EXPECT_TRUE(revocation->list.contains(issued.info.serial));
  EXPECT_TRUE(revocation->list.revokes(statement_in(folder_ / "device")));
  const Status status = verify(folder_ / "device" / "device.crt", identity::SubjectKind::device, kNow + 2h);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::revoked);
  EXPECT_EQ(code_of(authority_.revoke_device(*issued.info.device, kNow + 3h)), ErrorCode::revoked);
  EXPECT_EQ(code_of(authority_.revoke_device({}, kNow)), ErrorCode::not_found);
  EXPECT_EQ(code_of(authority_.revoke_certificate({}, kNow)), ErrorCode::not_found);
}

TEST_F(AuthorityTest, ALostKeyIsRevokedWithoutTheDevicesNewOne) {
  const auto old = authority_.issue_device(folder_ / "device", kNow).value();
  Authority::Renewal renewal;
  renewal.new_key = true;
  const auto renewed = authority_.renew(folder_ / "device", kNow, renewal).value();
  ASSERT_TRUE(authority_.revoke_certificate(old.info.serial, kNow).has_value());
  const auto list = authority_.revocation_list().value();
  EXPECT_TRUE(list.contains(old.info.serial));
  EXPECT_FALSE(list.contains(renewed.info.serial));
  EXPECT_FALSE(list.revokes(statement_in(folder_ / "device")));
  EXPECT_TRUE(list.revokes(identity::RevokedDevice{*old.info.device, old.info.key}));
}

TEST_F(AuthorityTest, ANewListHasTheNextNumberAndCanBeInstalled) {
  ASSERT_TRUE(authority_.issue_coordinator(kHosts, folder_ / "coordinator", kNow).has_value());
  const auto list = authority_.sign_list(kNow + 24h, Days(7)).value();
  EXPECT_EQ(list.number(), 2U);
  EXPECT_EQ(list.next_update(), kNow + 24h + Days(7));
  ASSERT_TRUE(install_list(list, folder_ / "coordinator").has_value());
  EXPECT_EQ(read(folder_ / "coordinator" / "crl.pem"), list.pem());
  EXPECT_EQ(names_in(folder_ / "coordinator"), kCoordinatorFiles);
  EXPECT_EQ(mode_of(folder_ / "coordinator" / "crl.pem"), 0644U);
  EXPECT_EQ(install_list(list, folder_ / "nowhere").error().code(), ErrorCode::not_found);
}

TEST_F(AuthorityTest, RenewalKeepsIdentityKeyAndEnrolmentDateAndEverythingElseInTheFolder) {
  const auto old = authority_.issue_device(folder_ / "device", kNow).value();
  const auto old_statement = statement_in(folder_ / "device");
  const std::string old_key = read(folder_ / "device" / "device.key");
  write(folder_ / "device" / "store.sqlite", "ratings");
  const WallTime later = kNow + Days(300);
  ASSERT_TRUE(authority_.sign_list(later).has_value());
  const auto renewed = authority_.renew(folder_ / "device", later);
  ASSERT_TRUE(renewed.has_value()) << renewed.error().to_string();
  EXPECT_EQ(renewed->info.device, old.info.device);
  EXPECT_EQ(renewed->info.key, old.info.key);
  EXPECT_NE(renewed->info.serial, old.info.serial);
  EXPECT_EQ(renewed->info.validity.not_after, later + kDeviceLifetime);
  EXPECT_EQ(read(folder_ / "device" / "device.key"), old_key);
  EXPECT_EQ(read(folder_ / "device" / "store.sqlite"), "ratings");
  const auto statement = statement_in(folder_ / "device");
  EXPECT_EQ(statement.enrolled_at, old_statement.enrolled_at);
  EXPECT_EQ(statement.expires_at, later + kDeviceLifetime);
  EXPECT_EQ(read(folder_ / "device" / "crl.pem"), read(folder_ / "authority" / "crl.pem"));
  EXPECT_TRUE(verify(folder_ / "device" / "device.crt", identity::SubjectKind::device, later).has_value());
  std::vector<std::string> expected = kDeviceFiles;
  expected.emplace_back("store.sqlite");
  EXPECT_EQ(names_in(folder_ / "device"), expected);
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"authority", "device"}));
}

TEST_F(AuthorityTest, RenewalWithANewKeyChangesTheKeyAlone) {
  const auto old = authority_.issue_device(folder_ / "device", kNow).value();
  Authority::Renewal renewal;
  renewal.new_key = true;
  const auto renewed = authority_.renew(folder_ / "device", kNow, renewal).value();
  EXPECT_EQ(renewed.info.device, old.info.device);
  EXPECT_NE(renewed.info.key, old.info.key);
  EXPECT_EQ(key_in(folder_ / "device" / "device.key"), renewed.info.key);
  EXPECT_EQ(statement_in(folder_ / "device").key, renewed.info.key);
  EXPECT_EQ(mode_of(folder_ / "device" / "device.key"), 0600U);
}

TEST_F(AuthorityTest, ACoordinatorIsRenewedUnderTheSameHosts) {
  const auto old = authority_.issue_coordinator(kHosts, folder_ / "coordinator", kNow).value();
  Authority::Renewal renewal;
  renewal.lifetime = Days(10);
  const auto renewed = authority_.renew(folder_ / "coordinator", kNow, renewal).value();
  EXPECT_EQ(renewed.info.hosts, old.info.hosts);
  EXPECT_EQ(renewed.info.key, old.info.key);
  EXPECT_EQ(renewed.info.validity.not_after, kNow + Days(10));
  EXPECT_EQ(names_in(folder_ / "coordinator"), kCoordinatorFiles);
}

TEST_F(AuthorityTest, RenewalIntoAnotherPlaceLeavesTheFolderAlone) {
  ASSERT_TRUE(authority_.issue_device(folder_ / "device", kNow).has_value());
  const std::string before = read(folder_ / "device" / "device.crt");
  Authority::Renewal renewal;
  renewal.out = folder_ / "renewed";
  ASSERT_TRUE(authority_.renew(folder_ / "device", kNow, renewal).has_value());
  EXPECT_EQ(read(folder_ / "device" / "device.crt"), before);
  EXPECT_EQ(names_in(folder_ / "renewed"), kDeviceFiles);
  EXPECT_EQ(read(folder_ / "renewed" / "device.key"), read(folder_ / "device" / "device.key"));
  EXPECT_EQ(code_of(authority_.renew(folder_ / "device", kNow, renewal)), ErrorCode::already_exists);
}

TEST_F(AuthorityTest, ADeviceIsRenewedWithoutShowingItsKey) {
  ASSERT_TRUE(authority_.issue_device(folder_ / "device", kNow).has_value());
  fs::remove(folder_ / "device" / "device.key");
  ASSERT_TRUE(authority_.renew(folder_ / "device", kNow).has_value());
  EXPECT_EQ(names_in(folder_ / "device"),
            (std::vector<std::string>{"authority.crt", "crl.pem", "device.crt", "identity.statement"}));
}

TEST_F(AuthorityTest, WhatCannotBeRenewedIsLeftAsItIs) {
  EXPECT_EQ(code_of(authority_.renew(folder_ / "nowhere", kNow)), ErrorCode::not_found);
  const auto issued = authority_.issue_device(folder_ / "device", kNow).value();
  const std::string before = read(folder_ / "device" / "device.crt");

  fs::create_directory(folder_ / "device" / "inner");
  const auto with_folder = authority_.renew(folder_ / "device", kNow);
  EXPECT_EQ(code_of(with_folder), ErrorCode::already_exists);
  EXPECT_NE(with_folder.error().where().find("inner"), std::string::npos);
  fs::remove(folder_ / "device" / "inner");

  const std::string key = read(folder_ / "device" / "device.key");
  ASSERT_TRUE(authority_.issue_device(folder_ / "other", kNow).has_value());
  write(folder_ / "device" / "device.key", read(folder_ / "other" / "device.key"));
  EXPECT_EQ(code_of(authority_.renew(folder_ / "device", kNow)), ErrorCode::bad_key);
  write(folder_ / "device" / "device.key", key);

  Authority foreign = Authority::create(folder_ / "foreign", kNow, random_).value();
  EXPECT_EQ(code_of(foreign.renew(folder_ / "device", kNow)), ErrorCode::not_found);

  ASSERT_TRUE(authority_.revoke_device(*issued.info.device, kNow).has_value());
  EXPECT_EQ(code_of(authority_.renew(folder_ / "device", kNow)), ErrorCode::revoked);
  EXPECT_EQ(read(folder_ / "device" / "device.crt"), before);
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"authority", "device", "foreign", "other"}));
}

TEST_F(AuthorityTest, AnotherAuthoritysDevicesAreForeign) {
  Authority foreign = Authority::create(folder_ / "foreign", kNow, random_).value();
  ASSERT_TRUE(foreign.issue_device(folder_ / "device", kNow).has_value());
  EXPECT_EQ(verify(folder_ / "device" / "device.crt", identity::SubjectKind::device).error().code(),
            ErrorCode::bad_certificate);
  EXPECT_EQ(identity::check(statement_in(folder_ / "device"), authority_.certificate().info().key, kNow).error().code(),
            ErrorCode::bad_identity);
}

TEST_F(AuthorityTest, TwoAtOnceLoseNothing) {
  constexpr int kEach = 5;
  const auto enrol = [this](std::uint64_t seed) {
    sim::SeededRandom random(seed);
    Authority authority = Authority::open(folder_ / "authority", random).value();
    for (int i = 0; i < kEach; ++i) {
      const std::string name = std::to_string(seed) + '-' + std::to_string(i);
      if (!authority.issue_device(folder_ / name, kNow)) ADD_FAILURE() << name;
    }
  };
  std::thread one(enrol, 1);
  std::thread two(enrol, 2);
  one.join();
  two.join();
  EXPECT_EQ(authority_.registry().value().all().size(), 2U * kEach);
}

// The mode bits of a folder do not bind root, so root becomes nobody for the call.
class AsNobody {
 public:
  AsNobody() {
    if (was_root_ && ::seteuid(65534) != 0) ADD_FAILURE() << "cannot become nobody";
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;
  ~AsNobody() {
    if (was_root_ && ::seteuid(0) != 0) ADD_FAILURE() << "cannot become root again";
  }

 private:
  const bool was_root_ = ::geteuid() == 0;
};

TEST_F(AuthorityTest, AFolderThatCannotBeWrittenIsSaidToBeSo) {
  fs::permissions(folder_.path(), fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  fs::create_directory(folder_ / "closed");
  fs::permissions(folder_ / "closed",
                  fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_exec | fs::perms::others_read);
  {
    const AsNobody nobody;
    EXPECT_EQ(code_of(authority_.issue_device(folder_ / "closed/device", kNow)), ErrorCode::unwritable);
    EXPECT_EQ(code_of(authority_.issue_device(folder_ / "closed/deeper/device", kNow)), ErrorCode::unwritable);
    EXPECT_EQ(code_of(Authority::create(folder_ / "closed/authority", kNow, random_)), ErrorCode::unwritable);
  }
  EXPECT_TRUE(names_in(folder_ / "closed").empty());
  EXPECT_TRUE(authority_.registry().value().all().empty());
}

TEST_F(AuthorityTest, AFileWhereAParentIsNeededIsUnwritable) {
  write(folder_ / "file", "");
  EXPECT_EQ(code_of(authority_.issue_device(folder_ / "file/device", kNow)), ErrorCode::unwritable);
}

TEST_F(AuthorityTest, AFullDiskIsSaidToBeSoAndKeepsNothing) {
  const fs::path disk = folder_ / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "mounting a small file system needs a privilege that this run does not have";
  }
  const auto issued = authority_.issue_fleet(50, disk / "fleet", kNow);
  const auto left = names_in(disk);
  ASSERT_EQ(::umount(disk.c_str()), 0);
  EXPECT_EQ(code_of(issued), ErrorCode::disk_full);
  EXPECT_TRUE(left.empty());
  EXPECT_TRUE(authority_.registry().value().all().empty());
}

}  // namespace
}  // namespace chorus::certs
