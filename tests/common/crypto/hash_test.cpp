#include "common/crypto/hash.hpp"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace chorus::crypto {
namespace {

// FIPS 180-4 examples (NIST, "SHA256.pdf") and the empty message (NIST CAVP, SHA256ShortMsg, Len = 0).
constexpr char kEmpty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kTwoBlocks[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
constexpr char kMillionA[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
constexpr char kTwoBlockMessage[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(to_hex(sha256({})), kEmpty);
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), kAbc);
  EXPECT_EQ(to_hex(sha256(as_bytes(kTwoBlockMessage))), kTwoBlocks);
  EXPECT_EQ(to_hex(sha256(as_bytes(std::string(1'000'000, 'a')))), kMillionA);
}

TEST(Sha256, AStreamCutAnywhereGivesTheSameDigest) {
  const std::string_view message = kTwoBlockMessage;
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    Sha256 hash;
    hash.update(as_bytes(message.substr(0, cut))).update(as_bytes(message.substr(cut)));
    EXPECT_EQ(to_hex(hash.finish()), kTwoBlocks) << "cut at " << cut;
  }
}

TEST(Sha256, StartsAnewAfterItsDigest) {
  Sha256 hash;
  hash.update(as_bytes("something else"));
  static_cast<void>(hash.finish());
  EXPECT_EQ(to_hex(hash.finish()), kEmpty);
  EXPECT_EQ(to_hex(hash.update(as_bytes("abc")).finish()), kAbc);
}

TEST(Sha256, AMovedStreamGoesOn) {
  Sha256 hash;
  hash.update(as_bytes("ab"));
  Sha256 moved = std::move(hash);
  EXPECT_EQ(to_hex(moved.update(as_bytes("c")).finish()), kAbc);
}

}  // namespace
}  // namespace chorus::crypto
