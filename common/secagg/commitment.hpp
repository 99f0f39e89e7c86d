// Commitments that let anybody tell a lying dealer from a lying holder (design: secure aggregation, step 3).
#pragma once

#include "common/base/bytes.hpp"
#include "common/crypto/signature.hpp"
#include "common/secagg/shamir.hpp"

namespace chorus::secagg {

// β opens the self mask of a survivor, κ the pairwise masks of a member that was lost.
enum class ShareKind : std::uint8_t { beta = 1, kappa = 2 };

using Salt = crypto::SecretBytes<32>;

// What opens a share's commitment; 72 bytes.
struct Opening {
  static constexpr std::size_t kSize = kShareSize + 32;
  Share share;
  Salt salt;
};

// H("CSA/1/share-commitment" ‖ 0 ‖ kind ‖ h1 ‖ i ‖ j ‖ share ‖ salt): dealer i's share for holder j.
[[nodiscard]] Digest commit(ShareKind kind, const Digest& h1, std::uint32_t dealer, std::uint32_t holder,
                            const Opening& opening);
// H("CSA/1/seed-commitment" ‖ 0 ‖ h1 ‖ i ‖ β_i)
[[nodiscard]] Digest commit_seed(const Digest& h1, std::uint32_t dealer, const crypto::SecretBytes<32>& beta);

// The two commitments for one holder: a leaf of the dealer's Merkle tree, H(0 ‖ c^β ‖ c^κ).
struct ShareCommitments {
  static constexpr std::size_t kSize = 64;
  Digest beta{};
  Digest kappa{};
  [[nodiscard]] const Digest& of(ShareKind kind) const noexcept { return kind == ShareKind::beta ? beta : kappa; }
  [[nodiscard]] Digest leaf() const;
  friend bool operator==(const ShareCommitments&, const ShareCommitments&) = default;
};

// What a dealer signs (label "CSA/1/shares"): h1 ‖ root ‖ Com(β).
[[nodiscard]] Bytes dealer_statement(const Digest& h1, const Digest& root, const Digest& seed_commitment);

}  // namespace chorus::secagg
