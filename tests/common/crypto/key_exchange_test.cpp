#include "common/crypto/key_exchange.hpp"

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::crypto {
namespace {

ByteArray<32> bytes(std::string_view hex) {
  ByteArray<32> out{};
  EXPECT_TRUE(from_hex_into(hex, out).has_value());
  return out;
}

ExchangeSecret pair(std::string_view hex) {
  const ByteArray<32> raw = bytes(hex);
  return ExchangeSecret::from_bytes(SecretBytes<32>(std::span<const std::uint8_t, 32>(raw)));
}

// RFC 7748, section 6.1.
TEST(KeyExchange, MatchesRfc7748) {
  const ExchangeSecret alice = pair("77076d0a7318a57d3c16c17251b26645df4c2f92ebc099ac1bb1a1a2a5b5d4e5");
  const ExchangeSecret bob = pair("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  EXPECT_EQ(to_hex(bob.public_key()), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const auto ours = Exchange(alice.secret()).agree(bob.public_key());
  const auto theirs = Exchange(bob.secret()).agree(alice.public_key());
  ASSERT_TRUE(ours.has_value());
  ASSERT_TRUE(theirs.has_value());
  EXPECT_TRUE(*ours == *theirs);
}

// RFC 7748, section 5.2.
TEST(KeyExchange, MatchesTheScalarMultiplicationVectors) {
  const ExchangeSecret scalar = pair("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
  const auto product =
      Exchange(scalar.secret()).agree(bytes("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"));
  ASSERT_TRUE(product.has_value());
  EXPECT_EQ(to_hex(product->expose()), "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

// The points of small order (RFC 7748, section 6.1; Bernstein, "Curve25519", 2006).
TEST(KeyExchange, RefusesEveryLowOrderPoint) {
  sim::SeededRandom random(1);
  const ExchangeSecret mine = ExchangeSecret::generate(random);
  const Exchange exchange(mine.secret());
  for (const std::string_view point : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
           "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
       }) {
    const auto shared = exchange.agree(bytes(point));
    ASSERT_FALSE(shared.has_value()) << point;
    EXPECT_EQ(shared.error().code(), ErrorCode::bad_key);
    ExchangeKey key = bytes(point);
    EXPECT_TRUE(is_low_order(key)) << point;
    key.back() |= 0x80;  // which the agreement ignores
    EXPECT_FALSE(exchange.agree(key).has_value()) << point;
    EXPECT_TRUE(is_low_order(key)) << point;
  }
  EXPECT_FALSE(is_low_order(mine.public_key()));
}

}  // namespace
}  // namespace chorus::crypto
