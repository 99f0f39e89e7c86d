// Merkle tree over SHA-256 with separated leaf and node hashes (RFC 6962, section 2.1): one signed root commits to
// many values, and a path of ceil(log2 n) digests shows one of them.
#pragma once

#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"

namespace chorus::crypto {

[[nodiscard]] Digest merkle_leaf(ByteView value);                           // H(0 ‖ value)
[[nodiscard]] Digest merkle_node(const Digest& left, const Digest& right);  // H(1 ‖ left ‖ right)

// The tree of n ≥ 1 leaves; a level of odd length passes its last digest up unchanged. Immutable, thread-safe.
class MerkleTree {
 public:
  explicit MerkleTree(std::vector<Digest> leaves);
  [[nodiscard]] const Digest& root() const noexcept { return levels_.back().front(); }
  // The siblings from the leaf up, without the levels where the digest is passed up alone.
  [[nodiscard]] std::vector<Digest> path(std::size_t leaf) const;
  // The same, written to `to`, which has room for merkle_path_length() digests; the first place beyond.
  std::uint8_t* copy_path(std::size_t leaf, std::uint8_t* to) const;

 private:
  std::vector<std::vector<Digest>> levels_;
};

// How many digests path(leaf) of a tree of n leaves has. REQUIRES: leaf < n.
[[nodiscard]] std::size_t merkle_path_length(std::size_t leaf, std::size_t n) noexcept;
// The root that a leaf and its path lead to. REQUIRES: leaf < n and path.size() == merkle_path_length(leaf, n).
[[nodiscard]] Digest merkle_root(const Digest& leaf_hash, std::size_t leaf, std::size_t n,
                                 std::span<const Digest> path);

}  // namespace chorus::crypto
