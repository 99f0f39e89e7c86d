#include "common/crypto/prg.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace chorus::crypto {
namespace {

std::string key_stream(const SecretBytes<32>& seed, std::uint64_t stream, std::size_t size) {
  Prg prg(seed, stream);
  Bytes bytes(size);
  prg.fill(bytes);
  return to_hex(bytes);
}

// The counter mode of NIST SP 800-38A under the zero key. Block 0: NIST CAVP, ECBGFSbox/VarKey with a zero block;
// blocks 1 and 2: McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 (tag of the empty message,
// which is E(K, 1)) and 14 (ciphertext of a zero block, which is E(K, 2)).
TEST(Prg, CountsItsBlocksFromZeroBigEndian) {
  EXPECT_EQ(key_stream(SecretBytes<32>(), 0, 48),
            "dc95c078a2408989ad48a21492842087"
            "530f8afbc74536b9a963b4f1c4cb738b"
            "cea7403d4d606b6e074ec5d3baf39d18");
}

// NIST CAVP, ECBVarTxt256: the counter blocks 80 00 … and ff ff ff ff ff ff ff ff 00 ….
TEST(Prg, PutsTheStreamBigEndianBeforeTheCounter) {
  EXPECT_EQ(key_stream(SecretBytes<32>(), 0x8000000000000000, 16), "ddc6bf790c15760d8d9aeb6f9a75fd4e");
  EXPECT_EQ(key_stream(SecretBytes<32>(), 0xffffffffffffffff, 16), "9b58dbfd77fe5aca9cfc190cd1b82d19");
}

// SP 800-38A's AES-256 key (F.5.5), with a counter block that begins at a stream's zero.
TEST(Prg, UsesTheSeedAsTheKey) {
  const Bytes key = from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").value();
  const SecretBytes<32> seed(std::span<const std::uint8_t, 32>(key.data(), 32));
  EXPECT_EQ(key_stream(seed, 0x0102030405060708, 48),
            "00ec9f5acc58c58de8db5644623189cc48136ef4af72febbd94fdae61557875c782f047e3472f3d85de4e0b007634317");
}

TEST(Prg, PiecesOfAnySizeMakeTheSameStream) {
  SecretBytes<32> seed;
  seed.expose()[0] = 9;
  Prg whole(seed, 3);
  Bytes expected(1000);
  whole.fill(expected);

  Prg pieces(seed, 3);
  Bytes found;
  for (std::size_t size = 0; found.size() < expected.size(); ++size) {
    Bytes piece(std::min(size, expected.size() - found.size()), 0xaa);
    pieces.fill(piece);
    found.insert(found.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(to_hex(found), to_hex(expected));
}

TEST(Prg, AMovedGeneratorGoesOn) {
  SecretBytes<32> seed;
  Prg whole(seed, 1);
  Bytes expected(32);
  whole.fill(expected);

  Prg first(seed, 1);
  Bytes head(16);
  first.fill(head);
  Prg moved = std::move(first);
  Bytes tail(16);
  moved.fill(tail);
  EXPECT_EQ(to_hex(head) + to_hex(tail), to_hex(expected));
}

}  // namespace
}  // namespace chorus::crypto
