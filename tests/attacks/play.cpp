#include "tests/attacks/play.hpp"

#include <algorithm>
#include <numeric>

#include "common/crypto/aead.hpp"
#include "common/crypto/merkle.hpp"

namespace chorus::attacks {

using secagg::MemberSet;

plan::UpdateLayout small_layout(int bits, std::uint32_t items) {
  plan::TensorLayout rows{
      .name = "rows", .rows = items, .columns = 2, .per_item = true, .limbs = 1, .scale_log2 = 2, .clip = 8};
  plan::TensorLayout rest{
      .name = "rest", .rows = 1, .columns = 3, .per_item = false, .limbs = 1, .scale_log2 = 2, .clip = 8};
  return plan::UpdateLayout::create({rows, rest}, bits, 64).value();
}

Play::Play(const Scene& scene, MemberMaker maker) : scene_(scene), random_(scene.seed), order_(scene.members) {
  if (scene.devices == nullptr) own_devices_.emplace(scene.members, kEnrolled, kExpiry, random_);
  rules_ = {devices().authority(), kToday, std::chrono::seconds{0}, nullptr};
  std::iota(order_.begin(), order_.end(), 0U);
  std::sort(order_.begin(), order_.end(),
            [&](std::uint32_t a, std::uint32_t b) { return devices()[a].statement.id < devices()[b].statement.id; });
  for (std::uint32_t p = 0; p < scene.members; ++p) {
    Bytes& update = updates_.emplace_back(scene.layout.packed_size());
    random_.fill(update);
    Part& part = parts_.emplace_back();
    part.position = p;
    part.member = maker(setting(p, &promises_.emplace_back()));
  }
}

const sim::EnrolledDevices::Device& Play::device(std::uint32_t position) const {
  return devices()[order_[position]];
}

MemberSetting Play::setting(std::uint32_t position, client::SumPromises* promises) {
  const sim::EnrolledDevices::Device& who = device(position);
  return {{scene_.h0, scene_.layout, {scene_.least_members, 64, scene_.corrupt, scene_.dropout}},
          {&who.statement, &who.key},
          rules_,
          &verified(),
          updates_[position],
          seed_of(position),
          promises};
}

Play::Part& Play::restore(std::uint32_t position, MemberMaker maker, client::SumPromises* promises) {
  Part& part = parts_.emplace_back();
  part.position = position;
  part.member = maker(setting(position, promises != nullptr ? promises : &promises_[position]));
  part.member->advertise();
  return part;
}

Play::Part& Play::restore_to_upload(std::uint32_t position, MemberMaker maker, client::SumPromises* promises) {
  Part& part = restore(position, maker, promises);
  const Part& before = parts_[position];
  EXPECT_EQ(part.member->released().leaf, before.member->released().leaf);
  EXPECT_TRUE(part.member->hear_roster(before.roster_bytes).has_value());
  EXPECT_EQ(part.member->released().shares, before.member->released().shares);
  EXPECT_TRUE(part.member->hear_delivery(before.delivery_bytes).has_value());
  part.roster = before.roster;
  part.u2 = before.u2;
  part.h2 = before.h2;
  return part;
}

void Play::recast(std::uint32_t position, MemberMaker maker, const Bytes* update, client::SumPromises* promises) {
  if (update != nullptr) updates_[position] = *update;
  parts_[position].member = maker(setting(position, promises != nullptr ? promises : &promises_[position]));
}

void Play::recast_all(MemberMaker maker, const secagg::AdmissionRules& rules) {
  rules_ = rules;
  for (std::uint32_t p = 0; p < size(); ++p) recast(p, maker);
}

void Play::recast_under(std::uint32_t position, MemberMaker maker, const Digest& h0) {
  MemberSetting other = setting(position, &promises_[position]);
  other.terms.h0 = h0;
  parts_[position].member = maker(std::move(other));
}

secagg::Leaf Play::leaf(std::uint32_t position) const {
  return secagg::decode_leaf(released(position).leaf).value();
}

std::vector<secagg::Leaf> Play::leaves() const {
  std::vector<secagg::Leaf> all;
  for (std::uint32_t p = 0; p < size(); ++p) all.push_back(leaf(p));
  return all;
}

Bytes Play::roster_bytes(const std::vector<secagg::Leaf>& leaves) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(leaves.size()));
  for (const secagg::Leaf& leaf : leaves) out.raw(secagg::encode(leaf));
  return std::move(out).take();
}

secagg::Leaf Play::signed_leaf(std::uint32_t position, const crypto::ExchangeKey& share_key,
                               const crypto::ExchangeKey& mask_key) const {
  return secagg::advertise(scene_.h0, device(position).statement, share_key, mask_key, device(position).key);
}

MemberSet Play::except(std::initializer_list<std::uint32_t> positions) const {
  MemberSet set(size());
  for (std::uint32_t p = 0; p < size(); ++p) {
    if (std::find(positions.begin(), positions.end(), p) == positions.end()) set.insert(p);
  }
  return set;
}

MemberSet Play::only(std::initializer_list<std::uint32_t> positions) const {
  MemberSet set(size());
  for (const std::uint32_t p : positions) set.insert(p);
  return set;
}

secagg::Shares Play::dealing(std::uint32_t dealer) const {
  const std::uint32_t n = parts_[dealer].roster->size();
  return secagg::decode_shares(*released(dealer).shares, n, dealer).value();
}

secagg::Delivery Play::delivery(std::uint32_t holder, const MemberSet& u2) const {
  secagg::Delivery message{u2, {}};
  for (const std::uint32_t dealer : u2.positions()) {
    if (dealer == holder) continue;
    const secagg::Shares shares = dealing(dealer);
    std::vector<Digest> leaves;
    for (const secagg::ShareCommitments& commitments : shares.commitments) leaves.push_back(commitments.leaf());
    const crypto::MerkleTree tree(std::move(leaves));
    message.dealt.push_back({tree.root(), shares.seed_commitment, shares.signature, shares.commitments[holder],
                             tree.path(holder), shares.sealed[holder]});
  }
  return message;
}

secagg::Certificate Play::certificate(const Part& to) const {
  const Digest h3 = secagg::survivors_hash(to.h2, to.u3);
  secagg::Certificate certificate;
  for (std::uint32_t p = 0; p < to.u2.members(); ++p) {
    if (is_corrupt(p)) {
      certificate.votes.push_back({p, device(p).key.sign(secagg::kSurvivorsLabel, h3)});
      continue;
    }
    for (const Part& part : parts_) {
      if (part.position != p || !part.member->released().vote || part.h2 != to.h2 || part.u3 != to.u3) continue;
      certificate.votes.push_back({p, *part.member->released().vote});
      break;
    }
  }
  return certificate;
}

Status Play::tell_roster(Part& part, const std::vector<secagg::Leaf>& leaves) {
  part.roster_bytes = roster_bytes(leaves);
  const Status said = part.member->hear_roster(part.roster_bytes);
  // What its sender believes, for the attacker's arithmetic.
  auto roster = secagg::Roster::create(scene_.h0, leaves, {1, 512, scene_.corrupt, scene_.dropout});
  if (roster.has_value()) part.roster = std::make_shared<const secagg::Roster>(std::move(*roster));
  return said;
}

Status Play::tell_delivery(Part& part, const secagg::Delivery& delivery) {
  part.u2 = delivery.dealers;
  part.h2 = secagg::dealers_hash(part.roster->h1(), part.u2);
  part.delivery_bytes = secagg::encode(delivery, part.position);
  return part.member->hear_delivery(part.delivery_bytes);
}

Status Play::tell_survivors(Part& part, const MemberSet& u3) {
  const Status said = part.member->hear_survivors(secagg::encode(secagg::Survivors{u3}));
  if (said.has_value()) part.u3 = u3;  // what its openings are for
  return said;
}

Status Play::tell_certificate(Part& part, const secagg::Certificate& certificate) {
  return part.member->hear_certificate(secagg::encode(certificate));
}

void Play::play_to_shares() {
  for (std::uint32_t p = 0; p < size(); ++p) parts_[p].member->advertise();
  for (std::uint32_t p = 0; p < size(); ++p) EXPECT_EQ(code_of(tell_roster(parts_[p], leaves())), std::nullopt);
}

void Play::play_to_upload() {
  play_to_shares();
  for (std::uint32_t p = 0; p < size(); ++p) {
    EXPECT_EQ(code_of(tell_delivery(parts_[p], delivery(p, everybody()))), std::nullopt);
  }
}

void Play::play_to_votes(MemberSet u3) {
  play_to_upload();
  for (const std::uint32_t p : u3.positions()) EXPECT_EQ(code_of(tell_survivors(parts_[p], u3)), std::nullopt);
}

void Play::play_to_openings(const MemberSet& u3) {
  play_to_votes(u3);
  for (const std::uint32_t p : u3.positions()) {
    EXPECT_EQ(code_of(tell_certificate(parts_[p], certificate(parts_[p]))), std::nullopt);
  }
}

bool Play::is_corrupt(std::uint32_t position) const {
  return std::find(corrupt_.begin(), corrupt_.end(), position) != corrupt_.end();
}

Knowledge Play::knowledge() const {
  Knowledge knowledge(scene_.layout);
  for (const Part& part : parts_) {
    const Released& said = part.member->released();
    if (said.masked) knowledge.add_upload(part.position, {said.masked->vector, part.roster, part.h2, part.u2});
    if (!said.openings) continue;
    const secagg::Masked end = secagg::decode_masked(said.masked->end, part.roster->size()).value();
    secagg::Openings opened = secagg::decode_openings(*said.openings, end.held.size()).value();
    std::size_t next = 0;
    for (const std::uint32_t dealer : end.held.positions()) {
      const secagg::ShareKind kind = part.u3.contains(dealer) ? secagg::ShareKind::beta : secagg::ShareKind::kappa;
      EXPECT_TRUE(knowledge.add_share(*part.roster, kind, dealer, part.position, opened.openings[next++],
                                      dealing(dealer).commitments[part.position]));
    }
  }
  for (const std::uint32_t position : corrupt_) {
    const Confession confession = confess(seed_of(position));
    knowledge.add_mask_secret(confession.mask);
    knowledge.add_beta(position, confession.beta);
    for (const Part& part : parts_) {
      if (part.position != position) read_sealed(knowledge, part, position, confession.share);
    }
  }
  knowledge.combine();
  return knowledge;
}

void Play::read_sealed(Knowledge& knowledge, const Part& part, std::uint32_t holder,
                       const crypto::ExchangeSecret& secret) const {
  if (!part.member->released().shares) return;
  const secagg::Roster& roster = *part.roster;
  const secagg::Shares dealt =
      secagg::decode_shares(*part.member->released().shares, roster.size(), part.position).value();
  const auto agreed = crypto::Exchange(secret.secret()).agree(roster.leaf(part.position).share_key);
  ByteWriter associated;
  associated.raw(roster.h1());
  associated.u32(part.position);
  associated.u32(holder);
  const auto opened = crypto::open_once(secagg::share_key(*agreed, roster.h1(), part.position, holder),
                                        associated.view(), dealt.sealed[holder]);
  if (!opened.has_value()) return;  // sealed for another key
  ByteReader in(*opened);
  for (const secagg::ShareKind kind : {secagg::ShareKind::beta, secagg::ShareKind::kappa}) {
    secagg::Opening opening;
    in.raw(opening.share.expose());
    in.raw(opening.salt.expose());
    EXPECT_TRUE(knowledge.add_share(roster, kind, part.position, holder, opening, dealt.commitments[holder]));
  }
}

Lanes Play::sum_of(const MemberSet& members) const {
  Lanes sum(scene_.layout.dimension(), 0);
  for (const std::uint32_t p : members.positions()) sum = add(scene_.layout, sum, x(p));
  return sum;
}

std::uint32_t Play::fewest_honest_in_a_sum() const {
  std::uint32_t fewest = 0;
  const Knowledge known = knowledge();
  for (const MemberSet& set : known.decodable()) {
    std::uint32_t honest = 0;
    for (const std::uint32_t p : set.positions()) honest += is_corrupt(p) ? 0U : 1U;
    if (honest == 0) continue;  // the corrupt know their own updates
    EXPECT_EQ(known.sum_of(set), sum_of(set));
    fewest = fewest == 0 ? honest : std::min(fewest, honest);
  }
  return fewest;
}

void expect_hidden(const Play& play, std::uint32_t victim) {
  for (const MemberSet& set : play.knowledge().decodable()) {
    EXPECT_FALSE(set.contains(victim)) << "a sum of " << set.size() << " with the victim in it decodes";
  }
}

void expect_exposed(const Play& play, std::uint32_t victim) {
  const std::optional<Lanes> found = play.knowledge().sum_of(play.only({victim}));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(*found, play.x(victim));
}

}  // namespace chorus::attacks
