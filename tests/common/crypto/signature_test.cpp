#include "common/crypto/signature.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::crypto {
namespace {

SigningKey key_from_hex(std::string_view hex) {
  const Bytes bytes = from_hex(hex).value();
  return SigningKey::from_seed(SecretBytes<32>(std::span<const std::uint8_t, 32>(bytes.data(), 32)));
}

bool is_bad_signature(const Status& status) {
  return !status.has_value() && status.error().code() == ErrorCode::bad_signature;
}

// RFC 8032 section 7.1, TEST 1, 2, 3, 1024 and SHA(abc): seed and public key.
TEST(SigningKey, DerivesThePublishedPublicKeys) {
  const std::pair<std::string_view, std::string_view> kPairs[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"},
      {"f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
       "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e"},
      {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
       "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"},
  };
  for (const auto& [seed, public_key] : kPairs) EXPECT_EQ(to_hex(key_from_hex(seed).public_key()), public_key);
}

// RFC 8032 section 7.1, TEST 1024. Its 1023-byte message has a zero byte, so it is what we sign when the label is the
// bytes before that zero and the message those after it.
constexpr std::string_view kSeed1024 = "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5";
constexpr std::string_view kSignature1024 =
    "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350"
    "aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03";
constexpr std::string_view kMessage1024 =
    "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1"
    "e355f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d"
    "658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a"
    "7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e"
    "06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc10"
    "3b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed1"
    "85ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d"
    "502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f270"
    "88d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b"
    "eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128ba"
    "b27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969b"
    "e3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb7"
    "51fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988d"
    "cda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34df"
    "f7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7"
    "984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e4"
    "88acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac09"
    "43bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f"
    "b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f161"
    "0e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380d"
    "b2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8ca"
    "c60c905c15fc910840b94c00a0b9d0";

TEST(SigningKey, SignsLabelThenZeroThenMessageAsRfc8032Does) {
  const Bytes whole = from_hex(kMessage1024).value();
  ASSERT_EQ(whole.size(), 1023U);
  const auto zero = std::ranges::find(whole, std::uint8_t{0});
  ASSERT_NE(zero, whole.end());
  const std::string label(whole.begin(), zero);
  const Bytes message(zero + 1, whole.end());

  const SigningKey key = key_from_hex(kSeed1024);
  const Signature signature = key.sign(label, message);
  EXPECT_EQ(to_hex(signature), kSignature1024);
  EXPECT_TRUE(verify(key.public_key(), label, message, signature).has_value());
}

TEST(SigningKey, AGeneratedKeySignsWhatItsPublicKeyVerifies) {
  sim::SeededRandom random(1);
  const SigningKey key = SigningKey::generate(random);
  const Signature signature = key.sign("CHORUS/1/test", as_bytes("message"));
  EXPECT_TRUE(verify(key.public_key(), "CHORUS/1/test", as_bytes("message"), signature).has_value());
  const SigningKey another = SigningKey::generate(random);
  EXPECT_NE(another.public_key(), key.public_key());
  EXPECT_TRUE(is_bad_signature(verify(another.public_key(), "CHORUS/1/test", as_bytes("message"), signature)));
}

TEST(SigningKey, ADuplicateSignsTheSame) {
  sim::SeededRandom random(2);
  const SigningKey key = SigningKey::generate(random);
  const SigningKey copy = key.duplicate();
  EXPECT_EQ(copy.public_key(), key.public_key());
  EXPECT_EQ(copy.sign("CHORUS/1/test", {}), key.sign("CHORUS/1/test", {}));
}

TEST(SigningKey, AMoveWipesTheSeedOfTheSource) {
  sim::SeededRandom random(3);
  SigningKey source = SigningKey::generate(random);
  const SigningKey target = std::move(source);
  EXPECT_EQ(source.seed(), SecretBytes<32>());
  EXPECT_FALSE(target.seed() == SecretBytes<32>());
}

class VerifyTest : public ::testing::Test {
 protected:
  sim::SeededRandom random_{4};
  const SigningKey key_ = SigningKey::generate(random_);
  const Signature signature_ = key_.sign("CHORUS/1/one", as_bytes("message"));
};

TEST_F(VerifyTest, AnotherLabelIsRefused) {
  EXPECT_TRUE(is_bad_signature(verify(key_.public_key(), "CHORUS/1/two", as_bytes("message"), signature_)));
}

TEST_F(VerifyTest, TheBoundaryBetweenLabelAndMessageIsSigned) {
  EXPECT_TRUE(is_bad_signature(verify(key_.public_key(), "CHORUS/1/on", as_bytes("emessage"), signature_)));
  EXPECT_TRUE(is_bad_signature(verify(key_.public_key(), "CHORUS/1/onem", as_bytes("essage"), signature_)));
}

TEST_F(VerifyTest, EveryFlippedByteOfTheSignatureIsRefused) {
  for (std::size_t i = 0; i < signature_.size(); ++i) {
    Signature changed = signature_;
    changed[i] ^= 1;
    EXPECT_TRUE(is_bad_signature(verify(key_.public_key(), "CHORUS/1/one", as_bytes("message"), changed))) << i;
  }
}

TEST_F(VerifyTest, AnotherMessageIsRefused) {
  EXPECT_TRUE(is_bad_signature(verify(key_.public_key(), "CHORUS/1/one", as_bytes("massage"), signature_)));
  EXPECT_TRUE(is_bad_signature(verify(key_.public_key(), "CHORUS/1/one", {}, signature_)));
}

// RFC 8032 section 5.1.7: S must be in [0, L). S + L would make a second signature of the same message.
TEST_F(VerifyTest, ASignatureWithItsScalarNotReducedIsRefused) {
  // L = 2^252 + 27742317777372353535851937790883648493, little-endian.
  const Bytes order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").value();
  Signature changed = signature_;
  unsigned carry = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const unsigned sum = changed[32 + i] + order[i] + carry;
    changed[32 + i] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8;
  }
  ASSERT_EQ(carry, 0U);
  EXPECT_TRUE(is_bad_signature(verify(key_.public_key(), "CHORUS/1/one", as_bytes("message"), changed)));
}

TEST_F(VerifyTest, AKeyThatIsNoPointOfTheCurveIsRefused) {
  PublicKey no_point;
  no_point.fill(0xff);
  EXPECT_TRUE(is_bad_signature(verify(no_point, "CHORUS/1/one", as_bytes("message"), signature_)));
}

}  // namespace
}  // namespace chorus::crypto
