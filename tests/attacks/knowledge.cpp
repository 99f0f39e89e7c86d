#include "tests/attacks/knowledge.hpp"

#include <bit>

#include "common/base/check.hpp"
#include "common/crypto/key_exchange.hpp"
#include "common/ring/mask_kernel.hpp"
#include "common/ring/packing.hpp"
#include "common/secagg/shamir.hpp"
#include "common/secagg/transcript.hpp"

namespace chorus::attacks {

using secagg::MemberSet;
using secagg::ShareKind;

namespace {

std::uint32_t cut(const plan::UpdateLayout& layout, std::uint32_t lane) {
  return layout.bits() == 32 ? lane : lane & ((std::uint32_t{1} << layout.bits()) - 1);
}

std::shared_ptr<const crypto::SecretBytes<32>> copy_of(const crypto::SecretBytes<32>& secret) {
  return std::make_shared<const crypto::SecretBytes<32>>(secret.expose());
}

}  // namespace

bool Knowledge::add_share(const secagg::Roster& roster, ShareKind kind, std::uint32_t dealer, std::uint32_t holder,
                          const secagg::Opening& opening, const secagg::ShareCommitments& commitments) {
  threshold_ = roster.parameters().threshold;
  if (secagg::commit(kind, roster.h1(), dealer, holder, opening) != commitments.of(kind)) return false;
  shares_[{kind, dealer}].try_emplace(holder, opening.share.expose());
  return true;
}

void Knowledge::add_mask_secret(const crypto::ExchangeSecret& secret) {
  mask_secrets_.try_emplace(secret.public_key(), copy_of(secret.secret()));
}

void Knowledge::add_beta(std::uint32_t member, const crypto::SecretBytes<32>& beta) {
  betas_.try_emplace(member, copy_of(beta));
}

void Knowledge::combine() {
  for (const auto& [what, shares] : shares_) {
    if (shares.size() < threshold_) continue;
    std::vector<std::uint32_t> holders;
    std::vector<const secagg::Share*> values;
    for (const auto& [holder, share] : shares) {
      if (holders.size() == threshold_) break;
      holders.push_back(holder);
      values.push_back(&share);
    }
    const auto secret = secagg::Recombination(holders).combine(values);
    if (!secret.has_value()) continue;
    if (what.first == ShareKind::beta) {
      add_beta(what.second, *secret);
    } else {
      add_mask_secret(crypto::ExchangeSecret::from_bytes(crypto::SecretBytes<32>(secret->expose())));
    }
  }
}

std::size_t Knowledge::shares(ShareKind kind, std::uint32_t dealer) const {
  const auto found = shares_.find({kind, dealer});
  return found == shares_.end() ? 0 : found->second.size();
}

bool Knowledge::strip(const MemberSet& members, Lanes* lanes) const {
  bool all = true;
  std::vector<crypto::SecretBytes<32>> seeds;
  std::vector<bool> subtract;
  for (const std::uint32_t i : members.positions()) {
    const auto upload = uploads_.find(i);
    if (upload == uploads_.end()) {
      all = false;
      continue;
    }
    const auto& [vector, roster, h2, partners] = upload->second;
    if (lanes != nullptr) ring::add_packed(layout_.bits(), vector, *lanes);
    if (const auto beta = betas_.find(i); beta == betas_.end()) {
      all = false;
    } else if (lanes != nullptr) {
      seeds.push_back(secagg::self_mask_seed(*beta->second, h2, i));
      subtract.push_back(true);
    }
    for (const std::uint32_t j : partners.positions()) {
      if (j == i) continue;
      const auto other = uploads_.find(j);
      if (members.contains(j) && other != uploads_.end() && other->second.h2 == h2) continue;  // cancels
      const crypto::ExchangeKey& own_key = roster->leaf(i).mask_key;
      const crypto::ExchangeKey& other_key = roster->leaf(j).mask_key;
      const auto own_secret = mask_secrets_.find(own_key);
      const auto other_secret = mask_secrets_.find(other_key);
      if (own_secret == mask_secrets_.end() && other_secret == mask_secrets_.end()) {
        all = false;
      } else if (lanes != nullptr) {
        const auto agreed = own_secret != mask_secrets_.end() ? crypto::Exchange(*own_secret->second).agree(other_key)
                                                              : crypto::Exchange(*other_secret->second).agree(own_key);
        if (!agreed.has_value()) return false;
        seeds.push_back(secagg::pair_mask_seed(*agreed, h2, i, j));
        subtract.push_back(i < j);
      }
    }
  }
  if (lanes != nullptr) {
    std::vector<ring::Mask> masks;
    for (std::size_t s = 0; s < seeds.size(); ++s) masks.push_back({&seeds[s], subtract[s]});
    ring::add_masks(layout_, *lanes, masks, 1);
    for (std::uint32_t& lane : *lanes) lane = cut(layout_, lane);
  }
  return all;
}

bool Knowledge::can_sum(const MemberSet& members) const {
  return members.size() > 0 && strip(members, nullptr);
}

std::optional<Lanes> Knowledge::sum_of(const MemberSet& members) const {
  if (!can_sum(members)) return std::nullopt;
  return forced_sum_of(members);
}

Lanes Knowledge::forced_sum_of(const MemberSet& members) const {
  Lanes lanes(layout_.dimension(), 0);
  static_cast<void>(strip(members, &lanes));
  return lanes;
}

std::vector<MemberSet> Knowledge::decodable() const {
  CHORUS_ENSURE(uploads_.size() <= 16, "a search over all subsets stays small");
  std::vector<MemberSet> found;
  if (uploads_.empty()) return found;
  const std::uint32_t n = uploads_.begin()->second.partners.members();
  std::vector<std::uint32_t> who;
  for (const auto& [member, upload] : uploads_) who.push_back(member);
  for (std::uint32_t bits = 1; bits < (std::uint32_t{1} << who.size()); ++bits) {
    MemberSet set(n);
    for (std::size_t k = 0; k < who.size(); ++k) {
      if (((bits >> k) & 1) != 0) set.insert(who[k]);
    }
    if (can_sum(set)) found.push_back(std::move(set));
  }
  return found;
}

Lanes lanes_of(const plan::UpdateLayout& layout, ByteView packed) {
  Lanes lanes(layout.dimension(), 0);
  ring::add_packed(layout.bits(), packed, lanes);
  return lanes;
}

Lanes add(const plan::UpdateLayout& layout, const Lanes& a, const Lanes& b) {
  Lanes sum(a.size());
  for (std::size_t k = 0; k < a.size(); ++k) sum[k] = cut(layout, a[k] + b[k]);
  return sum;
}

Lanes subtract(const plan::UpdateLayout& layout, const Lanes& a, const Lanes& b) {
  Lanes difference(a.size());
  for (std::size_t k = 0; k < a.size(); ++k) difference[k] = cut(layout, a[k] - b[k]);
  return difference;
}

double chi_squared(const plan::UpdateLayout& layout, const Lanes& lanes) {
  std::array<double, 256> counts{};
  for (const std::uint32_t lane : lanes) counts[(lane >> (layout.bits() - 8)) & 0xff] += 1;
  const double expected = static_cast<double>(lanes.size()) / 256;
  double sum = 0;
  for (const double count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

}  // namespace chorus::attacks
