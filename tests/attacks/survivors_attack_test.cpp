// Lies about who survived: rows 1, 2, 12 and 14.
#include <bit>

#include <gtest/gtest.h>

#include "tests/attacks/play.hpp"

namespace chorus::attacks {
namespace {

using client::FullChecks;
using secagg::MemberSet;
using secagg::ShareKind;

constexpr std::uint32_t kVictim = 3;

// Brings all but the victim back as they were, tells them that it is lost, and lets them open what they will. Without
// the promise to sign one set of survivors this gives a coordinator both kinds of shares.
void tell_restored_peers_that_the_victim_is_lost(Play& play, MemberMaker maker) {
  const MemberSet others = play.except({kVictim});
  std::vector<Play::Part*> restored;
  for (const std::uint32_t p : others.positions()) restored.push_back(&play.restore_to_upload(p, maker));
  for (Play::Part* part : restored) static_cast<void>(play.tell_survivors(*part, others));
  for (Play::Part* part : restored) static_cast<void>(play.tell_certificate(*part, play.certificate(*part)));
}

TEST(Attack, Row01AliveAndDeadAtOnceCannotBeSaid) {
  Scene scene;
  scene.members = 7;  // the bitmap's eighth bit is padding
  scene.corrupt = {1, 7};
  scene.dropout = {1, 7};
  for (const Bytes& forged : {
           Bytes{0x7f, 0x08},  // all are alive, and the victim is dead
           Bytes{0x7f, 0x77},  // two sets
           Bytes{0xff},        // a bit beyond the members
           Bytes{},
       }) {
    Play play(scene);
    play.play_to_upload();
    Member& member = *play.part(0).member;
    EXPECT_EQ(code_of(member.hear_survivors(forged)), ErrorCode::bad_survivors);
    EXPECT_FALSE(member.released().vote);
    EXPECT_EQ(member.state(), client::SumMember::State::aborted);
    expect_hidden(play, kVictim);
  }
}

TEST(Attack, Row01OneKindOfShareIsOpenedForEachMember) {
  Play play({});
  play.play_to_openings(play.except({kVictim}));
  const Knowledge known = play.knowledge();
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    EXPECT_EQ(known.shares(ShareKind::beta, p), p == kVictim ? 0U : 7U);
    EXPECT_EQ(known.shares(ShareKind::kappa, p), p == kVictim ? 7U : 0U);
  }
  expect_hidden(play, kVictim);
}

// What lists of the alive and the dead that are never held against each other would give away.
TEST(Attack, Row01ControlBothSharesOfOneMemberOpenItsUpdate) {
  Play play({});
  play.play_to_openings(play.everybody());
  tell_restored_peers_that_the_victim_is_lost(play, &make_member<WithoutOneVote>);
  expect_exposed(play, kVictim);
}

// Which members vote for which of the 256 survivor sets, asked of the machine itself.
std::vector<std::uint32_t> voters_for_each_set() {
  std::vector<std::uint32_t> voters(256, 0);
  for (std::uint32_t set = 0; set < 256; ++set) {
    Play play({}, &make_member<WithoutSignatures>);
    play.play_to_upload();
    MemberSet u3(8);
    for (std::uint32_t p = 0; p < 8; ++p) {
      if (((set >> p) & 1) != 0) u3.insert(p);
    }
    for (std::uint32_t p = 0; p < 8; ++p) {
      if (play.tell_survivors(play.part(p), u3).has_value()) voters[set] |= 1U << p;
    }
  }
  return voters;
}

TEST(Attack, Row02NoSplitOfEightCertifiesTwoSurvivorSets) {
  const std::vector<std::uint32_t> voters = voters_for_each_set();
  constexpr std::uint32_t kCorrupt = 0x80;  // position 7 signs whatever is asked
  constexpr int kQuorum = 5;
  int certifiable = 0;
  int most_of_the_lesser = 0;
  for (std::uint32_t a = 0; a < 256; ++a) {
    certifiable += std::popcount(voters[a] | kCorrupt) >= kQuorum ? 1 : 0;
    for (std::uint32_t b = 0; b < a; ++b) {
      for (std::uint32_t shown_a = 0; shown_a < 128; ++shown_a) {
        const int votes_a = std::popcount((voters[a] & shown_a) | kCorrupt);
        const int votes_b = std::popcount((voters[b] & ~shown_a & 0x7f) | kCorrupt);
        most_of_the_lesser = std::max(most_of_the_lesser, std::min(votes_a, votes_b));
      }
    }
  }
  EXPECT_EQ(certifiable, 37);  // the sets of six and more: each alone can be
  EXPECT_LT(most_of_the_lesser, kQuorum);
}

TEST(Attack, Row02HalvesThatAreToldDifferentSurvivorsOpenOneSumAtMost) {
  for (std::uint32_t told_a = 0; told_a < 128; told_a += 3) {
    Play play({.seed = told_a + 1});
    play.corrupt(7);
    play.play_to_upload();
    const MemberSet a = play.everybody();
    const MemberSet b = play.except({kVictim});
    for (std::uint32_t p = 0; p < 7; ++p) {
      const bool first = ((told_a >> p) & 1) != 0;
      const Status voted = play.tell_survivors(play.part(p), first ? a : b);
      if (p == kVictim && !first) {
        EXPECT_EQ(code_of(voted), ErrorCode::bad_survivors);
      } else {
        EXPECT_EQ(code_of(voted), std::nullopt);
      }
    }
    std::array<bool, 2> certified{};
    for (std::uint32_t p = 0; p < 7; ++p) {
      Play::Part& part = play.part(p);
      if (!part.member->released().vote) continue;
      const secagg::Certificate certificate = play.certificate(part);
      const Status opened = play.tell_certificate(part, certificate);
      if (certificate.votes.size() >= 5) {
        EXPECT_EQ(code_of(opened), std::nullopt);
        certified[part.u3 == a ? 0 : 1] = true;
      } else {
        EXPECT_EQ(code_of(opened), ErrorCode::bad_quorum);
        EXPECT_FALSE(part.member->released().openings);
      }
    }
    EXPECT_FALSE(certified[0] && certified[1]);
    if (!certified[0]) expect_hidden(play, kVictim);
    // The sum of the certified set, N = 5 honest members and more, or none.
    const std::uint32_t fewest = play.fewest_honest_in_a_sum();
    EXPECT_TRUE(fewest == 0 || fewest >= 5) << fewest;
  }
}

// γ bounds the corrupt: with two where the roster was cut for none, both halves reach the quorum and the threshold.
TEST(Attack, Row02ControlMoreCorruptMembersThanGammaLetBothHalvesOpen) {
  Scene scene;
  scene.corrupt = {0, 1};
  Play play(scene);
  play.corrupt(6);
  play.corrupt(7);
  play.play_to_upload();
  const MemberSet a = play.everybody();
  const MemberSet b = play.except({kVictim});
  for (const std::uint32_t p : {3U, 4U, 5U}) EXPECT_EQ(code_of(play.tell_survivors(play.part(p), a)), std::nullopt);
  for (const std::uint32_t p : {0U, 1U, 2U}) EXPECT_EQ(code_of(play.tell_survivors(play.part(p), b)), std::nullopt);
  for (std::uint32_t p = 0; p < 6; ++p) {
    EXPECT_EQ(code_of(play.tell_certificate(play.part(p), play.certificate(play.part(p)))), std::nullopt);
  }
  expect_exposed(play, kVictim);
}

TEST(Attack, Row12ALateUploadStaysMaskedWhateverIsOpenedForALostMember) {
  Play play({});
  play.corrupt(7);
  play.play_to_openings(play.except({kVictim}));  // its upload is in the coordinator's hands
  const Knowledge known = play.knowledge();
  EXPECT_TRUE(known.knows_mask_secret(play.leaf(kVictim).mask_key));
  EXPECT_FALSE(known.knows_beta(kVictim));
  EXPECT_EQ(known.shares(ShareKind::beta, kVictim), 1U);  // the corrupt member's
  expect_hidden(play, kVictim);
  EXPECT_EQ(play.fewest_honest_in_a_sum(), 6U);
}

// Without the self mask the pairwise ones are all there is.
TEST(Attack, Row12ControlWithoutTheSelfMaskALateUploadIsOpen) {
  Play play({});
  play.play_to_openings(play.except({kVictim}));
  Knowledge known = play.knowledge();
  known.add_beta(kVictim, confess(play.seed_of(kVictim)).beta);
  EXPECT_EQ(known.sum_of(play.only({kVictim})), play.x(kVictim));
}

TEST(Attack, Row14AnotherSurvivorSetIsNotSignedASecondTime) {
  Play play({});
  play.play_to_openings(play.everybody());
  // The same machine has moved on; it wipes and leaves.
  Play::Part& asked_twice = play.part(0);
  EXPECT_EQ(code_of(play.tell_survivors(asked_twice, play.except({kVictim}))), ErrorCode::out_of_phase);
  EXPECT_EQ(asked_twice.member->state(), client::SumMember::State::aborted);
  // A restored one finds what its device has promised.
  for (const std::uint32_t p : play.except({kVictim}).positions()) {
    Play::Part& restored = play.restore_to_upload(p, &make_member<FullChecks>);
    EXPECT_EQ(code_of(play.tell_survivors(restored, play.except({kVictim}))), ErrorCode::already_signed);
    EXPECT_FALSE(restored.member->released().vote);
  }
  EXPECT_EQ(play.knowledge().shares(ShareKind::kappa, kVictim), 0U);
  EXPECT_EQ(play.fewest_honest_in_a_sum(), 8U);
}

TEST(Attack, Row14ControlWithoutThePromiseBothSetsAreOpened) {
  Play play({});
  play.play_to_openings(play.everybody());
  tell_restored_peers_that_the_victim_is_lost(play, &make_member<WithoutOneVote>);
  expect_exposed(play, kVictim);
  EXPECT_EQ(play.fewest_honest_in_a_sum(), 1U);
}

TEST(Attack, Row14AQuorumIsOfDistinctSignersOnTheseSurvivors) {
  struct Forgery {
    const char* what;
    void (*forge)(secagg::Certificate&);
  };
  constexpr std::array kForgeries{
      Forgery{"the same signer five times", [](secagg::Certificate& c) { c.votes.assign(5, c.votes.front()); }},
      Forgery{"one signature under five names",
              [](secagg::Certificate& c) {
                for (auto& vote : c.votes) vote.signature = c.votes.front().signature;
              }},
      Forgery{"one too few", [](secagg::Certificate& c) { c.votes.resize(4); }},
      Forgery{"nobody", [](secagg::Certificate& c) { c.votes.clear(); }},
      Forgery{"a position that is none", [](secagg::Certificate& c) { c.votes.back().position = 8; }},
      Forgery{"out of order", [](secagg::Certificate& c) { std::swap(c.votes[0], c.votes[1]); }},
      Forgery{"one bad among enough", [](secagg::Certificate& c) { c.votes.back().signature[7] ^= 1; }},
  };
  for (const Forgery& forgery : kForgeries) {
    Play play({});
    play.play_to_votes(play.everybody());
    secagg::Certificate certificate = play.certificate(play.part(0));
    forgery.forge(certificate);
    EXPECT_EQ(code_of(play.tell_certificate(play.part(0), certificate)), ErrorCode::bad_quorum) << forgery.what;
    EXPECT_FALSE(play.released(0).openings) << forgery.what;
  }
  // Votes on other survivors.
  Play play({});
  play.play_to_upload();
  for (const std::uint32_t p : {0U, 1U, 2U}) {
    EXPECT_EQ(code_of(play.tell_survivors(play.part(p), play.everybody())), std::nullopt);
  }
  for (const std::uint32_t p : {4U, 5U, 6U, 7U}) {
    EXPECT_EQ(code_of(play.tell_survivors(play.part(p), play.except({kVictim}))), std::nullopt);
  }
  secagg::Certificate mixed = play.certificate(play.part(0));
  for (const auto& vote : play.certificate(play.part(4)).votes) mixed.votes.push_back(vote);
  EXPECT_EQ(mixed.votes.size(), 7U);
  EXPECT_EQ(code_of(play.tell_certificate(play.part(0), mixed)), ErrorCode::bad_quorum);
  EXPECT_FALSE(play.released(0).openings);
  expect_hidden(play, kVictim);
}

// Without the certificate the halves open both kinds of the victim's shares. (That each half falls short of the
// threshold is the second line: 2t > n + A. Row 2's control shows what happens behind it.)
TEST(Attack, Row14ControlWithoutTheQuorumBothKindsOfSharesAreReleased) {
  Play play({}, &make_member<WithoutQuorum>);
  play.play_to_upload();
  for (const std::uint32_t p : {3U, 4U, 5U, 6U}) {
    EXPECT_EQ(code_of(play.tell_survivors(play.part(p), play.everybody())), std::nullopt);
  }
  for (const std::uint32_t p : {0U, 1U, 2U, 7U}) {
    EXPECT_EQ(code_of(play.tell_survivors(play.part(p), play.except({kVictim}))), std::nullopt);
  }
  for (std::uint32_t p = 0; p < 8; ++p) EXPECT_EQ(code_of(play.tell_certificate(play.part(p), {})), std::nullopt);
  EXPECT_EQ(play.knowledge().shares(ShareKind::beta, kVictim), 4U);
  EXPECT_EQ(play.knowledge().shares(ShareKind::kappa, kVictim), 4U);
}

}  // namespace
}  // namespace chorus::attacks
