// Enrolment messages: one encoding each, and nothing else is read.
#include "common/protocol/enrolment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::protocol::enrolment {
namespace {

using ::testing::HasSubstr;

crypto::SecretBytes<16> secret(std::uint8_t first) {
  crypto::SecretBytes<16> made;
  made.expose()[0] = first;
  made.expose()[15] = 9;
  return made;
}

Token token() {
  return {.number = {1, 2, 3}, .secret = secret(7)};
}

std::vector<Request> every_request() {
  std::vector<Request> requests;
  requests.emplace_back(FetchList{});
  requests.emplace_back(Enrol{.request = {1, 2, 3}, .token = std::nullopt});
  requests.emplace_back(Enrol{.request = Bytes(identity::kMostRequestBytes, 5), .token = token()});
  requests.emplace_back(Renew{.serial = {4}, .request = {9}, .proof = {8}});
  requests.emplace_back(Resign{.serial = {4}, .proof = {8}});
  return requests;
}

std::vector<Answer> every_answer() {
  const Documents one{.authority = {1}, .certificate = {2, 2}, .statement = {3}, .list = {4}};
  const Documents other{.authority = {5}, .certificate = {6}, .statement = {}, .list = {7}};
  return {List{.list = {1, 2}},
          Issued{.documents = one},
          Issued{.documents = one, .successor = Successor{.documents = other, .address = "next.example:7444"}},
          Pending{.retry_after = 90s},
          Refused{.code = ErrorCode::revoked, .sentence = "no"},
          Resigned{.list = {3}}};
}

TEST(EnrolmentMessages, HaveOneEncodingAndRefuseTruncationAndTrailingBytes) {
  std::size_t kind = 0;
  for (const Request& request : every_request()) {
    const auto bytes = encode(request);
    ASSERT_LE(bytes.size(), kMostRequest);
    const auto read = decode_request(bytes);
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(encode(*read), bytes) << kind++;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_request(ByteView(bytes).first(size))) << size;
    }
    auto longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(decode_request(longer));
    EXPECT_FALSE(decode_answer(bytes)) << "nor is it an answer";
  }
  for (const Answer& answer : every_answer()) {
    const Bytes bytes = encode(answer);
    const auto read = decode_answer(bytes);
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(encode(*read), bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_answer(ByteView(bytes).first(size))) << size;
    }
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(decode_answer(longer));
    EXPECT_FALSE(decode_request(bytes));
  }
  const Challenge challenge{.nonce = {1, 2, 3}};
  EXPECT_EQ(decode_challenge(encode(challenge))->nonce, challenge.nonce);
  EXPECT_FALSE(decode_challenge(encode(Answer(List{}))));
}

TEST(EnrolmentMessages, ATokenAndProofsArriveAsTheyWere) {
  const auto enrol = decode_request(encode(Request(Enrol{.request = {1}, .token = token()})));
  const auto& found = std::get<Enrol>(*enrol).token;
  ASSERT_TRUE(found);
  EXPECT_EQ(found->number, token().number);
  EXPECT_EQ(found->secret, token().secret);
  const auto renew = decode_request(encode(Request(Renew{.serial = {1}, .request = {2, 3}, .proof = {4}})));
  EXPECT_EQ(std::get<Renew>(*renew).request, (Bytes{2, 3}));
  const auto refused = decode_answer(encode(Answer(Refused{.code = ErrorCode::expired, .sentence = "it\nended"})));
  EXPECT_EQ(std::get<Refused>(*refused).code, ErrorCode::expired);
  EXPECT_EQ(std::get<Refused>(*refused).sentence, "it ended") << "nothing that moves a cursor";
}

TEST(EnrolmentMessages, TooMuchIsRefusedBeforeItIsRead) {
  EXPECT_EQ(decode_request(Bytes(kMostRequest + 1)).error().code(), ErrorCode::too_large);
  EXPECT_FALSE(decode_request(encode(Request(Enrol{.request = Bytes(identity::kMostRequestBytes + 1), .token = {}}))));
}

TEST(EnrolmentMessages, RandomBytesAndFlippedBitsNeverCrash) {
  sim::SeededRandom random(5);
  std::vector<Bytes> seeds;
  for (const Request& request : every_request()) {
    const auto bytes = encode(request);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  for (const Answer& answer : every_answer()) seeds.push_back(encode(answer));
  for (Bytes seed : seeds) {
    if (seed.size() > 512) seed.resize(512);
    for (std::size_t bit = 0; bit < seed.size() * 8; ++bit) {
      Bytes changed = seed;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      static_cast<void>(decode_request(changed));
      static_cast<void>(decode_answer(changed));
      static_cast<void>(decode_challenge(changed));
    }
  }
}

TEST(EnrolmentProofs, BindTheChallengeTheAuthorityAndEachField) {
  const Renew renew{.serial = {1}, .request = {2}};
  const Bytes bytes = renewal_bytes({.nonce = {1}}, {1}, renew);
  EXPECT_NE(bytes, renewal_bytes({.nonce = {2}}, {1}, renew));
  EXPECT_NE(bytes, renewal_bytes({.nonce = {1}}, {2}, renew));
  EXPECT_NE(bytes, renewal_bytes({.nonce = {1}}, {1}, Renew{.serial = {9}, .request = {2}}));
  EXPECT_NE(bytes, renewal_bytes({.nonce = {1}}, {1}, Renew{.serial = {1}, .request = {9}}));
  const Resign resign{.serial = {1}};
  EXPECT_NE(resignation_bytes({.nonce = {1}}, {1}, resign), resignation_bytes({.nonce = {2}}, {1}, resign));
  EXPECT_NE(kRenewalLabel, kResignationLabel);
}

TEST(Invitations, AreReadFromTheirText) {
  const Invitation open{.authority = {0xab, 1}};
  const auto text = to_text(open);
  const std::string_view shown(text.data(), text.size());
  EXPECT_EQ(shown.size(), 64U);
  EXPECT_TRUE(shown.starts_with("ab01")) << "as openssl prints a fingerprint, without colons";
  EXPECT_EQ(parse_invitation(shown)->authority, open.authority);
  EXPECT_FALSE(parse_invitation(shown)->token);

  const auto with = to_text(Invitation{.authority = {1}, .token = token()});
  const auto read = parse_invitation({with.data(), with.size()});
  ASSERT_TRUE(read);
  ASSERT_TRUE(read->token);
  EXPECT_EQ(read->token->number, token().number);
  EXPECT_EQ(read->token->secret, token().secret);
}

TEST(Invitations, HalfOfOneIsNone) {
  const auto text = to_text(Invitation{.authority = {1}, .token = token()});
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto read = parse_invitation({text.data(), size});
    if (size == 64) continue;  // which is one without a token
    ASSERT_FALSE(read) << size;
    EXPECT_THAT(read.error().sentence(), HasSubstr("copy all of it"));
  }
  EXPECT_FALSE(parse_invitation(std::string(text.data(), text.size()) + "0"));
  std::string other(text.data(), text.size());
  other[3] = 'x';
  EXPECT_FALSE(parse_invitation(other));
}

}  // namespace
}  // namespace chorus::protocol::enrolment
