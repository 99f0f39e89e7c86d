#include "common/crypto/merkle.hpp"

#include <gtest/gtest.h>

#include "common/crypto/hash.hpp"

namespace chorus::crypto {
namespace {

std::vector<Digest> leaves(std::size_t n) {
  std::vector<Digest> out;
  for (std::size_t i = 0; i < n; ++i) {
    ByteWriter writer;
    writer.u64(i);
    out.push_back(merkle_leaf(writer.view()));
  }
  return out;
}

// The reference tree of RFC 6962's implementations: eight leaves, roots of its prefixes.
TEST(MerkleTree, MatchesTheCertificateTransparencyVectors) {
  const std::vector<Bytes> values = {
      {},
      {0x00},
      {0x10},
      {0x20, 0x21},
      {0x30, 0x31},
      {0x40, 0x41, 0x42, 0x43},
      {0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57},
      {0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f},
  };
  const auto root = [&](std::size_t n) {
    std::vector<Digest> hashed;
    for (std::size_t i = 0; i < n; ++i) hashed.push_back(merkle_leaf(values[i]));
    return to_hex(MerkleTree(std::move(hashed)).root());
  };
  EXPECT_EQ(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  EXPECT_EQ(root(2), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
  EXPECT_EQ(root(3), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
  EXPECT_EQ(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

TEST(MerkleTree, EveryPathOfEverySizeLeadsToTheRoot) {
  for (std::size_t n = 1; n <= 40; ++n) {
    const std::vector<Digest> hashed = leaves(n);
    const MerkleTree tree(hashed);
    for (std::size_t i = 0; i < n; ++i) {
      const std::vector<Digest> path = tree.path(i);
      ASSERT_EQ(path.size(), merkle_path_length(i, n));
      EXPECT_EQ(merkle_root(hashed[i], i, n, path), tree.root()) << i << " of " << n;
    }
  }
}

TEST(MerkleTree, APathShowsNoOtherLeafAndNoOtherPlace) {
  const std::vector<Digest> hashed = leaves(8);
  const MerkleTree tree(hashed);
  for (std::size_t place = 0; place < 8; ++place) {
    for (std::size_t leaf = 0; leaf < 8; ++leaf) {
      if (leaf == place) continue;
      EXPECT_NE(merkle_root(hashed[leaf], place, 8, tree.path(place)), tree.root());
      EXPECT_NE(merkle_root(hashed[place], leaf, 8, tree.path(place)), tree.root());
    }
  }
}

}  // namespace
}  // namespace chorus::crypto
