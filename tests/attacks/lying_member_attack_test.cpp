// Members that lie: rows 17 and 23.
#include <atomic>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "common/crypto/aead.hpp"
#include "common/crypto/merkle.hpp"
#include "common/secagg/transcript.hpp"
#include "tests/attacks/honest_coordinator.hpp"
#include "tests/attacks/sanitized.hpp"

namespace chorus::attacks {
namespace {

using client::FullChecks;
using secagg::MemberSet;
using secagg::ShareKind;

constexpr std::uint32_t kLiar = 2;

// Adds 2^20 to a share's first limb; it stays a field element. (Bits 0 to 2 of an X25519 secret mean nothing.)
void spoil(secagg::Opening& opening) {
  std::uint64_t limb = 0;
  std::memcpy(&limb, opening.share.expose().data(), 8);
  limb = secagg::field::add(limb, std::uint64_t{1} << 20);
  std::memcpy(opening.share.expose().data(), &limb, 8);
}

// What a dealer may change before it commits, seals and signs anew.
struct Dealing {
  std::function<void(std::uint32_t holder, secagg::Opening& beta, secagg::Opening& kappa)> openings;
  std::function<void(Digest& seed_commitment)> commitment;
  bool commit_to_what_is_sealed = true;
};

Bytes redeal(const Play& play, std::uint32_t dealer, const secagg::Roster& roster, ByteView said, const Dealing& lie) {
  const Confession secrets = confess(play.seed_of(dealer));
  secagg::Shares shares = secagg::decode_shares(said, roster.size(), dealer).value();
  const crypto::Exchange exchange(secrets.share.secret());
  for (std::uint32_t holder = 0; holder < roster.size(); ++holder) {
    if (holder == dealer || !lie.openings) continue;
    const auto agreed = exchange.agree(roster.leaf(holder).share_key);
    const crypto::SecretBytes<32> key = secagg::share_key(*agreed, roster.h1(), dealer, holder);
    ByteWriter associated;
    associated.raw(roster.h1());
    associated.u32(dealer);
    associated.u32(holder);
    const auto opened = crypto::open_once(key, associated.view(), shares.sealed[holder]);
    ByteReader in(*opened);
    std::vector<secagg::Opening> both(2);
    for (secagg::Opening& opening : both) {
      in.raw(opening.share.expose());
      in.raw(opening.salt.expose());
    }
    lie.openings(holder, both[0], both[1]);
    const Bytes sealed = crypto::seal_once(key, associated.view(), secagg::encode_openings_body(both));
    std::copy(sealed.begin(), sealed.end(), shares.sealed[holder].begin());
    if (!lie.commit_to_what_is_sealed) continue;
    shares.commitments[holder].beta = secagg::commit(ShareKind::beta, roster.h1(), dealer, holder, both[0]);
    shares.commitments[holder].kappa = secagg::commit(ShareKind::kappa, roster.h1(), dealer, holder, both[1]);
  }
  if (lie.commitment) lie.commitment(shares.seed_commitment);
  std::vector<Digest> leaves;
  for (const secagg::ShareCommitments& commitments : shares.commitments) leaves.push_back(commitments.leaf());
  shares.signature = play.device(dealer).key.sign(
      secagg::kSharesLabel,
      secagg::dealer_statement(roster.h1(), crypto::MerkleTree(std::move(leaves)).root(), shares.seed_commitment));
  return secagg::encode(shares, dealer);
}

HonestOutcome run_with_dealer(const Dealing& lie, bool falls_silent = false) {
  Play play({});
  HonestRun run;
  run.silent_from.resize(8);
  if (falls_silent) run.silent_from[kLiar] = Step::masked;
  run.tamper = [&](Step step, std::uint32_t p, Bytes& said) {
    if (step == Step::shares && p == kLiar) said = redeal(play, p, *play.part(p).roster, said, lie);
  };
  HonestOutcome outcome = run_honestly(play, run);
  if (outcome.sum) {
    MemberSet survivors(8);
    for (const std::uint32_t p : outcome.survivors) survivors.insert(p);
    EXPECT_EQ(*outcome.sum, play.sum_of(survivors));
  }
  return outcome;
}

void expect_dealer_named(const char* what, const HonestOutcome& outcome) {
  EXPECT_FALSE(outcome.sum) << what;
  ASSERT_TRUE(outcome.reason) << what;
  EXPECT_EQ(outcome.reason->code(), ErrorCode::bad_dealer) << what;
  ASSERT_EQ(outcome.named.size(), 1U) << what;
  EXPECT_EQ(outcome.named[0].first, kLiar) << what;
  EXPECT_EQ(outcome.named[0].second.code(), ErrorCode::bad_dealer) << what;
}

TEST(Attack, Row17ADealerOfBadSharesIsNamed) {
  const auto one_beta = [](std::uint32_t holder, secagg::Opening& beta, secagg::Opening&) {
    if (holder == 0) spoil(beta);
  };
  const auto every_beta = [](std::uint32_t, secagg::Opening& beta, secagg::Opening&) { spoil(beta); };
  const auto every_kappa = [](std::uint32_t, secagg::Opening&, secagg::Opening& kappa) { spoil(kappa); };
  const auto no_element = [](std::uint32_t, secagg::Opening& beta, secagg::Opening&) {
    std::memset(beta.share.expose().data(), 0xff, secagg::kShareSize);
  };
  const auto other = [](Digest& commitment) { commitment[0] ^= 1; };
  expect_dealer_named("one share of the self-seed", run_with_dealer({one_beta, {}, true}));
  expect_dealer_named("every share of the self-seed", run_with_dealer({every_beta, {}, true}));
  expect_dealer_named("what is no field element", run_with_dealer({no_element, {}, true}));
  expect_dealer_named("a self-seed other than it committed to", run_with_dealer({{}, other, true}));
  expect_dealer_named("shares of another mask secret, and silence", run_with_dealer({every_kappa, {}, true}, true));
  // A mask secret that nobody needs is never looked at: the sum is exact.
  EXPECT_TRUE(run_with_dealer({every_kappa, {}, true}).sum);
}

// The hash, and a good signature on it, of another update than the one that was sent: known before a secret is put
// together, and whose it is.
TEST(Attack, Row17AMemberThatSignsAnotherUpdatesHashIsNamed) {
  Play play({});
  HonestRun run;
  run.tamper = [&](Step step, std::uint32_t p, Bytes& said) {
    if (step != Step::masked || p != kLiar) return;
    const secagg::Roster& roster = *play.part(p).roster;
    secagg::Masked end = secagg::decode_masked(said, roster.size()).value();
    const Digest h2 = secagg::dealers_hash(roster.h1(), play.everybody());
    end.vector[0] ^= 1;
    end.signature =
        play.device(p).key.sign(secagg::kMaskedLabel, secagg::masked_statement(roster.h1(), h2, end.vector, end.held));
    said = secagg::encode(end);
  };
  const HonestOutcome outcome = run_honestly(play, run);
  EXPECT_FALSE(outcome.sum);
  ASSERT_TRUE(outcome.reason);
  EXPECT_EQ(outcome.reason->code(), ErrorCode::bad_signature);
  ASSERT_EQ(outcome.named.size(), 1U);
  EXPECT_EQ(outcome.named[0].first, kLiar);
  EXPECT_EQ(outcome.named[0].second.code(), ErrorCode::bad_signature);
}

// Ciphertexts that open to something else than was committed to: its peers say so in `held`, which proves nothing of
// anybody. The dealer, whose self-seed too few could open, is left out, and then its masks cannot be taken off: abort.
TEST(Attack, Row17SharesThatOpenForNobodyEndTheRoundAndAccuseNobody) {
  const auto every = [](std::uint32_t, secagg::Opening& beta, secagg::Opening& kappa) {
    spoil(beta);
    spoil(kappa);
  };
  const HonestOutcome outcome = run_with_dealer({every, {}, false});
  EXPECT_FALSE(outcome.sum);
  ASSERT_TRUE(outcome.reason);
  EXPECT_EQ(outcome.reason->code(), ErrorCode::below_threshold);
  EXPECT_TRUE(outcome.named.empty());
  // For two of the holders alone it costs nothing: t and D hold them still.
  const auto two = [](std::uint32_t holder, secagg::Opening& beta, secagg::Opening&) {
    if (holder == 0) spoil(beta);
  };
  EXPECT_TRUE(run_with_dealer({two, {}, false}).sum);
}

// A holder's openings, changed and signed anew.
void lie_in_openings(Play& play, std::uint32_t p, Bytes& said, bool sign) {
  const secagg::Roster& roster = *play.part(p).roster;
  secagg::Openings message = secagg::decode_openings(said, play.size()).value();
  for (secagg::Opening& opening : message.openings) spoil(opening);
  if (sign) {
    const Digest h2 = secagg::dealers_hash(roster.h1(), play.everybody());
    const Digest h3 = secagg::survivors_hash(h2, play.everybody());
    message.signature = play.device(p).key.sign(
        secagg::kUnmaskLabel, secagg::openings_statement(h3, secagg::encode_openings_body(message.openings)));
  }
  said = secagg::encode(message);
}

TEST(Attack, Row17AHolderOfABadOpeningIsNamedAndSkipped) {
  Play play({});
  HonestRun run;
  run.tamper = [&](Step step, std::uint32_t p, Bytes& said) {
    if (step == Step::openings && p == kLiar) lie_in_openings(play, p, said, true);
  };
  const HonestOutcome outcome = run_honestly(play, run);
  ASSERT_TRUE(outcome.sum) << outcome.reason->to_string();
  EXPECT_EQ(*outcome.sum, play.sum_of(play.everybody()));
  ASSERT_EQ(outcome.named.size(), 1U);
  EXPECT_EQ(outcome.named[0].first, kLiar);
  EXPECT_EQ(outcome.named[0].second.code(), ErrorCode::malformed);
}

// What was changed on the way proves nothing of its sender.
TEST(Attack, Row17OpeningsChangedOnTheWayAreRefusedAndAccuseNobody) {
  Play play({});
  HonestRun run;
  run.tamper = [&](Step step, std::uint32_t p, Bytes& said) {
    if (step == Step::openings && p == kLiar) lie_in_openings(play, p, said, false);
  };
  const HonestOutcome outcome = run_honestly(play, run);
  ASSERT_TRUE(outcome.sum);
  EXPECT_EQ(*outcome.sum, play.sum_of(play.everybody()));
  EXPECT_TRUE(outcome.named.empty());
  ASSERT_EQ(outcome.refused.size(), 1U);
  EXPECT_EQ(outcome.refused[0].first, kLiar);
  EXPECT_EQ(outcome.refused[0].second.code(), ErrorCode::bad_signature);
}

// Fifteen of 64 holders lie about everything: each opening is hashed once, and t good ones make each secret once. A
// search for a good subset of 34 among 64 would not end.
TEST(Attack, Row17ManyLyingHoldersAreNamedWithoutASearch) {
  Scene scene;
  scene.members = 64;
  scene.least_members = 40;
  scene.corrupt = {1, 20};
  scene.dropout = {1, 5};
  Play play(scene, &make_member<WithoutSignatures>);
  HonestRun run;
  run.tamper = [&](Step step, std::uint32_t p, Bytes& said) {
    if (step == Step::openings && p < 15) lie_in_openings(play, p, said, true);
  };
  const HonestOutcome outcome = run_honestly(play, run);
  ASSERT_TRUE(outcome.sum) << outcome.reason->to_string();
  EXPECT_EQ(*outcome.sum, play.sum_of(play.everybody()));
  ASSERT_EQ(outcome.named.size(), 15U);
  for (std::uint32_t p = 0; p < 15; ++p) EXPECT_EQ(outcome.named[p].first, p);
}

// Shares of another self-seed that agree with each other: without Com(β) they make a secret like any other, the sum is
// wrong, and nobody is to blame.
TEST(Attack, Row17ControlWithoutTheCommitmentTheSumIsSilentlyWrong) {
  Play play({});
  play.play_to_votes(play.everybody());
  sim::SeededRandom random(3);
  const crypto::SecretBytes<32> another = random.secret<32>();
  const std::vector<secagg::Share> dealt = secagg::split(another, 5, 8, random);
  std::vector<const secagg::Share*> some{&dealt[0], &dealt[2], &dealt[3], &dealt[5], &dealt[7]};
  const auto made = secagg::Recombination({0, 2, 3, 5, 7}).combine(some);
  ASSERT_TRUE(made.has_value());
  Knowledge known = play.knowledge();
  for (std::uint32_t p = 0; p < 8; ++p) {
    const Confession told = confess(play.seed_of(p));
    known.add_beta(p, p == kLiar ? *made : told.beta);
  }
  const std::optional<Lanes> sum = known.sum_of(play.everybody());
  ASSERT_TRUE(sum);
  EXPECT_NE(*sum, play.sum_of(play.everybody()));
}

// --- row 23

// n = 6, A = 1, D = 1: t = 4, the least that n − D − A leaves. The corrupt member answers up to a random step, and an
// honest one too; whatever happens at the worst moment, the sum is the survivors'.
void run_small_round(std::uint64_t number, MemberMaker maker, const sim::EnrolledDevices& devices,
                     secagg::VerifiedStatements& verified) {
  sim::SeededRandom random(number);
  Scene scene;
  scene.members = 6;
  scene.corrupt = {1, 6};
  scene.dropout = {1, 6};
  scene.least_members = 6;
  scene.seed = number + 1;
  scene.devices = &devices;
  scene.verified = &verified;
  Play play(scene, maker);
  HonestRun run;
  run.silent_from.resize(6);
  const std::uint32_t lost = static_cast<std::uint32_t>(random.below(6));
  const std::uint32_t corrupt = static_cast<std::uint32_t>(random.below(6));
  // A member that never advertised is no member; the D are lost before the survivors are fixed, the corrupt after.
  run.silent_from[lost] = random.below(2) == 0 ? Step::shares : Step::masked;
  if (corrupt != lost) run.silent_from[corrupt] = random.below(2) == 0 ? Step::vote : Step::openings;
  const HonestOutcome outcome = run_honestly(play, run);
  ASSERT_TRUE(outcome.sum) << "round " << number << ": " << outcome.reason->to_string();
  EXPECT_EQ(*outcome.sum, play.sum_of(play.except({lost}))) << "round " << number;
  EXPECT_EQ(outcome.survivors.size(), 5U) << "round " << number;
}

void run_small_rounds(std::uint64_t first, std::uint64_t count, MemberMaker maker) {
  sim::SeededRandom random(first);
  const sim::EnrolledDevices devices(6, kEnrolled, kExpiry, random);
  std::atomic<std::uint64_t> next{first};
  const auto work = [&] {
    secagg::VerifiedStatements verified;
    for (std::uint64_t k = next++; k < first + count && !::testing::Test::HasFailure(); k = next++) {
      run_small_round(k, maker, devices, verified);
    }
  };
  std::jthread other(work);
  work();
}

TEST(Attack, Row23WhoeverFallsSilentAtTheWorstMomentTheSumIsExact) {
  run_small_rounds(0, 500, &make_member<FullChecks>);
}

// The signatures of members that are honest by construction hold; without verifying them ten thousand rounds take
// seconds.
TEST(Attack, Row23NineThousandFiveHundredMoreRoundsAreExact) {
  run_small_rounds(500, kSanitized ? 300 : 9'500, &make_member<WithoutSignatures>);
}

// One silent member beyond A: the openings are too few, and the round ends by name.
TEST(Attack, Row23ControlOneSilenceMoreThanWasAllowedForEndsTheRound) {
  Scene scene;
  scene.members = 6;
  scene.corrupt = {1, 6};
  scene.dropout = {1, 6};
  for (const Step step : {Step::vote, Step::openings}) {
    Play play(scene);
    HonestRun run;
    run.silent_from.resize(6);
    run.silent_from[0] = Step::masked;
    run.silent_from[1] = step;
    run.silent_from[2] = step;
    const HonestOutcome outcome = run_honestly(play, run);
    EXPECT_FALSE(outcome.sum);
    ASSERT_TRUE(outcome.reason);
    EXPECT_EQ(outcome.reason->code(), ErrorCode::below_threshold);
  }
}

}  // namespace
}  // namespace chorus::attacks
