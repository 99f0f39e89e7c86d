// The heavy half of unmasking: updates against their hashes, secrets from shares, seeds from secrets, and every mask
// taken off the sum in one pass of the mask kernel.
#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/crypto/key_exchange.hpp"
#include "common/ring/mask_kernel.hpp"
#include "common/ring/packing.hpp"
#include "common/secagg/transcript.hpp"
#include "coordinator/round/secure_sum.hpp"

namespace chorus::coordinator {

namespace {

struct Seed {
  crypto::SecretBytes<32> seed;
  bool subtract = false;
};

// Calls work(i) for every i below `count`, on up to `threads` threads.
template <typename Work>
void spread(std::size_t count, unsigned threads, Work&& work) {
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) work(i);
  };
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < std::min<std::size_t>(threads, count); ++i) others.emplace_back(loop);
  loop();
}

}  // namespace

Result<ring::CohortSum> SumRecovery::run(unsigned threads) {
  const std::uint32_t n = roster_->size();
  const std::vector<std::uint32_t> survivors = survivors_.positions();
  // Before any secret is put together.
  std::vector<std::uint8_t> another(survivors.size(), 0);
  spread(survivors.size(), threads,
         [&](std::size_t s) { another[s] = crypto::sha256(vectors_[s].view()) != hashes_[s] ? 1 : 0; });
  if (const auto found = std::ranges::find(another, 1); found != another.end()) {
    const std::uint32_t position = survivors[static_cast<std::size_t>(found - another.begin())];
    Error error(ErrorCode::bad_signature, "the masked update is not the one whose hash was signed",
                to_string(roster_->leaf(position).statement.id));
    lie_ = Lie{position, error};
    return fail(std::move(error));
  }
  // Most secrets are opened by the same holders: their coefficients are made once.
  std::map<std::vector<std::uint32_t>, secagg::Recombination> recombinations;
  std::vector<crypto::SecretBytes<32>> found(n);
  for (const Secret& secret : secrets_) {
    const auto [entry, fresh] = recombinations.try_emplace(secret.holders, secret.holders);
    std::vector<const secagg::Share*> shares;
    for (const secagg::Share& share : secret.shares) shares.push_back(&share);
    Result<crypto::SecretBytes<32>> value = entry->second.combine(shares);
    const bool right =
        value.has_value() &&
        (secret.kind == secagg::ShareKind::beta
             ? secagg::commit_seed(roster_->h1(), secret.position, *value) == seed_commitments_[secret.position]
             : crypto::ExchangeSecret::from_bytes(crypto::SecretBytes<32>(value->expose())).public_key() ==
                   roster_->leaf(secret.position).mask_key);
    if (!right) {
      Error error(ErrorCode::bad_dealer, "the shares that a member committed to do not make its secret",
                  to_string(roster_->leaf(secret.position).statement.id));
      lie_ = Lie{secret.position, error};
      return fail(std::move(error));
    }
    found[secret.position] = std::move(*value);
  }
  secrets_.clear();

  // A survivor's self mask, and a lost member's pairwise masks as they stand in the survivors' updates: i added the
  // mask with j if i < j, so it is subtracted for i < j and added for i > j.
  std::vector<std::uint32_t> lost;
  for (std::uint32_t p = 0; p < n; ++p) {
    if (!survivors_.contains(p) && seed_commitments_[p] != Digest{}) lost.push_back(p);
  }
  std::vector<Seed> seeds(survivors.size() * (1 + lost.size()));
  for (std::size_t s = 0; s < survivors.size(); ++s) {
    seeds[s] = {secagg::self_mask_seed(found[survivors[s]], h2_, survivors[s]), true};
  }
  // A block of a lost member's pairs at a time, for its key is set up once for all of them; as few blocks as keep every
  // thread busy to the end.
  const std::size_t wanted = lost.empty() ? 1 : (std::size_t{8} * threads + lost.size() - 1) / lost.size();
  const std::size_t block = std::max<std::size_t>(8, (survivors.size() + wanted - 1) / wanted);
  const std::size_t blocks = (survivors.size() + block - 1) / block;
  std::vector<crypto::ExchangePeer> peers;
  if (!lost.empty()) {
    for (const std::uint32_t i : survivors) peers.emplace_back(roster_->leaf(i).mask_key);
  }
  std::atomic<bool> low_order{false};
  spread(lost.size() * blocks, threads, [&](std::size_t k) {
    const std::size_t l = k / blocks;
    const std::uint32_t j = lost[l];
    const crypto::Exchange exchange(found[j]);
    const std::size_t first = k % blocks * block;
    for (std::size_t s = first; s < std::min(first + block, survivors.size()); ++s) {
      const std::uint32_t i = survivors[s];
      const auto agreed = exchange.agree(peers[s]);
      if (!agreed.has_value()) {
        low_order = true;
        return;
      }
      seeds[survivors.size() * (1 + l) + s] = {secagg::pair_mask_seed(*agreed, h2_, i, j), i < j};
    }
  });
  // A survivor with such a key could not have been masked with by anybody: its own agreement would have failed too.
  if (low_order) return fail(ErrorCode::bad_key, "a mask key of low order");

  std::vector<std::uint32_t> lanes(layout_.dimension(), 0);
  for (UploadBuffer& vector : vectors_) {
    ring::add_packed(layout_.bits(), vector.view(), lanes);
    vector.clear();
  }
  std::vector<ring::Mask> masks;
  masks.reserve(seeds.size());
  for (const Seed& seed : seeds) masks.push_back({&seed.seed, seed.subtract});
  ring::add_masks(layout_, lanes, masks, threads);
  return ring::CohortSum::of(layout_, std::move(lanes), static_cast<std::uint32_t>(survivors.size()));
}

}  // namespace chorus::coordinator
