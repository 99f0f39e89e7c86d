#include "coordinator/round/secure_sum.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/crypto/merkle.hpp"
#include "common/secagg/transcript.hpp"

namespace chorus::coordinator {

using secagg::MemberSet;

SecureSum::SecureSum(SecureSumTerms terms, std::vector<identity::DeviceId> invited, secagg::AdmissionRules rules,
                     secagg::VerifiedStatements& verified, Moment opened)
    : terms_(std::move(terms)),
      invited_(std::move(invited)),
      rules_(rules),
      verified_(&verified),
      gone_(invited_.size(), false),
      position_(invited_.size()),
      state_(Advertising{std::vector<std::optional<secagg::Leaf>>(invited_.size())}) {
  begin_phase(plan::SumPhase::advertise, opened);
}

std::optional<std::uint32_t> SecureSum::position_of(std::uint32_t member) const {
  CHORUS_ENSURE(member < invited_.size(), "a member was invited");
  return position_[member];
}

template <typename State>
Result<State*> SecureSum::in_phase(std::uint32_t member, std::string_view what, Moment now) {
  CHORUS_ENSURE(member < invited_.size(), "a member was invited");
  State* const state = std::get_if<State>(&state_);
  if (state == nullptr) {
    // A slow member is late; one that runs ahead is out of turn. Which it is follows from the order of the states.
    constexpr std::size_t wanted = std::is_same_v<State, Advertising> ? 0
                                   : std::is_same_v<State, Sharing>   ? 1
                                   : std::is_same_v<State, Masking>   ? 2
                                   : std::is_same_v<State, Voting>    ? 3
                                                                      : 4;
    const bool late = state_.index() > wanted;
    return fail(late ? ErrorCode::late : ErrorCode::out_of_phase,
                late ? "the phase is over; the message was dropped unread" : "a message out of turn",
                std::string(what));
  }
  if (deadline_ && now >= *deadline_) return fail(ErrorCode::late, "the phase's deadline has come", std::string(what));
  return state;
}

// --- advertising

Result<SecureSum::Actions> SecureSum::on_leaf(std::uint32_t member, ByteView bytes, WallTime today, Moment now) {
  CHORUS_TRY(Advertising* const state, in_phase<Advertising>(member, "leaf", now));
  CHORUS_TRY(secagg::Leaf leaf, secagg::decode_leaf(bytes));
  if (state->leaves[member]) {
    if (*state->leaves[member] == leaf) return Actions{};
    return fail(ErrorCode::duplicate, "a second, different leaf", "leaf");
  }
  if (leaf.statement.id != invited_[member]) {
    return fail(ErrorCode::bad_identity, "the leaf names another device than the connection's certificate", "leaf");
  }
  rules_.now = today;
  CHORUS_TRY_DO(secagg::check_leaf(leaf, terms_.h0, rules_, *verified_));
  state->leaves[member] = std::move(leaf);
  ++funnel_.keys;
  return advance_if_complete(now);
}

SecureSum::Actions SecureSum::form_roster(Advertising& from, Moment now) {
  std::vector<std::uint32_t> members;
  for (std::uint32_t m = 0; m < from.leaves.size(); ++m) {
    if (from.leaves[m]) members.push_back(m);
  }
  std::sort(members.begin(), members.end(), [&](std::uint32_t a, std::uint32_t b) {
    return from.leaves[a]->statement.id < from.leaves[b]->statement.id;
  });
  std::vector<secagg::Leaf> leaves;
  for (const std::uint32_t m : members) leaves.push_back(*from.leaves[m]);
  Result<secagg::Roster> roster = secagg::Roster::create(terms_.h0, std::move(leaves), terms_.bounds);
  if (!roster.has_value()) return abort(roster.error());
  roster_ = std::make_shared<const secagg::Roster>(std::move(*roster));
  parameters_ = roster_->parameters();
  member_ = std::move(members);
  for (std::uint32_t p = 0; p < member_.size(); ++p) position_[member_[p]] = p;
  const std::uint32_t n = roster_->size();
  state_ = Sharing{std::vector<std::optional<secagg::Shares>>(n), std::vector<std::optional<crypto::MerkleTree>>(n),
                   roster_->encode()};
  begin_phase(plan::SumPhase::share, now);
  std::vector<std::uint32_t> all(n);
  for (std::uint32_t p = 0; p < n; ++p) all[p] = p;
  Actions actions;
  actions.emplace_back(entered(std::move(all)));
  return actions;
}

// --- sharing

Result<SecureSum::Actions> SecureSum::on_shares(std::uint32_t member, ByteView bytes, Moment now) {
  CHORUS_TRY(Sharing* const state, in_phase<Sharing>(member, "shares", now));
  const std::optional<std::uint32_t> position = position_of(member);
  if (!position) return fail(ErrorCode::out_of_phase, "shares of a device that is not in the roster", "shares");
  if (state->shares[*position]) {
    if (std::ranges::equal(secagg::encode(*state->shares[*position], *position), bytes)) return Actions{};
    return fail(ErrorCode::duplicate, "a second, different dealing", "shares");
  }
  CHORUS_TRY(secagg::Shares shares, secagg::decode_shares(bytes, roster_->size(), *position));
  std::vector<Digest> leaves;
  for (const secagg::ShareCommitments& commitments : shares.commitments) leaves.push_back(commitments.leaf());
  crypto::MerkleTree tree(std::move(leaves));
  CHORUS_TRY_DO(crypto::verify(roster_->leaf(*position).statement.key, secagg::kSharesLabel,
                               secagg::dealer_statement(roster_->h1(), tree.root(), shares.seed_commitment),
                               shares.signature));
  state->trees[*position].emplace(std::move(tree));
  state->shares[*position] = std::move(shares);
  return advance_if_complete(now);
}

SecureSum::Actions SecureSum::fix_dealers(Sharing& from, Moment now) {
  const std::uint32_t n = roster_->size();
  MemberSet dealers(n);
  for (std::uint32_t p = 0; p < n; ++p) {
    if (from.shares[p]) dealers.insert(p);
  }
  if (dealers.size() < parameters_->least_survivors()) {
    return fail_with(ErrorCode::below_threshold, fmt::format("{} of {} members dealt shares, fewer than the {} needed",
                                                             dealers.size(), n, parameters_->least_survivors()));
  }
  Masking next;
  next.h2 = secagg::dealers_hash(roster_->h1(), dealers);
  next.dealers = dealers;
  next.vectors.resize(n);
  next.ends.resize(n);
  next.trees = std::move(from.trees);
  next.shares = std::move(from.shares);
  state_ = std::move(next);
  begin_phase(plan::SumPhase::upload, now);
  Actions actions;
  actions.emplace_back(entered(dealers.positions()));
  return actions;
}

// --- masking

Status SecureSum::on_piece(std::uint32_t member, std::uint64_t offset, std::uint64_t total, ByteView data, Moment now) {
  CHORUS_TRY(Masking* const state, in_phase<Masking>(member, "masked update", now));
  const std::optional<std::uint32_t> position = position_of(member);
  if (!position || !state->dealers.contains(*position)) {
    return fail(ErrorCode::out_of_phase, "a masked update of a device that dealt no shares", "masked update");
  }
  UploadBuffer& vector = state->vectors[*position];
  if (total != terms_.layout.packed_size()) {
    return fail(ErrorCode::malformed, fmt::format("{} bytes announced, not {}", total, terms_.layout.packed_size()),
                "masked update");
  }
  if (state->ends[*position] || offset < vector.size()) {
    return fail(ErrorCode::duplicate, "a piece that is there already", "masked update");
  }
  if (offset > vector.size() || data.empty()) return fail(ErrorCode::malformed, "a gap", "masked update");
  if (data.size() > total - vector.size()) return fail(ErrorCode::too_large, "beyond its total", "masked update");
  vector.append(data, total);
  return {};
}

Result<SecureSum::Actions> SecureSum::on_masked(std::uint32_t member, ByteView bytes, Moment now) {
  CHORUS_TRY(Masking* const state, in_phase<Masking>(member, "masked update", now));
  const std::optional<std::uint32_t> position = position_of(member);
  if (!position || !state->dealers.contains(*position)) {
    return fail(ErrorCode::out_of_phase, "a masked update of a device that dealt no shares", "masked update");
  }
  CHORUS_TRY(secagg::Masked end, secagg::decode_masked(bytes, roster_->size()));
  if (state->ends[*position]) {
    if (*state->ends[*position] == end) return Actions{};
    return fail(ErrorCode::duplicate, "a second, different end", "masked update");
  }
  const UploadBuffer& vector = state->vectors[*position];
  if (vector.size() != terms_.layout.packed_size()) {
    return fail(ErrorCode::malformed, "the masked update is not complete", "masked update");
  }
  if (!end.held.contains(*position) || !end.held.is_subset_of(state->dealers)) {
    return fail(ErrorCode::malformed, "holds shares of a member that dealt none, or not its own", "masked update");
  }
  CHORUS_TRY_DO(crypto::verify(roster_->leaf(*position).statement.key, secagg::kMaskedLabel,
                               secagg::masked_statement(roster_->h1(), state->h2, end.vector, end.held),
                               end.signature));
  state->ends[*position] = std::move(end);
  ++funnel_.masked;
  return advance_if_complete(now);
}

SecureSum::Actions SecureSum::fix_survivors(Masking& from, Moment now) {
  const std::uint32_t n = roster_->size();
  MemberSet survivors(n);
  for (std::uint32_t p = 0; p < n; ++p) {
    if (from.ends[p]) survivors.insert(p);
  }
  // A member stays only if enough survivors hold its shares: t, plus what of D is not yet spent. To drop one takes a
  // holder from the others, so the question is asked until it changes nothing.
  const auto holders_of = [&](std::uint32_t dealer) {
    std::uint32_t count = 0;
    for (const std::uint32_t holder : survivors.positions()) {
      count += static_cast<std::uint32_t>(from.ends[holder]->held.contains(dealer));
    }
    return count;
  };
  for (bool changed = true; changed && survivors.size() >= parameters_->least_survivors();) {
    changed = false;
    const std::uint32_t unspent = parameters_->dropout - (n - survivors.size());
    for (const std::uint32_t p : survivors.positions()) {
      if (holders_of(p) >= parameters_->threshold + unspent) continue;
      survivors.erase(p);
      changed = true;
      break;
    }
  }
  if (survivors.size() < parameters_->least_survivors()) {
    return fail_with(ErrorCode::below_threshold,
                     fmt::format("{} of {} updates can be unmasked, fewer than the {} needed", survivors.size(), n,
                                 parameters_->least_survivors()));
  }
  for (const std::uint32_t p : from.dealers.positions()) {
    if (holders_of(p) < parameters_->threshold) {
      return fail_with(ErrorCode::below_threshold, "the shares of a member that was lost are held by too few");
    }
  }
  Voting next;
  next.h2 = from.h2;
  next.h3 = secagg::survivors_hash(from.h2, survivors);
  next.dealers = std::move(from.dealers);
  next.survivors = survivors;
  next.shares = std::move(from.shares);
  next.held.resize(n);
  next.vectors.resize(n);
  next.hashes.resize(n);
  next.votes.resize(n);
  for (const std::uint32_t p : survivors.positions()) {
    next.held[p] = std::move(from.ends[p]->held);
    next.vectors[p] = std::move(from.vectors[p]);
    next.hashes[p] = from.ends[p]->vector;
  }
  state_ = std::move(next);
  begin_phase(plan::SumPhase::vote, now);
  Actions actions;
  actions.emplace_back(entered(survivors.positions()));
  return actions;
}

// --- voting

Result<SecureSum::Actions> SecureSum::on_vote(std::uint32_t member, ByteView bytes, Moment now) {
  CHORUS_TRY(Voting* const state, in_phase<Voting>(member, "vote", now));
  const std::optional<std::uint32_t> position = position_of(member);
  if (!position || !state->survivors.contains(*position)) {
    return fail(ErrorCode::out_of_phase, "a vote of a device that is no survivor", "vote");
  }
  ByteReader in(bytes);
  const crypto::Signature signature = in.array<64>();
  CHORUS_TRY_DO(in.finish("a vote"));
  if (state->votes[*position]) {
    if (*state->votes[*position] == signature) return Actions{};
    return fail(ErrorCode::duplicate, "a second, different vote", "vote");
  }
  // The certificate takes the quorum's first votes; nobody reads the signatures beyond them.
  if (state->certificate.votes.size() < parameters_->quorum) {
    CHORUS_TRY_DO(
        crypto::verify(roster_->leaf(*position).statement.key, secagg::kSurvivorsLabel, state->h3, signature));
    state->certificate.votes.push_back({*position, signature});
  }
  state->votes[*position] = signature;
  return advance_if_complete(now);
}

SecureSum::Actions SecureSum::certify(Voting& from, Moment now) {
  const std::uint32_t n = roster_->size();
  secagg::Certificate& certificate = from.certificate;
  std::ranges::sort(certificate.votes, {}, &secagg::Certificate::Vote::position);
  if (certificate.votes.size() < parameters_->quorum) {
    return fail_with(ErrorCode::below_threshold, fmt::format("{} votes, fewer than the quorum of {}",
                                                             certificate.votes.size(), parameters_->quorum));
  }
  Unmasking next;
  next.h2 = from.h2;
  next.h3 = from.h3;
  next.certificate = secagg::encode(certificate);
  next.secrets.resize(n);
  for (const std::uint32_t p : from.dealers.positions()) {
    next.secrets[p].position = p;
    next.secrets[p].holders.reserve(parameters_->threshold);
    next.secrets[p].shares.reserve(parameters_->threshold);
    next.secrets[p].kind = from.survivors.contains(p) ? secagg::ShareKind::beta : secagg::ShareKind::kappa;
  }
  next.taken.resize(n);
  next.dealers = std::move(from.dealers);
  next.survivors = std::move(from.survivors);
  next.shares = std::move(from.shares);
  next.held = std::move(from.held);
  next.vectors = std::move(from.vectors);
  next.hashes = std::move(from.hashes);
  std::vector<std::uint32_t> voters;
  for (std::uint32_t p = 0; p < n; ++p) {
    if (from.votes[p]) voters.push_back(p);
  }
  state_ = std::move(next);
  begin_phase(plan::SumPhase::unmask, now);
  Actions actions;
  actions.emplace_back(entered(std::move(voters)));
  return actions;
}

// --- unmasking

Result<SecureSum::Actions> SecureSum::on_openings(std::uint32_t member, ByteView bytes, Moment now) {
  CHORUS_TRY(Unmasking* const state, in_phase<Unmasking>(member, "openings", now));
  const std::optional<std::uint32_t> position = position_of(member);
  if (!position || !state->survivors.contains(*position)) {
    return fail(ErrorCode::out_of_phase, "openings of a device that is no survivor", "openings");
  }
  const Digest digest = crypto::sha256(bytes);
  if (state->taken[*position] != Digest{}) {
    if (state->taken[*position] == digest) return Actions{};
    return fail(ErrorCode::duplicate, "second, different openings", "openings");
  }
  const MemberSet& held = state->held[*position];
  CHORUS_TRY(secagg::Openings message, secagg::decode_openings(bytes, held.size()));
  CHORUS_TRY_DO(crypto::verify(roster_->leaf(*position).statement.key, secagg::kUnmaskLabel,
                               secagg::openings_statement(state->h3, secagg::openings_body(bytes)), message.signature));
  state->taken[*position] = digest;
  ++funnel_.unmasked;
  Actions actions;
  std::size_t next = 0;
  bool named = false;
  for (const std::uint32_t dealer : held.positions()) {
    secagg::Opening& opening = message.openings[next++];
    SumRecovery::Secret& secret = state->secrets[dealer];
    if (secret.holders.size() >= parameters_->threshold) continue;  // the first t are enough
    const secagg::ShareCommitments& commitments = state->shares[dealer]->commitments[*position];
    if (secagg::commit(secret.kind, roster_->h1(), dealer, *position, opening) != commitments.of(secret.kind)) {
      if (!named) {
        actions.emplace_back(
            Named{member, Error(ErrorCode::malformed, "an opening that does not match what was dealt", "openings")});
      }
      named = true;
      continue;
    }
    secret.holders.push_back(*position);
    secret.shares.push_back(std::move(opening.share));
  }
  Actions more = advance_if_complete(now);
  std::move(more.begin(), more.end(), std::back_inserter(actions));
  return actions;
}

SecureSum::Actions SecureSum::recover(Unmasking& from) {
  for (const std::uint32_t p : from.dealers.positions()) {
    if (from.secrets[p].holders.size() < parameters_->threshold) {
      return fail_with(ErrorCode::below_threshold,
                       fmt::format("{} openings for a member's secret, fewer than the threshold of {}",
                                   from.secrets[p].holders.size(), parameters_->threshold));
    }
  }
  std::unique_ptr<SumRecovery> work(new SumRecovery(terms_.layout));
  work->roster_ = roster_;
  work->h2_ = from.h2;
  work->survivors_ = from.survivors;
  work->seed_commitments_.resize(roster_->size());
  for (const std::uint32_t p : from.dealers.positions()) {
    work->seed_commitments_[p] = from.shares[p]->seed_commitment;
    work->secrets_.push_back(std::move(from.secrets[p]));
  }
  for (const std::uint32_t p : from.survivors.positions()) {
    work->vectors_.push_back(std::move(from.vectors[p]));
    work->hashes_.push_back(from.hashes[p]);
  }
  Recovering next{std::move(from.survivors)};
  state_ = std::move(next);
  deadline_.reset();
  Actions actions;
  actions.emplace_back(Recover{std::move(work)});
  return actions;
}

SecureSum::Actions SecureSum::on_recovered(Result<ring::CohortSum> sum, const SumRecovery& work) {
  auto* const state = std::get_if<Recovering>(&state_);
  if (state == nullptr) return {};  // aborted meanwhile
  Actions actions;
  if (!sum.has_value()) {
    if (work.lie()) actions.emplace_back(Named{member_[work.lie()->position], work.lie()->error});
    Actions ended = abort(sum.error());
    std::move(ended.begin(), ended.end(), std::back_inserter(actions));
    return actions;
  }
  Done done{std::move(state->survivors), std::move(*sum)};
  state_ = std::move(done);
  actions.emplace_back(Ended{});
  return actions;
}

// --- all phases

SecureSum::Actions SecureSum::advance(Moment now) {
  if (auto* const advertising = std::get_if<Advertising>(&state_)) return form_roster(*advertising, now);
  if (auto* const sharing = std::get_if<Sharing>(&state_)) return fix_dealers(*sharing, now);
  if (auto* const masking = std::get_if<Masking>(&state_)) return fix_survivors(*masking, now);
  if (auto* const voting = std::get_if<Voting>(&state_)) return certify(*voting, now);
  if (auto* const unmasking = std::get_if<Unmasking>(&state_)) return recover(*unmasking);
  return {};
}

SecureSum::Actions SecureSum::on_gone(std::uint32_t member, Moment now) {
  CHORUS_ENSURE(member < invited_.size(), "a member was invited");
  gone_[member] = true;
  return deadline_ ? advance_if_complete(now) : Actions{};
}

void SecureSum::on_returned(std::uint32_t member) {
  CHORUS_ENSURE(member < invited_.size(), "a member was invited");
  gone_[member] = false;
}

SecureSum::Actions SecureSum::on_time(Moment now) {
  const auto next = next_deadline();
  return next && now >= *next ? advance(now) : Actions{};
}

SecureSum::Actions SecureSum::abort(Error reason) {
  if (phase() == Phase::done || phase() == Phase::aborted) return {};
  state_ = Aborted{std::move(reason)};
  deadline_.reset();
  Actions actions;
  actions.emplace_back(Ended{});
  return actions;
}

SecureSum::Actions SecureSum::fail_with(ErrorCode code, std::string sentence) {
  return abort(Error(code, std::move(sentence)));
}

SecureSum::Entered SecureSum::entered(std::vector<std::uint32_t> positions) const {
  for (std::uint32_t& position : positions) position = member_[position];
  return {phase(), std::move(positions)};
}

}  // namespace chorus::coordinator
