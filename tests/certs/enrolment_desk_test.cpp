// Whom the authority admits: invitations that hold once, and keys that wait for an operator.
#include "certs/authority/enrolment_desk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::certs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year(2024) / 1 / 1);
constexpr crypto::PublicKey kAnna{1};
constexpr crypto::PublicKey kEve{2};

class EnrolmentDeskTest : public ::testing::Test {
 protected:
  static protocol::enrolment::Token same(const protocol::enrolment::Token& token) {
    protocol::enrolment::Token copy;
    copy.number = token.number;
    copy.secret = crypto::SecretBytes<16>(token.secret.expose());
    return copy;
  }
  ErrorCode redeem(const protocol::enrolment::Token& token, const crypto::PublicKey& key, WallTime now = kNow) {
    const auto device = desk_.redeem(token, key, now, random_);
    return device ? ErrorCode::aborted : device.error().code();
  }

  sim::SeededRandom random_{3};
  EnrolmentDesk desk_;
};

TEST_F(EnrolmentDeskTest, AnInvitationAdmitsOneKeyAndTheSameOneAgainAsTheSameDevice) {
  const auto token = desk_.invite(kNow, kInvitationLifetime, random_);
  const auto first = desk_.redeem(token, kAnna, kNow, random_);
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(redeem(token, kEve), ErrorCode::bad_identity);
  const auto again = desk_.redeem(token, kAnna, kNow + 1h, random_);
  ASSERT_TRUE(again) << "an answer may be lost";
  EXPECT_EQ(*again, *first);
}

TEST_F(EnrolmentDeskTest, AWrongSecretAdmitsNobodyAndUsesNothingUp) {
  const auto token = desk_.invite(kNow, kInvitationLifetime, random_);
  for (std::size_t byte = 0; byte < 16; ++byte) {
    auto wrong = same(token);
    wrong.secret.expose()[byte] ^= 0x80;
    EXPECT_EQ(redeem(wrong, kEve), ErrorCode::bad_identity) << byte;
  }
  auto other_number = same(token);
  other_number.number[0] ^= 1;
  EXPECT_EQ(redeem(other_number, kEve), ErrorCode::bad_identity);
  EXPECT_EQ(redeem(token, kAnna), ErrorCode::aborted);
}

TEST_F(EnrolmentDeskTest, AnInvitationEndsAlsoWhenTheClockGoesBackBeforeItWasMade) {
  const auto token = desk_.invite(kNow, 1h, random_);
  EXPECT_EQ(redeem(token, kAnna, kNow + 1h), ErrorCode::bad_identity);
  EXPECT_EQ(redeem(token, kAnna, kNow - 24h), ErrorCode::bad_identity) << "the clock is wrong, and nobody is enrolled";
  EXPECT_EQ(redeem(token, kAnna, kNow + 1h - 1s), ErrorCode::aborted);
  EXPECT_EQ(redeem(token, kAnna, kNow + 1h), ErrorCode::bad_identity) << "nor again by who has used it";
}

TEST_F(EnrolmentDeskTest, AWithdrawnInvitationAdmitsNobodyAndAUsedOneIsNotWithdrawn) {
  const auto token = desk_.invite(kNow, kInvitationLifetime, random_);
  ASSERT_TRUE(desk_.withdraw(token.number));
  EXPECT_EQ(redeem(token, kAnna), ErrorCode::bad_identity);
  const auto used = desk_.invite(kNow, kInvitationLifetime, random_);
  ASSERT_TRUE(desk_.redeem(used, kAnna, kNow, random_));
  EXPECT_EQ(desk_.withdraw(used.number).error().code(), ErrorCode::already_exists);
  EXPECT_EQ(desk_.withdraw({9}).error().code(), ErrorCode::not_found);
}

TEST_F(EnrolmentDeskTest, AKeyWithoutAnInvitationWaitsForTheOperator) {
  EXPECT_EQ(desk_.ask(kAnna, kNow).value(), std::nullopt);
  EXPECT_EQ(desk_.ask(kAnna, kNow + 1h).value(), std::nullopt) << "asking again is no second request";
  ASSERT_THAT(desk_.requests(), SizeIs(1));
  ASSERT_TRUE(desk_.approve(kAnna, kNow + 2h, random_));
  const auto device = desk_.ask(kAnna, kNow + 3h).value();
  ASSERT_TRUE(device);
  EXPECT_EQ(desk_.ask(kAnna, kNow + 4h).value(), device) << "an answer may be lost";
  EXPECT_EQ(desk_.approve(kAnna, kNow + 5h, random_).error().code(), ErrorCode::not_found) << "approved already";
}

TEST_F(EnrolmentDeskTest, ADeclinedKeyIsToldSoAndMayAskAgainAWeekLater) {
  ASSERT_TRUE(desk_.ask(kEve, kNow));
  ASSERT_TRUE(desk_.decline(kEve, kNow));
  EXPECT_EQ(desk_.ask(kEve, kNow + 1h).error().code(), ErrorCode::bad_identity);
  EXPECT_EQ(desk_.approve(kEve, kNow, random_).error().code(), ErrorCode::not_found);
  EXPECT_EQ(desk_.ask(kEve, kNow + kRequestLifetime).value(), std::nullopt);
}

TEST_F(EnrolmentDeskTest, OnlySoManyWaitAndWhoIsForgottenMakesRoom) {
  for (std::size_t i = 0; i < kMostWaiting; ++i) {
    ASSERT_TRUE(desk_.ask(random_.array<32>(), kNow)) << i;
  }
  EXPECT_EQ(desk_.ask(kAnna, kNow).error().code(), ErrorCode::overloaded);
  EXPECT_EQ(desk_.ask(kAnna, kNow + kRequestLifetime).value(), std::nullopt);
  EXPECT_THAT(desk_.requests(), SizeIs(1));
}

TEST_F(EnrolmentDeskTest, ItsTextIsReadAsItWasAndHoldsNoSecret) {
  const auto open = desk_.invite(kNow, kInvitationLifetime, random_);
  const auto used = desk_.invite(kNow, kInvitationLifetime, random_);
  const auto withdrawn = desk_.invite(kNow, kInvitationLifetime, random_);
  ASSERT_TRUE(desk_.redeem(used, kAnna, kNow, random_));
  ASSERT_TRUE(desk_.withdraw(withdrawn.number));
  for (std::uint8_t key = 10; key < 13; ++key) ASSERT_TRUE(desk_.ask({key}, kNow));
  ASSERT_TRUE(desk_.approve({11}, kNow, random_));
  ASSERT_TRUE(desk_.decline({12}, kNow));
  const std::string text = desk_.text();
  EXPECT_THAT(text, Not(HasSubstr(to_hex(open.secret.expose()))));
  const auto read = EnrolmentDesk::parse(text);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->invitations(), desk_.invitations());
  EXPECT_EQ(read->requests(), desk_.requests());
  EXPECT_EQ(read->text(), text);
}

TEST_F(EnrolmentDeskTest, ADamagedTextIsNamedByItsLine) {
  static_cast<void>(desk_.invite(kNow, kInvitationLifetime, random_));
  ASSERT_TRUE(desk_.ask(kAnna, kNow));
  const std::string text = desk_.text();
  EXPECT_EQ(EnrolmentDesk::parse("# chorus-certs enrolments 2\n").error().code(), ErrorCode::unsupported_version);
  EXPECT_EQ(EnrolmentDesk::parse("").error().where(), "line 1");
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"open", "used"},
                                 {"invitation\t", "invite\t"},
                                 {"waiting", "approved"},
                                 {"2024-01-01T", "2024-13-01T"}}) {
    std::string damaged = text;
    damaged.replace(damaged.find(from), from.size(), to);
    const auto read = EnrolmentDesk::parse(damaged);
    ASSERT_FALSE(read) << to;
    EXPECT_EQ(read.error().code(), ErrorCode::malformed) << to;
    EXPECT_THAT(read.error().where(), HasSubstr("line ")) << to;
  }
}

}  // namespace
}  // namespace chorus::certs
