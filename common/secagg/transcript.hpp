// The transcript of a secure sum: four hashes, each over the one before, that bind every key, share, mask and signature
// to one plan, one roster, one set of dealers and one set of survivors (design: secure aggregation, section 2).
//
//   h0 = H(manifest)                               the plan
//   h1 = H("CSA/1/h1" ‖ 0 ‖ h0 ‖ n ‖ H(leaves))      the roster
//   h2 = H("CSA/1/h2" ‖ 0 ‖ h1 ‖ U2)                 who dealt shares
//   h3 = H("CSA/1/h3" ‖ 0 ‖ h2 ‖ U3)                 who survived
#pragma once

#include <string_view>

#include "common/base/bytes.hpp"
#include "common/crypto/secret_bytes.hpp"
#include "common/secagg/member_set.hpp"

namespace chorus::secagg {

inline constexpr std::string_view kAdvertiseLabel = "CSA/1/advertise";
inline constexpr std::string_view kSharesLabel = "CSA/1/shares";
inline constexpr std::string_view kMaskedLabel = "CSA/1/masked";
inline constexpr std::string_view kSurvivorsLabel = "CSA/1/survivors";
inline constexpr std::string_view kUnmaskLabel = "CSA/1/unmask";

[[nodiscard]] Digest roster_hash(const Digest& h0, std::uint32_t members, ByteView leaves);
[[nodiscard]] Digest dealers_hash(const Digest& h1, const MemberSet& dealers);
[[nodiscard]] Digest survivors_hash(const Digest& h2, const MemberSet& survivors);

// What the keys of the protocol are derived for; i and j are roster positions.
//   share key of i's shares for j: HKDF(X25519(share_i, share_j), salt h1, "CSA/1/share" ‖ i ‖ j)
//   pairwise mask seed:            HKDF(X25519(mask_i, mask_j), salt h2, "CSA/1/mask" ‖ min ‖ max)
//   self mask seed:                HKDF(β_i, salt h2, "CSA/1/self" ‖ i)
[[nodiscard]] crypto::SecretBytes<32> share_key(const crypto::SecretBytes<32>& agreed, const Digest& h1,
                                                std::uint32_t dealer, std::uint32_t holder);
[[nodiscard]] crypto::SecretBytes<32> pair_mask_seed(const crypto::SecretBytes<32>& agreed, const Digest& h2,
                                                     std::uint32_t a, std::uint32_t b);
[[nodiscard]] crypto::SecretBytes<32> self_mask_seed(const crypto::SecretBytes<32>& beta, const Digest& h2,
                                                     std::uint32_t member);

}  // namespace chorus::secagg
