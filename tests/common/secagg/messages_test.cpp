#include "common/secagg/messages.hpp"

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::secagg {
namespace {

struct Dealers {
  std::vector<std::optional<Shares>> shares;
  std::vector<std::optional<crypto::MerkleTree>> trees;
};

// What n dealers sent, but for those that are silent.
Dealers deal(std::uint32_t n, const MemberSet& dealers, crypto::RandomSource& random) {
  Dealers all{std::vector<std::optional<Shares>>(n), std::vector<std::optional<crypto::MerkleTree>>(n)};
  for (const std::uint32_t dealer : dealers.positions()) {
    Shares shares{
        .seed_commitment = random.array<32>(), .signature = random.array<64>(), .commitments = {}, .sealed = {}};
    std::vector<Digest> leaves;
    for (std::uint32_t holder = 0; holder < n; ++holder) {
      shares.commitments.push_back({random.array<32>(), random.array<32>()});
      random.fill(shares.sealed.emplace_back());
      leaves.push_back(random.array<32>());
    }
    all.shares[dealer] = std::move(shares);
    all.trees[dealer].emplace(std::move(leaves));
  }
  return all;
}

TEST(Messages, ADeliveryFromTheDealersSharesHasTheBytesOfTheMessage) {
  constexpr std::uint64_t kSeed = 21;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  sim::SeededRandom random(kSeed);
  for (const std::uint32_t n : {2U, 3U, 7U, 8U, 13U}) {
    MemberSet dealers(n);
    for (std::uint32_t p = 0; p < n; ++p) {
      if (p % 5 != 3) dealers.insert(p);
    }
    const Dealers all = deal(n, dealers, random);
    for (std::uint32_t holder = 0; holder < n; ++holder) {
      Delivery message{dealers, {}};
      for (const std::uint32_t dealer : dealers.positions()) {
        if (dealer == holder) continue;
        const Shares& shares = *all.shares[dealer];
        message.dealt.push_back({all.trees[dealer]->root(), shares.seed_commitment, shares.signature,
                                 shares.commitments[holder], all.trees[dealer]->path(holder), shares.sealed[holder]});
      }
      const Bytes bytes = encode_delivery(dealers, holder, all.shares, all.trees);
      EXPECT_EQ(bytes, encode(message, holder)) << n << ' ' << holder;
      EXPECT_EQ(decode_delivery(bytes, n, holder).value(), message);
    }
  }
}

}  // namespace
}  // namespace chorus::secagg
