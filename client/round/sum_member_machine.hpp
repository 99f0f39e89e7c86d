// The body of BasicSumMember, a header because tests instantiate it with weakened checks. Include sum_member.hpp
// instead.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "client/round/sum_member.hpp"
#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/crypto/key_exchange.hpp"
#include "common/crypto/merkle.hpp"
#include "common/ring/mask_kernel.hpp"
#include "common/ring/packing.hpp"
#include "common/secagg/transcript.hpp"

namespace chorus::client {

template <typename Checks>
struct BasicSumMember<Checks>::Machine {
  using Openings = std::vector<secagg::Opening>;  // [n], by dealer

  // Each state owns what its next step needs; leaving it destroys the rest.
  struct Idle {
    crypto::ZeroizingBytes update;
  };
  struct Advertised {
    crypto::ZeroizingBytes update;
    crypto::ExchangeSecret share;
    crypto::ExchangeSecret mask;
    Bytes leaf;
  };
  struct Shared {
    crypto::ZeroizingBytes update;
    std::vector<crypto::SecretBytes<32>> agreed;  // [n], with each member's share key: deals and opens
    crypto::ExchangeSecret mask;
    crypto::SecretBytes<32> beta;
    secagg::Roster roster;
    std::uint32_t position = 0;
    secagg::Opening own_beta;
    secagg::Opening own_kappa;
    Digest taken{};  // hash of the message that led here, to know it again
  };
  struct Uploaded {
    secagg::Roster roster;
    std::uint32_t position = 0;
    Digest h2{};
    secagg::MemberSet dealers;
    secagg::MemberSet held;
    Openings betas;
    Openings kappas;
    Digest taken{};
  };
  struct Voted {
    secagg::Roster roster;
    Digest h3{};
    secagg::MemberSet survivors;
    secagg::MemberSet held;
    Openings openings;  // exactly one for each dealer held, of the kind that its fate allows
    Digest taken{};
  };
  struct Unmasked {
    Digest taken{};
  };
  struct Done {};
  struct Aborted {};
  using Phase = std::variant<Idle, Advertised, Shared, Uploaded, Voted, Unmasked, Done, Aborted>;

  SumTerms terms;
  SumIdentity identity;
  secagg::AdmissionRules rules;
  secagg::VerifiedStatements* verified;
  crypto::RandomSource* random;
  SumPromises* promises;
  Phase phase;
  std::optional<secagg::Parameters> parameters;

  // Runs `step` on the state that takes this message. The same bytes again, in the state they led to, are ignored; any
  // error, and any message that the state does not take, aborts.
  template <typename Before, typename After, typename Reply, typename Step>
  Result<std::optional<Reply>> take(ByteView bytes, std::string_view name, Step&& step) {
    const Digest digest = crypto::sha256(bytes);
    if (const After* const after = std::get_if<After>(&phase); after != nullptr && after->taken == digest) {
      return std::optional<Reply>();
    }
    Before* const before = std::get_if<Before>(&phase);
    if (before == nullptr) {
      phase = Aborted{};
      return fail(ErrorCode::out_of_phase, "a message out of turn", std::string(name));
    }
    Result<std::pair<After, Reply>> next = step(*before);
    if (!next.has_value()) {
      phase = Aborted{};
      return fail(next.error().at(name));
    }
    next->first.taken = digest;
    phase = std::move(next->first);
    return std::optional<Reply>(std::move(next->second));
  }

  Result<std::pair<Shared, Bytes>> deal(Advertised& from, ByteView bytes) {
    CHORUS_TRY(secagg::Roster roster,
               Checks::roster_leaves ? secagg::Roster::decode_and_check(bytes, terms.h0, terms.bounds, rules, *verified)
                                     : secagg::Roster::decode(bytes, terms.h0, terms.bounds));
    const std::optional<std::uint32_t> position = roster.position_of(identity.statement->id);
    if (!position || secagg::encode(roster.leaf(*position)) != from.leaf) {
      return fail(ErrorCode::malformed, "the roster does not hold the leaf that this device advertised");
    }
    parameters = roster.parameters();
    CHORUS_TRY_DO(promises->afford(parameters->honest));
    const std::uint32_t n = roster.size();
    const std::uint32_t own = *position;
    crypto::SecretBytes<32> beta = random->secret<32>();
    std::vector<secagg::Share> beta_shares = secagg::split(beta, parameters->threshold, n, *random);
    std::vector<secagg::Share> kappa_shares = secagg::split(from.mask.secret(), parameters->threshold, n, *random);

    secagg::Shares message;
    message.seed_commitment = secagg::commit_seed(roster.h1(), own, beta);
    message.commitments.resize(n);
    message.sealed.resize(n);
    std::vector<Digest> leaves(n);
    secagg::Opening own_beta;
    secagg::Opening own_kappa;
    std::vector<crypto::SecretBytes<32>> agreed(n);
    const crypto::Exchange exchange(from.share.secret());
    for (std::uint32_t holder = 0; holder < n; ++holder) {
      secagg::Opening beta_opening{std::move(beta_shares[holder]), random->secret<32>()};
      secagg::Opening kappa_opening{std::move(kappa_shares[holder]), random->secret<32>()};
      secagg::ShareCommitments& commitments = message.commitments[holder];
      commitments.beta = secagg::commit(secagg::ShareKind::beta, roster.h1(), own, holder, beta_opening);
      commitments.kappa = secagg::commit(secagg::ShareKind::kappa, roster.h1(), own, holder, kappa_opening);
      leaves[holder] = commitments.leaf();
      if (holder == own) {
        own_beta = std::move(beta_opening);
        own_kappa = std::move(kappa_opening);
        continue;
      }
      CHORUS_TRY(agreed[holder], exchange.agree(roster.leaf(holder).share_key));
      const crypto::SecretBytes<32> key = secagg::share_key(agreed[holder], roster.h1(), own, holder);
      std::vector<secagg::Opening> both;
      both.push_back(std::move(beta_opening));
      both.push_back(std::move(kappa_opening));
      const Bytes sealed =
          crypto::seal_once(key, associated(roster.h1(), own, holder), secagg::encode_openings_body(both));
      std::copy(sealed.begin(), sealed.end(), message.sealed[holder].begin());
    }
    const Digest root = crypto::MerkleTree(std::move(leaves)).root();
    message.signature =
        identity.key->sign(secagg::kSharesLabel, secagg::dealer_statement(roster.h1(), root, message.seed_commitment));
    Shared next{std::move(from.update), std::move(agreed),    std::move(from.mask),
                std::move(beta),        std::move(roster),    own,
                std::move(own_beta),    std::move(own_kappa), {}};
    return std::pair(std::move(next), secagg::encode(message, own));
  }

  Result<std::pair<Uploaded, MaskedUpdate>> mask(Shared& from, ByteView bytes) {
    const secagg::Roster& roster = from.roster;
    const secagg::Parameters& p = roster.parameters();
    const std::uint32_t n = roster.size();
    const std::uint32_t own = from.position;
    const Digest& h1 = roster.h1();
    CHORUS_TRY(secagg::Delivery message, secagg::decode_delivery(bytes, n, own));
    if (!message.dealers.contains(own)) {
      return fail(ErrorCode::malformed, "the dealers do not include this device, which dealt");
    }
    if (Checks::dealer_set_size && message.dealers.size() < p.least_survivors()) {
      return fail(ErrorCode::cohort_too_small, "too few members dealt shares");
    }
    const Digest h2 = secagg::dealers_hash(h1, message.dealers);

    Uploaded next{std::move(from.roster), own, h2, message.dealers, secagg::MemberSet(n), Openings(n), Openings(n), {}};
    next.held.insert(own);
    next.betas[own] = std::move(from.own_beta);
    next.kappas[own] = std::move(from.own_kappa);
    std::size_t parcel = 0;
    for (const std::uint32_t dealer : message.dealers.positions()) {
      if (dealer == own) continue;
      const secagg::Dealt& dealt = message.dealt[parcel++];
      open_shares(next, dealer, dealt, from.agreed[dealer]);
      // Openings that match tell that the commitments are the dealer's: it sealed them for this member alone. Only
      // where they do not is its signature asked who lied; a dealer's share is then not held, a coordinator's lie ends
      // the round (common/PROTOCOL.md says why that is enough).
      if constexpr (Checks::dealer_signatures) {
        if (crypto::merkle_root(dealt.commitments.leaf(), own, n, dealt.path) != dealt.root) {
          return fail(ErrorCode::bad_signature, "a dealer's commitments are not those that it signed");
        }
        if (!next.held.contains(dealer)) {
          CHORUS_TRY_DO(crypto::verify(next.roster.leaf(dealer).statement.key, secagg::kSharesLabel,
                                       secagg::dealer_statement(h1, dealt.root, dealt.seed_commitment),
                                       dealt.signature));
        }
      }
    }
    if (Checks::share_authenticity && next.held.size() < p.threshold) {
      return fail(ErrorCode::share_not_authentic, "fewer shares than the threshold open");
    }

    // The lanes hold the update in clear until the last mask is added.
    crypto::ZeroizingVector<std::uint32_t> lanes(terms.layout.dimension(), 0);
    ring::add_packed(terms.layout.bits(), from.update, lanes);
    CHORUS_TRY_DO(add_all_masks(next, from, lanes));
    MaskedUpdate reply;
    reply.vector.resize(terms.layout.packed_size());
    ring::pack(terms.layout.bits(), lanes, reply.vector);
    secagg::Masked end{next.held, crypto::sha256(reply.vector), {}};
    end.signature = identity.key->sign(secagg::kMaskedLabel, secagg::masked_statement(h1, h2, end.vector, end.held));
    reply.end = secagg::encode(end);
    CHORUS_TRY_DO(promises->charge(p.honest));
    return std::pair(std::move(next), std::move(reply));
  }

  // A share counts as open when it decrypts and both openings match their commitments; which did is told in `held`.
  static void open_shares(Uploaded& next, std::uint32_t dealer, const secagg::Dealt& dealt,
                          const crypto::SecretBytes<32>& agreed) {
    const Digest& h1 = next.roster.h1();
    const crypto::SecretBytes<32> key = secagg::share_key(agreed, h1, dealer, next.position);
    const auto opened = crypto::open_once(key, associated(h1, dealer, next.position), dealt.sealed);
    if (!opened.has_value()) return;
    ByteReader in(*opened);
    secagg::Opening beta;
    secagg::Opening kappa;
    in.raw(beta.share.expose());
    in.raw(beta.salt.expose());
    in.raw(kappa.share.expose());
    in.raw(kappa.salt.expose());
    if (!in.finish("shares").has_value() ||
        secagg::commit(secagg::ShareKind::beta, h1, dealer, next.position, beta) != dealt.commitments.beta ||
        secagg::commit(secagg::ShareKind::kappa, h1, dealer, next.position, kappa) != dealt.commitments.kappa) {
      return;
    }
    next.held.insert(dealer);
    next.betas[dealer] = std::move(beta);
    next.kappas[dealer] = std::move(kappa);
  }

  // Partners are all of U2, whether or not a share opened: no edge can be hidden.
  Status add_all_masks(const Uploaded& next, const Shared& from, std::span<std::uint32_t> lanes) {
    std::vector<crypto::SecretBytes<32>> seeds;
    std::vector<bool> subtract;
    seeds.reserve(next.dealers.size());
    seeds.push_back(secagg::self_mask_seed(from.beta, next.h2, next.position));
    subtract.push_back(false);
    const crypto::Exchange exchange(from.mask.secret());
    for (const std::uint32_t other : next.dealers.positions()) {
      if (other == next.position) continue;
      CHORUS_TRY(const crypto::SecretBytes<32> agreed, exchange.agree(next.roster.leaf(other).mask_key));
      seeds.push_back(secagg::pair_mask_seed(agreed, next.h2, next.position, other));
      subtract.push_back(next.position > other);
    }
    std::vector<ring::Mask> masks;
    for (std::size_t i = 0; i < seeds.size(); ++i) masks.push_back({&seeds[i], subtract[i]});
    ring::add_masks(terms.layout, lanes, masks, 1);
    return {};
  }

  Result<std::pair<Voted, Bytes>> vote(Uploaded& from, ByteView bytes) {
    const secagg::Parameters& p = from.roster.parameters();
    CHORUS_TRY(const secagg::Survivors message, secagg::decode_survivors(bytes, from.roster.size()));
    if (!message.survivors.contains(from.position)) {
      return fail(ErrorCode::bad_survivors, "this device is not among the survivors: its update is not summed");
    }
    if constexpr (Checks::survivor_set_size) {
      if (!message.survivors.is_subset_of(from.dealers)) {
        return fail(ErrorCode::bad_survivors, "a survivor that dealt no shares");
      }
      if (message.survivors.size() < p.least_survivors()) {
        return fail(ErrorCode::cohort_too_small, "too few survivors");
      }
    }
    const Digest h3 = secagg::survivors_hash(from.h2, message.survivors);
    if constexpr (Checks::one_vote) CHORUS_TRY_DO(promises->vote(h3));
    const crypto::Signature signature = identity.key->sign(secagg::kSurvivorsLabel, h3);

    Voted next{std::move(from.roster), h3, message.survivors, from.held, {}, {}};
    for (const std::uint32_t dealer : from.held.positions()) {
      // The other kind dies with the state.
      next.openings.push_back(std::move(message.survivors.contains(dealer) ? from.betas[dealer] : from.kappas[dealer]));
    }
    return std::pair(std::move(next), Bytes(signature.begin(), signature.end()));
  }

  Result<std::pair<Unmasked, Bytes>> unmask(Voted& from, ByteView bytes) {
    CHORUS_TRY(const secagg::Certificate certificate, secagg::decode_certificate(bytes, from.roster.size()));
    if constexpr (Checks::quorum) {
      if (certificate.votes.size() < from.roster.parameters().quorum) {
        return fail(ErrorCode::bad_quorum, "fewer votes than the quorum certify the survivors");
      }
      for (const secagg::Certificate::Vote& vote : certificate.votes) {
        if (!crypto::verify(from.roster.leaf(vote.position).statement.key, secagg::kSurvivorsLabel, from.h3,
                            vote.signature)
                 .has_value()) {
          return fail(ErrorCode::bad_quorum, "a vote is not for these survivors");
        }
      }
    }
    const crypto::ZeroizingBytes body = secagg::encode_openings_body(from.openings);
    secagg::Openings message{std::move(from.openings), {}};
    message.signature = identity.key->sign(secagg::kUnmaskLabel, secagg::openings_statement(from.h3, body));
    return std::pair(Unmasked{}, secagg::encode(message));
  }

  static Bytes associated(const Digest& h1, std::uint32_t dealer, std::uint32_t holder) {
    ByteWriter out;
    out.raw(h1);
    out.u32(dealer);
    out.u32(holder);
    return std::move(out).take();
  }
};

template <typename Checks>
BasicSumMember<Checks>::BasicSumMember(SumTerms terms, SumIdentity identity, secagg::AdmissionRules rules,
                                       secagg::VerifiedStatements& verified, crypto::ZeroizingBytes update,
                                       crypto::RandomSource& random, SumPromises& promises)
    : machine_(new Machine{std::move(terms), identity, rules, &verified, &random, &promises,
                           typename Machine::Idle{std::move(update)}, std::nullopt}) {
  CHORUS_ENSURE(std::get<typename Machine::Idle>(machine_->phase).update.size() == machine_->terms.layout.packed_size(),
                "the update has its layout's size");
}

template <typename Checks>
BasicSumMember<Checks>::~BasicSumMember() = default;
template <typename Checks>
BasicSumMember<Checks>::BasicSumMember(BasicSumMember&&) noexcept = default;
template <typename Checks>
BasicSumMember<Checks>& BasicSumMember<Checks>::operator=(BasicSumMember&&) noexcept = default;

template <typename Checks>
Bytes BasicSumMember<Checks>::advertise() {
  auto* const idle = std::get_if<typename Machine::Idle>(&machine_->phase);
  CHORUS_ENSURE(idle != nullptr, "a member advertises once");
  crypto::ExchangeSecret share = crypto::ExchangeSecret::generate(*machine_->random);
  crypto::ExchangeSecret mask = crypto::ExchangeSecret::generate(*machine_->random);
  Bytes leaf = secagg::encode(secagg::advertise(machine_->terms.h0, *machine_->identity.statement, share.public_key(),
                                                mask.public_key(), *machine_->identity.key));
  typename Machine::Advertised next{std::move(idle->update), std::move(share), std::move(mask), leaf};
  machine_->phase = std::move(next);
  return leaf;
}

template <typename Checks>
Result<std::optional<Bytes>> BasicSumMember<Checks>::on_roster(ByteView bytes) {
  return machine_->template take<typename Machine::Advertised, typename Machine::Shared, Bytes>(
      bytes, "roster", [&](auto& from) { return machine_->deal(from, bytes); });
}

template <typename Checks>
Result<std::optional<MaskedUpdate>> BasicSumMember<Checks>::on_delivery(ByteView bytes) {
  return machine_->template take<typename Machine::Shared, typename Machine::Uploaded, MaskedUpdate>(
      bytes, "delivered shares", [&](auto& from) { return machine_->mask(from, bytes); });
}

template <typename Checks>
Result<std::optional<Bytes>> BasicSumMember<Checks>::on_survivors(ByteView bytes) {
  return machine_->template take<typename Machine::Uploaded, typename Machine::Voted, Bytes>(
      bytes, "survivors", [&](auto& from) { return machine_->vote(from, bytes); });
}

template <typename Checks>
Result<std::optional<Bytes>> BasicSumMember<Checks>::on_certificate(ByteView bytes) {
  return machine_->template take<typename Machine::Voted, typename Machine::Unmasked, Bytes>(
      bytes, "quorum certificate", [&](auto& from) { return machine_->unmask(from, bytes); });
}

template <typename Checks>
Status BasicSumMember<Checks>::finish() {
  if (!std::holds_alternative<typename Machine::Unmasked>(machine_->phase)) {
    machine_->phase = typename Machine::Aborted{};
    return fail(ErrorCode::out_of_phase, "a result before the openings were sent");
  }
  machine_->phase = typename Machine::Done{};
  return {};
}

template <typename Checks>
void BasicSumMember<Checks>::abort() noexcept {
  machine_->phase = typename Machine::Aborted{};
}

template <typename Checks>
typename BasicSumMember<Checks>::State BasicSumMember<Checks>::state() const noexcept {
  return static_cast<State>(machine_->phase.index());
}

template <typename Checks>
std::optional<secagg::Parameters> BasicSumMember<Checks>::parameters() const noexcept {
  return machine_->parameters;
}

}  // namespace chorus::client
