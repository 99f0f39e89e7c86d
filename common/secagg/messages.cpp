#include "common/secagg/messages.hpp"

#include <algorithm>

#include "common/base/check.hpp"
#include "common/crypto/merkle.hpp"

namespace chorus::secagg {

namespace {

void write(ByteWriter& out, const ShareCommitments& commitments) {
  out.raw(commitments.beta);
  out.raw(commitments.kappa);
}

ShareCommitments read_commitments(ByteReader& in) {
  ShareCommitments commitments;
  commitments.beta = in.array<32>();
  commitments.kappa = in.array<32>();
  return commitments;
}

}  // namespace

Bytes encode(const Shares& message, std::uint32_t dealer) {
  CHORUS_ENSURE(message.commitments.size() == message.sealed.size(), "one commitment pair and one sealing a member");
  ByteWriter out;
  out.reserve(96 + message.commitments.size() * (ShareCommitments::kSize + kSealedShares));
  out.raw(message.seed_commitment);
  out.raw(message.signature);
  for (const ShareCommitments& commitments : message.commitments) write(out, commitments);
  for (std::size_t holder = 0; holder < message.sealed.size(); ++holder) {
    if (holder != dealer) out.raw(message.sealed[holder]);
  }
  return std::move(out).take();
}

Result<Shares> decode_shares(ByteView bytes, std::uint32_t members, std::uint32_t dealer) {
  ByteReader in(bytes);
  Shares message;
  message.seed_commitment = in.array<32>();
  message.signature = in.array<64>();
  message.commitments.reserve(members);
  for (std::uint32_t i = 0; i < members; ++i) message.commitments.push_back(read_commitments(in));
  message.sealed.resize(members);
  for (std::uint32_t holder = 0; holder < members; ++holder) {
    if (holder != dealer) in.raw(message.sealed[holder]);
  }
  CHORUS_TRY_DO(in.finish("a dealer's shares"));
  return message;
}

Bytes encode(const Delivery& message, std::uint32_t holder) {
  ByteWriter out;
  out.reserve(message.dealt.size() * 640 + 64);
  message.dealers.encode(out);
  std::size_t next = 0;
  for (const std::uint32_t dealer : message.dealers.positions()) {
    if (dealer == holder) continue;
    const Dealt& dealt = message.dealt[next++];
    CHORUS_ENSURE(dealt.path.size() == crypto::merkle_path_length(holder, message.dealers.members()),
                  "a path has the length of its leaf");
    out.raw(dealt.root);
    out.raw(dealt.seed_commitment);
    out.raw(dealt.signature);
    write(out, dealt.commitments);
    for (const Digest& sibling : dealt.path) out.raw(sibling);
    out.raw(dealt.sealed);
  }
  CHORUS_ENSURE(next == message.dealt.size(), "one parcel a dealer");
  return std::move(out).take();
}

Bytes encode_delivery(const MemberSet& dealers, std::uint32_t holder, std::span<const std::optional<Shares>> shares,
                      std::span<const std::optional<crypto::MerkleTree>> trees) {
  ByteWriter out;
  out.reserve(dealers.size() * 640 + 64);
  dealers.encode(out);
  CHORUS_ENSURE(dealers.members() <= kMostMembers, "a roster has at most kMostMembers");
  // A parcel is put together here and appended whole: a roster of n members takes n² of them.
  ByteArray<kMostParcel> parcel;
  for (const std::uint32_t dealer : dealers.positions()) {
    if (dealer == holder) continue;
    std::uint8_t* end = parcel.data();
    const auto put = [&end](const auto& field) { end = std::copy(field.begin(), field.end(), end); };
    const Shares& dealt = *shares[dealer];
    put(trees[dealer]->root());
    put(dealt.seed_commitment);
    put(dealt.signature);
    put(dealt.commitments[holder].beta);
    put(dealt.commitments[holder].kappa);
    end = trees[dealer]->copy_path(holder, end);
    put(dealt.sealed[holder]);
    out.raw({parcel.data(), end});
  }
  return std::move(out).take();
}

Result<Delivery> decode_delivery(ByteView bytes, std::uint32_t members, std::uint32_t holder) {
  ByteReader in(bytes);
  Delivery message;
  message.dealers = MemberSet::decode(in, members);
  const std::size_t path = crypto::merkle_path_length(holder, members);
  for (const std::uint32_t dealer : message.dealers.positions()) {
    if (dealer == holder) continue;
    if (in.failed()) break;
    Dealt& dealt = message.dealt.emplace_back();
    dealt.root = in.array<32>();
    dealt.seed_commitment = in.array<32>();
    dealt.signature = in.array<64>();
    dealt.commitments = read_commitments(in);
    for (std::size_t i = 0; i < path; ++i) dealt.path.push_back(in.array<32>());
    dealt.sealed = in.array<kSealedShares>();
  }
  CHORUS_TRY_DO(in.finish("delivered shares"));
  return message;
}

Bytes encode(const Masked& message) {
  ByteWriter out;
  message.held.encode(out);
  out.raw(message.vector);
  out.raw(message.signature);
  return std::move(out).take();
}

Result<Masked> decode_masked(ByteView bytes, std::uint32_t members) {
  ByteReader in(bytes);
  Masked message;
  message.held = MemberSet::decode(in, members);
  message.vector = in.array<32>();
  message.signature = in.array<64>();
  CHORUS_TRY_DO(in.finish("a masked update's end"));
  return message;
}

Bytes masked_statement(const Digest& h1, const Digest& h2, const Digest& vector, const MemberSet& held) {
  ByteWriter out;
  out.raw(h1);
  out.raw(h2);
  out.raw(vector);
  held.encode(out);
  return std::move(out).take();
}

Bytes encode(const Survivors& message) {
  ByteWriter out;
  message.survivors.encode(out);
  return std::move(out).take();
}

Result<Survivors> decode_survivors(ByteView bytes, std::uint32_t members) {
  ByteReader in(bytes);
  Survivors message{MemberSet::decode(in, members)};
  if (const Status status = in.finish("a survivor set"); !status.has_value()) {
    return fail(ErrorCode::bad_survivors, status.error().sentence());
  }
  return message;
}

Bytes encode(const Certificate& message) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(message.votes.size()));
  for (const Certificate::Vote& vote : message.votes) {
    out.u32(vote.position);
    out.raw(vote.signature);
  }
  return std::move(out).take();
}

Result<Certificate> decode_certificate(ByteView bytes, std::uint32_t members) {
  ByteReader in(bytes);
  const std::size_t count = in.count(members, 4 + 64);
  Certificate message;
  message.votes.reserve(count);
  bool ordered = true;
  for (std::size_t i = 0; i < count; ++i) {
    Certificate::Vote vote;
    vote.position = in.u32();
    vote.signature = in.array<64>();
    ordered = ordered && vote.position < members && (i == 0 || message.votes.back().position < vote.position);
    message.votes.push_back(vote);
  }
  CHORUS_TRY_DO(in.finish("a quorum certificate"));
  if (!ordered) {
    return fail(ErrorCode::bad_quorum, "a quorum certificate's positions are not distinct members in order");
  }
  return message;
}

crypto::ZeroizingBytes encode_openings_body(const std::vector<Opening>& openings) {
  crypto::ZeroizingBytes body;
  body.reserve(openings.size() * Opening::kSize);
  for (const Opening& opening : openings) {
    const auto share = opening.share.expose();
    const auto salt = opening.salt.expose();
    body.insert(body.end(), share.begin(), share.end());
    body.insert(body.end(), salt.begin(), salt.end());
  }
  return body;
}

Bytes encode(const Openings& message) {
  // What is opened here is public to the coordinator from now on.
  const crypto::ZeroizingBytes body = encode_openings_body(message.openings);
  ByteWriter out;
  out.reserve(body.size() + 64);
  out.raw(body);
  out.raw(message.signature);
  return std::move(out).take();
}

Result<Openings> decode_openings(ByteView bytes, std::uint32_t held) {
  ByteReader in(bytes);
  Openings message;
  if (in.remaining() != std::size_t{held} * Opening::kSize + 64) {
    in.reject("not one opening for each share that is held");
  } else {
    message.openings.reserve(held);
    for (std::uint32_t i = 0; i < held; ++i) {
      Opening& opening = message.openings.emplace_back();
      in.raw(opening.share.expose());
      in.raw(opening.salt.expose());
    }
    message.signature = in.array<64>();
  }
  CHORUS_TRY_DO(in.finish("openings"));
  return message;
}

crypto::ZeroizingBytes openings_statement(const Digest& h3, ByteView body) {
  crypto::ZeroizingBytes statement(h3.size() + body.size());
  std::copy(body.begin(), body.end(), std::copy(h3.begin(), h3.end(), statement.begin()));
  return statement;
}

}  // namespace chorus::secagg
