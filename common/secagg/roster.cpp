#include "common/secagg/roster.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/secagg/transcript.hpp"

namespace chorus::secagg {

namespace {

constexpr std::size_t kStatementSize = 168;

Bytes signed_keys(const Digest& h0, const crypto::ExchangeKey& share_key, const crypto::ExchangeKey& mask_key) {
  ByteWriter writer;
  writer.raw(h0);
  writer.raw(share_key);
  writer.raw(mask_key);
  return std::move(writer).take();
}

void write(ByteWriter& writer, const Leaf& leaf) {
  writer.raw(identity::encode(leaf.statement));
  writer.raw(leaf.share_key);
  writer.raw(leaf.mask_key);
  writer.raw(leaf.signature);
}

Status check_distinct(const std::vector<Leaf>& leaves) {
  std::vector<ByteArray<32>> keys;
  keys.reserve(leaves.size() * 3);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (i > 0 && leaves[i].statement.id <= leaves[i - 1].statement.id) {
      const bool same = leaves[i].statement.id == leaves[i - 1].statement.id;
      return fail(same ? ErrorCode::duplicate_identity : ErrorCode::malformed,
                  same ? "a device is in the roster twice" : "the roster is not in the order of its device ids",
                  to_string(leaves[i].statement.id));
    }
    keys.push_back(leaves[i].statement.key);
    keys.push_back(leaves[i].share_key);
    keys.push_back(leaves[i].mask_key);
  }
  std::sort(keys.begin(), keys.end());
  if (std::adjacent_find(keys.begin(), keys.end()) != keys.end()) {
    return fail(ErrorCode::duplicate_identity, "a key is in the roster twice", "roster");
  }
  return {};
}

}  // namespace

Bytes encode(const Leaf& leaf) {
  ByteWriter writer;
  writer.reserve(Leaf::kSize);
  write(writer, leaf);
  CHORUS_ENSURE(writer.view().size() == Leaf::kSize, "a leaf has its documented size");
  return std::move(writer).take();
}

Result<Leaf> decode_leaf(ByteView bytes) {
  ByteReader reader(bytes);
  const ByteView statement = reader.view(kStatementSize);
  Leaf leaf;
  leaf.share_key = reader.array<32>();
  leaf.mask_key = reader.array<32>();
  leaf.signature = reader.array<64>();
  CHORUS_TRY_DO(reader.finish("an advertised leaf"));
  CHORUS_TRY(leaf.statement, identity::decode_identity_statement(statement));
  return leaf;
}

Leaf advertise(const Digest& h0, const identity::IdentityStatement& statement, const crypto::ExchangeKey& share_key,
               const crypto::ExchangeKey& mask_key, const crypto::SigningKey& key) {
  return {statement, share_key, mask_key, key.sign(kAdvertiseLabel, signed_keys(h0, share_key, mask_key))};
}

std::size_t VerifiedStatements::Hash::operator()(const Digest& digest) const noexcept {
  std::size_t value;
  std::memcpy(&value, digest.data(), sizeof(value));
  return value;
}

void VerifiedStatements::insert(const Digest& statement) {
  // A full cache starts anew: the cost is verifications, never correctness.
  if (digests_.size() >= kMost) digests_.clear();
  digests_.insert(statement);
}

Status check_leaf(const Leaf& leaf, const Digest& h0, const AdmissionRules& rules, VerifiedStatements& verified) {
  const identity::IdentityStatement& statement = leaf.statement;
  const std::string who = to_string(statement.id);
  const auto at_device = [&](const Error& error) { return fail(error.at(who)); };
  const Digest digest = crypto::sha256(identity::encode(statement));
  if (verified.contains(digest)) {
    // The signature is known to hold; what changes with time is asked again.
    if (statement.authority_key != rules.authority) {
      return fail(ErrorCode::bad_identity, "the identity is the word of another authority", who);
    }
    if (rules.now < statement.enrolled_at) return fail(ErrorCode::not_yet_valid, "the identity is not valid yet", who);
    if (rules.now >= statement.expires_at) return fail(ErrorCode::expired, "the identity has expired", who);
  } else {
    if (const Status status = identity::check(statement, rules.authority, rules.now); !status.has_value()) {
      return at_device(status.error());
    }
    verified.insert(digest);
  }
  if (rules.now - statement.enrolled_at < rules.least_age) {
    return fail(ErrorCode::identity_too_young, "the identity was enrolled less than the policy's least age ago", who);
  }
  if (rules.revoked != nullptr && rules.revoked->revokes(statement)) {
    return fail(ErrorCode::revoked, "the identity is on the authority's revocation list", who);
  }
  const Status signature =
      crypto::verify(statement.key, kAdvertiseLabel, signed_keys(h0, leaf.share_key, leaf.mask_key), leaf.signature);
  if (!signature.has_value()) return at_device(signature.error());
  // Every agreement with such a key fails: found here, it costs one member its place and nobody the round.
  if (crypto::is_low_order(leaf.share_key) || crypto::is_low_order(leaf.mask_key)) {
    return fail(ErrorCode::bad_key, "a key of low order", who);
  }
  return {};
}

Result<Roster> Roster::create(const Digest& h0, std::vector<Leaf> leaves, const Bounds& bounds) {
  const std::uint32_t n = static_cast<std::uint32_t>(leaves.size());
  if (n < bounds.least_members) {
    return fail(ErrorCode::cohort_too_small,
                fmt::format("a roster of {}, fewer than the plan's {} members", n, bounds.least_members), "roster");
  }
  if (n > bounds.most_members) {
    return fail(ErrorCode::too_large, fmt::format("a roster of {}, more than the plan's {}", n, bounds.most_members),
                "roster");
  }
  CHORUS_TRY_DO(check_distinct(leaves));
  Roster roster;
  CHORUS_TRY(roster.parameters_, derive_parameters(n, bounds.corrupt, bounds.dropout));
  ByteWriter writer;
  writer.reserve(leaves.size() * Leaf::kSize);
  for (const Leaf& leaf : leaves) write(writer, leaf);
  roster.h1_ = roster_hash(h0, n, writer.view());
  roster.leaves_ = std::move(leaves);
  return roster;
}

Result<Roster> Roster::decode(ByteView bytes, const Digest& h0, const Bounds& bounds) {
  ByteReader reader(bytes);
  const std::size_t n = reader.count(kMostMembers, Leaf::kSize);
  std::vector<Leaf> leaves;
  leaves.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    CHORUS_TRY(Leaf leaf, decode_leaf(reader.view(Leaf::kSize)));
    leaves.push_back(std::move(leaf));
  }
  CHORUS_TRY_DO(reader.finish("a roster"));
  return create(h0, std::move(leaves), bounds);
}

Result<Roster> Roster::decode_and_check(ByteView bytes, const Digest& h0, const Bounds& bounds,
                                        const AdmissionRules& rules, VerifiedStatements& verified) {
  CHORUS_TRY(Roster roster, decode(bytes, h0, bounds));
  for (const Leaf& leaf : roster.leaves_) CHORUS_TRY_DO(check_leaf(leaf, h0, rules, verified));
  return roster;
}

Bytes Roster::encode() const {
  ByteWriter writer;
  writer.reserve(4 + leaves_.size() * Leaf::kSize);
  writer.u32(size());
  for (const Leaf& leaf : leaves_) write(writer, leaf);
  return std::move(writer).take();
}

std::optional<std::uint32_t> Roster::position_of(const identity::DeviceId& id) const {
  const auto found = std::lower_bound(leaves_.begin(), leaves_.end(), id,
                                      [](const Leaf& leaf, const auto& wanted) { return leaf.statement.id < wanted; });
  if (found == leaves_.end() || found->statement.id != id) return std::nullopt;
  return static_cast<std::uint32_t>(found - leaves_.begin());
}

}  // namespace chorus::secagg
