// What a coordinator can make of everything that it holds: each byte that members sent, and the secrets of those who
// are corrupt. If there is a way to a sum in what was released, this finds it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "common/plan/update_layout.hpp"
#include "common/secagg/messages.hpp"
#include "common/secagg/roster.hpp"

namespace chorus::attacks {

// Coordinates of the ring, each below 2^bits.
using Lanes = std::vector<std::uint32_t>;

class Knowledge {
 public:
  explicit Knowledge(plan::UpdateLayout layout) : layout_(std::move(layout)) {}

  // A masked vector, and what its sender had been shown.
  struct Upload {
    Bytes vector;
    std::shared_ptr<const secagg::Roster> roster;
    Digest h2{};
    secagg::MemberSet partners;  // U2
  };
  void add_upload(std::uint32_t member, Upload upload) { uploads_[member] = std::move(upload); }
  // A share that somebody opened, kept if it is what `dealer` committed to; whether it was.
  bool add_share(const secagg::Roster& roster, secagg::ShareKind kind, std::uint32_t dealer, std::uint32_t holder,
                 const secagg::Opening& opening, const secagg::ShareCommitments& commitments);
  void add_mask_secret(const crypto::ExchangeSecret& secret);
  void add_beta(std::uint32_t member, const crypto::SecretBytes<32>& beta);
  // Secrets of which as many shares as the threshold are there are made now.
  void combine();

  // By how many holders' shares of one kind are known.
  [[nodiscard]] std::size_t shares(secagg::ShareKind kind, std::uint32_t dealer) const;
  [[nodiscard]] bool knows_beta(std::uint32_t member) const { return betas_.contains(member); }
  [[nodiscard]] bool knows_mask_secret(const crypto::ExchangeKey& key) const { return mask_secrets_.contains(key); }

  // The sum of these members' updates, if every mask that does not cancel among them can be taken off.
  [[nodiscard]] std::optional<Lanes> sum_of(const secagg::MemberSet& members) const;
  [[nodiscard]] bool can_sum(const secagg::MemberSet& members) const;
  // What is left of the vectors of `members` without the masks that are known: the attack forced through.
  [[nodiscard]] Lanes forced_sum_of(const secagg::MemberSet& members) const;
  // Every set of uploaders whose sum decodes. REQUIRES: at most 16 uploads.
  [[nodiscard]] std::vector<secagg::MemberSet> decodable() const;

 private:
  // Takes off what it can; whether that was everything.
  bool strip(const secagg::MemberSet& members, Lanes* lanes) const;

  plan::UpdateLayout layout_;
  std::map<std::uint32_t, Upload> uploads_;
  // [kind, dealer] → holder → share
  std::map<std::pair<secagg::ShareKind, std::uint32_t>, std::map<std::uint32_t, secagg::Share>> shares_;
  std::map<std::uint32_t, std::shared_ptr<const crypto::SecretBytes<32>>> betas_;
  std::map<crypto::ExchangeKey, std::shared_ptr<const crypto::SecretBytes<32>>> mask_secrets_;
  std::uint32_t threshold_ = 0;
};

// The lanes of a packed update.
[[nodiscard]] Lanes lanes_of(const plan::UpdateLayout& layout, ByteView packed);
// a + b modulo 2^bits.
[[nodiscard]] Lanes add(const plan::UpdateLayout& layout, const Lanes& a, const Lanes& b);
[[nodiscard]] Lanes subtract(const plan::UpdateLayout& layout, const Lanes& a, const Lanes& b);
// Pearson's χ² of the lanes' topmost eight bits against a uniform distribution, 255 degrees of freedom: mean 255,
// deviation 22.6. Above 365 with probability 10^-5, below 165 likewise.
[[nodiscard]] double chi_squared(const plan::UpdateLayout& layout, const Lanes& lanes);

}  // namespace chorus::attacks
