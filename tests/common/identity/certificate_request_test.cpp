#include "common/identity/certificate_request.hpp"

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::identity {
namespace {

class CertificateRequestTest : public ::testing::Test {
 protected:
  static ErrorCode refusal(ByteView der) {
    const auto read = read_certificate_request(der);
    return read ? ErrorCode::aborted : read.error().code();
  }
  sim::SeededRandom random_{31};
  const crypto::SigningKey key_ = crypto::SigningKey::generate(random_);
  const Bytes request_ = make_certificate_request(key_);
};

TEST_F(CertificateRequestTest, NamesTheKeyThatSignedIt) {
  const auto read = read_certificate_request(request_);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(*read, key_.public_key());
  EXPECT_LT(request_.size(), 256U);
}

TEST_F(CertificateRequestTest, OneThatAnotherKeySignedIsRefused) {
  Bytes changed = request_;
  changed.back() ^= 1;
  EXPECT_EQ(refusal(changed), ErrorCode::bad_signature);
}

// Any bit: refused, and never read as another key's.
TEST_F(CertificateRequestTest, NoChangedBitIsAccepted) {
  for (std::size_t bit = 0; bit < request_.size() * 8; ++bit) {
    Bytes changed = request_;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(read_certificate_request(changed)) << bit;
  }
}

TEST_F(CertificateRequestTest, EndsWhereItsBytesEnd) {
  for (std::size_t size = 0; size < request_.size(); ++size) {
    EXPECT_EQ(refusal(ByteView(request_).first(size)), ErrorCode::malformed) << size;
  }
  Bytes longer = request_;
  longer.push_back(0);
  EXPECT_EQ(refusal(longer), ErrorCode::malformed);
  EXPECT_EQ(refusal(Bytes(kMostRequestBytes + 1)), ErrorCode::too_large);
}

// openssl genpkey -algorithm x25519 cannot sign; an Ed448 key can, and is none of ours:
//   openssl req -new -key <(openssl genpkey -algorithm ed448) -subj / -outform der | xxd -p
TEST_F(CertificateRequestTest, AnotherKindOfKeyIsABadKey) {
  const auto ed448 = from_hex(
      "3081ca304c02010030003043300506032b6571033a00d6b36fcd2a34d90bc23e50f39bed7c2d20442a059e21da1969b8"
      "28b3a16eb1624d93fa571df401b1c4bdb6ba288b562cef3111b77c18a30f00a000300506032b6571037300a9eb006a9e"
      "7d0bebd8864d0c849be1801c620809f936ca223266371996bdfbcb958d07d04e16c94b53a513944eb320b07f2d2e3ba3"
      "e3c58d00696fa4971b309cf896eb7922171ba1d44a39e599b02b7058f40ef7b8ffb51ee12b5207c0bc84dccafd7afce3"
      "28a2dd935c2a412b8ee1f93b00");
  ASSERT_TRUE(ed448);
  EXPECT_EQ(refusal(*ed448), ErrorCode::bad_key);
}

}  // namespace
}  // namespace chorus::identity
