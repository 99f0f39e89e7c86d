// The messages of a secure sum after the roster, and their canonical encodings (grammar: common/PROTOCOL.md). Every
// decoder knows n from the roster, refuses trailing bytes and allocates no more than its input holds.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/crypto/aead.hpp"
#include "common/crypto/merkle.hpp"
#include "common/crypto/signature.hpp"
#include "common/secagg/commitment.hpp"
#include "common/secagg/member_set.hpp"
#include "common/secagg/parameters.hpp"

namespace chorus::secagg {

// A share pair encrypted for one holder: two openings and the tag.
inline constexpr std::size_t kSealedShares = 2 * Opening::kSize + crypto::kAeadTag;
using SealedShares = ByteArray<kSealedShares>;

// Dealer → coordinator (step 3). commitments: [n], the dealer's own too; sealed: [n], the dealer's own left zero and
// not sent. The root is not sent: it follows from the commitments.
struct Shares {
  Digest seed_commitment{};
  crypto::Signature signature{};
  std::vector<ShareCommitments> commitments;
  std::vector<SealedShares> sealed;
  friend bool operator==(const Shares&, const Shares&) = default;
};
// The largest encodings of the messages below, at kMostMembers, in bytes.
inline constexpr std::size_t kMostShares = 96 + kMostMembers * (ShareCommitments::kSize + kSealedShares);
inline constexpr std::size_t kMostBitmap = MemberSet::encoded_size(kMostMembers);
// What one dealer dealt to one holder. A Merkle path in a tree of kMostMembers leaves has at most 9 hashes.
inline constexpr std::size_t kMostParcel = 32 + 32 + 64 + ShareCommitments::kSize + 9 * 32 + kSealedShares;
inline constexpr std::size_t kMostDelivery = kMostBitmap + kMostMembers * kMostParcel;
inline constexpr std::size_t kMostMasked = kMostBitmap + 32 + 64;
inline constexpr std::size_t kMostCertificate = 4 + kMostMembers * (4 + 64);
inline constexpr std::size_t kMostOpenings = kMostMembers * Opening::kSize + 64;

[[nodiscard]] Bytes encode(const Shares& message, std::uint32_t dealer);
[[nodiscard]] Result<Shares> decode_shares(ByteView bytes, std::uint32_t members, std::uint32_t dealer);

// What one dealer dealt to one holder, as the coordinator passes it on.
struct Dealt {
  Digest root{};
  Digest seed_commitment{};
  crypto::Signature signature{};
  ShareCommitments commitments;
  std::vector<Digest> path;  // of the holder's leaf in the dealer's tree
  SealedShares sealed{};
  friend bool operator==(const Dealt&, const Dealt&) = default;
};
// Coordinator → holder (step 4). dealt: one for each dealer other than the holder, in order of position.
struct Delivery {
  MemberSet dealers;  // U2
  std::vector<Dealt> dealt;
  friend bool operator==(const Delivery&, const Delivery&) = default;
};
[[nodiscard]] Bytes encode(const Delivery& message, std::uint32_t holder);
// The same bytes straight from what the dealers sent, one for each position: [n] shares and trees of their commitments.
// REQUIRES: those of every dealer but the holder are there.
[[nodiscard]] Bytes encode_delivery(const MemberSet& dealers, std::uint32_t holder,
                                    std::span<const std::optional<Shares>> shares,
                                    std::span<const std::optional<crypto::MerkleTree>> trees);
[[nodiscard]] Result<Delivery> decode_delivery(ByteView bytes, std::uint32_t members, std::uint32_t holder);

// Member → coordinator (step 5), after the masked vector's own bytes.
struct Masked {
  MemberSet held;   // dealers whose shares opened
  Digest vector{};  // H(y)
  crypto::Signature signature{};
  friend bool operator==(const Masked&, const Masked&) = default;
};
[[nodiscard]] Bytes encode(const Masked& message);
[[nodiscard]] Result<Masked> decode_masked(ByteView bytes, std::uint32_t members);
// What is signed under "CSA/1/masked": h1 ‖ h2 ‖ H(y) ‖ held.
[[nodiscard]] Bytes masked_statement(const Digest& h1, const Digest& h2, const Digest& vector, const MemberSet& held);

// Coordinator → member (step 6).
struct Survivors {
  MemberSet survivors;  // U3
  friend bool operator==(const Survivors&, const Survivors&) = default;
};
[[nodiscard]] Bytes encode(const Survivors& message);
// Errors: bad_survivors.
[[nodiscard]] Result<Survivors> decode_survivors(ByteView bytes, std::uint32_t members);

// Coordinator → member (step 7): signatures on h3, by strictly increasing positions.
struct Certificate {
  struct Vote {
    std::uint32_t position = 0;
    crypto::Signature signature{};
    friend bool operator==(const Vote&, const Vote&) = default;
  };
  std::vector<Vote> votes;
  friend bool operator==(const Certificate&, const Certificate&) = default;
};
[[nodiscard]] Bytes encode(const Certificate& message);
// Errors: bad_quorum for an order or position that cannot be, malformed.
[[nodiscard]] Result<Certificate> decode_certificate(ByteView bytes, std::uint32_t members);

// Member → coordinator (step 8): for each dealer in `held`, in order, exactly one opening; of which kind follows from
// the survivors, so that a message cannot say both.
struct Openings {
  std::vector<Opening> openings;
  crypto::Signature signature{};
};
[[nodiscard]] crypto::ZeroizingBytes encode_openings_body(const std::vector<Opening>& openings);
// The same part of a message that decode_openings() accepted.
[[nodiscard]] inline ByteView openings_body(ByteView message) {
  return message.first(message.size() - 64);
}
[[nodiscard]] Bytes encode(const Openings& message);
[[nodiscard]] Result<Openings> decode_openings(ByteView bytes, std::uint32_t held);
// What is signed under "CSA/1/unmask": h3 ‖ body.
[[nodiscard]] crypto::ZeroizingBytes openings_statement(const Digest& h3, ByteView body);

}  // namespace chorus::secagg
