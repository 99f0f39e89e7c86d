#include "common/crypto/merkle.hpp"

#include <algorithm>
#include <bit>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"

namespace chorus::crypto {

Digest merkle_leaf(ByteView value) {
  // The common length, without an allocation.
  if (value.size() == 64) {
    ByteArray<1 + 64> bytes{};
    std::copy(value.begin(), value.end(), bytes.begin() + 1);
    return sha256(bytes);
  }
  Bytes bytes(1 + value.size(), 0);
  std::copy(value.begin(), value.end(), bytes.begin() + 1);
  return sha256(bytes);
}

Digest merkle_node(const Digest& left, const Digest& right) {
  ByteArray<1 + 2 * 32> bytes;
  bytes[0] = 1;
  std::copy(left.begin(), left.end(), bytes.begin() + 1);
  std::copy(right.begin(), right.end(), bytes.begin() + 33);
  return sha256(bytes);
}

MerkleTree::MerkleTree(std::vector<Digest> leaves) {
  CHORUS_ENSURE(!leaves.empty(), "a Merkle tree has leaves");
  levels_.reserve(std::bit_width(leaves.size()) + 1);
  levels_.push_back(std::move(leaves));
  while (levels_.back().size() > 1) {
    const std::vector<Digest>& below = levels_.back();
    std::vector<Digest> level;
    level.reserve((below.size() + 1) / 2);
    for (std::size_t i = 0; i + 1 < below.size(); i += 2) level.push_back(merkle_node(below[i], below[i + 1]));
    if (below.size() % 2 == 1) level.push_back(below.back());
    levels_.push_back(std::move(level));
  }
}

std::vector<Digest> MerkleTree::path(std::size_t leaf) const {
  std::vector<Digest> siblings(merkle_path_length(leaf, levels_.front().size()));
  copy_path(leaf, reinterpret_cast<std::uint8_t*>(siblings.data()));
  return siblings;
}

std::uint8_t* MerkleTree::copy_path(std::size_t leaf, std::uint8_t* to) const {
  CHORUS_ENSURE(leaf < levels_.front().size(), "the leaf is in the tree");
  for (const std::vector<Digest>& level : levels_) {
    const std::size_t sibling = leaf ^ 1;
    if (sibling < level.size()) to = std::copy(level[sibling].begin(), level[sibling].end(), to);
    leaf /= 2;
  }
  return to;
}

std::size_t merkle_path_length(std::size_t leaf, std::size_t n) noexcept {
  std::size_t length = 0;
  for (; n > 1; n = (n + 1) / 2, leaf /= 2) {
    if ((leaf ^ 1) < n) ++length;
  }
  return length;
}

Digest merkle_root(const Digest& leaf_hash, std::size_t leaf, std::size_t n, std::span<const Digest> path) {
  CHORUS_ENSURE(leaf < n && path.size() == merkle_path_length(leaf, n), "the path has the length of its leaf");
  Digest digest = leaf_hash;
  std::size_t step = 0;
  for (; n > 1; n = (n + 1) / 2, leaf /= 2) {
    if ((leaf ^ 1) >= n) continue;
    const Digest& sibling = path[step++];
    digest = leaf % 2 == 0 ? merkle_node(digest, sibling) : merkle_node(sibling, digest);
  }
  return digest;
}

}  // namespace chorus::crypto
