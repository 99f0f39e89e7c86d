// Different stories for different members, and what ties keys and masks to one story: rows 5, 10, 13 and 20.
#include <array>
#include <bit>

#include <gtest/gtest.h>

#include "common/crypto/hkdf.hpp"
#include "common/ring/mask_kernel.hpp"
#include "tests/attacks/play.hpp"

namespace chorus::attacks {
namespace {

using client::FullChecks;
using secagg::MemberSet;
using secagg::ShareKind;

constexpr std::uint32_t kVictim = 3;
// χ² with 255 degrees of freedom: outside with probability 2·10^-5, and the seeds are fixed.
constexpr double kUniformLeast = 165;
constexpr double kUniformMost = 365;

// Long enough that a χ² test sees what is not uniform: 16,387 coordinates.
Scene long_scene(std::uint64_t seed) {
  Scene scene;
  scene.layout = small_layout(24, 8192);
  scene.seed = seed;
  return scene;
}

// An update as a model makes it: small numbers, mostly zeros.
Bytes plain_update(const plan::UpdateLayout& layout, std::uint64_t seed) {
  sim::SeededRandom random(seed);
  Bytes update(layout.packed_size(), 0);
  for (int k = 0; k < 200; ++k)
    update[3 * random.below(layout.dimension())] = static_cast<std::uint8_t>(random.below(30));
  return update;
}

void expect_noise(const Play& play, const MemberSet& members) {
  const Knowledge known = play.knowledge();
  EXPECT_FALSE(known.can_sum(members));
  const double chi = chi_squared(play.scene().layout, known.forced_sum_of(members));
  EXPECT_GT(chi, kUniformLeast);
  EXPECT_LT(chi, kUniformMost);
}

TEST(Attack, Row05AnotherPlanForOneMemberEndsBeforeAnyShareLeaves) {
  Play play({});
  play.recast_under(kVictim, &make_member<FullChecks>, Digest{9, 9, 9});
  for (std::uint32_t p = 0; p < play.size(); ++p) play.part(p).member->advertise();
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    EXPECT_EQ(code_of(play.tell_roster(play.part(p), play.leaves())), ErrorCode::bad_signature);
    EXPECT_FALSE(play.released(p).shares);
  }
}

// A corrupt member signs two leaves in one session; the victim is shown the other one. Every signature holds.
template <typename Checks>
void show_the_victim_another_roster(Play& play) {
  play.recast(kVictim, &make_member<Checks>);
  play.corrupt(7);
  for (std::uint32_t p = 0; p < play.size(); ++p) play.part(p).member->advertise();
  sim::SeededRandom random(8);
  std::vector<secagg::Leaf> other = play.leaves();
  const crypto::ExchangeKey share = crypto::ExchangeSecret::generate(random).public_key();
  other[7] = play.signed_leaf(7, share, crypto::ExchangeSecret::generate(random).public_key());
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    EXPECT_EQ(code_of(play.tell_roster(play.part(p), p == kVictim ? other : play.leaves())), std::nullopt);
  }
}

TEST(Attack, Row05SharesOfAnotherRosterDoNotOpen) {
  {
    Play play({});
    show_the_victim_another_roster<FullChecks>(play);
    Play::Part& victim = play.part(kVictim);
    EXPECT_EQ(code_of(play.tell_delivery(victim, play.delivery(kVictim, play.everybody()))), ErrorCode::bad_signature);
    EXPECT_FALSE(victim.member->released().masked);
  }
  Play play({});
  show_the_victim_another_roster<WithoutDealerSignatures>(play);
  Play::Part& victim = play.part(kVictim);
  EXPECT_EQ(code_of(play.tell_delivery(victim, play.delivery(kVictim, play.everybody()))),
            ErrorCode::share_not_authentic);
  EXPECT_FALSE(victim.member->released().masked);
}

TEST(Attack, Row05ForcedThroughAnotherRosterTheSumIsNoise) {
  Play play(long_scene(11));
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    const Bytes update = plain_update(play.scene().layout, p);
    play.recast(p, &make_member<WithoutTranscript>, &update);
  }
  show_the_victim_another_roster<WithoutTranscript>(play);
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    EXPECT_EQ(code_of(play.tell_delivery(play.part(p), play.delivery(p, play.everybody()))), std::nullopt);
  }
  expect_noise(play, play.everybody());
}

TEST(Attack, Row05AnotherSetOfDealersForOneMemberMakesTheSumNoise) {
  Play play(long_scene(12));
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    const Bytes update = plain_update(play.scene().layout, p);
    play.recast(p, &make_member<FullChecks>, &update);
  }
  play.play_to_shares();
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    const MemberSet told = p == kVictim ? play.except({6}) : play.everybody();
    EXPECT_EQ(code_of(play.tell_delivery(play.part(p), play.delivery(p, told))), std::nullopt);
  }
  // The others certify everybody and open every self-seed; the victim's vote is for another story.
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    const MemberSet survivors = p == kVictim ? play.except({6}) : play.everybody();
    EXPECT_EQ(code_of(play.tell_survivors(play.part(p), survivors)), std::nullopt);
  }
  for (const std::uint32_t p : play.except({kVictim}).positions()) {
    EXPECT_EQ(code_of(play.tell_certificate(play.part(p), play.certificate(play.part(p)))), std::nullopt);
  }
  Play::Part& victim = play.part(kVictim);
  EXPECT_EQ(code_of(play.tell_certificate(victim, play.certificate(play.part(0)))), ErrorCode::bad_quorum);
  EXPECT_TRUE(play.knowledge().knows_beta(kVictim));
  EXPECT_EQ(play.fewest_honest_in_a_sum(), 0U);
  expect_noise(play, play.everybody());
  expect_noise(play, play.only({kVictim}));
  expect_noise(play, play.except({kVictim}));
}

// What the salts prevent: if the victim's masks cancelled although it was shown another model, peers whose model makes
// their updates vanish would leave the victim's alone in the sum (Pasquini et al., CCS 2022).
TEST(Attack, Row05ControlMasksThatCancelAcrossModelsLeaveTheVictimAlone) {
  Play play(long_scene(13));
  const Bytes nothing(play.scene().layout.packed_size(), 0);
  const Bytes secret = plain_update(play.scene().layout, 77);
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    play.recast(p, &make_member<FullChecks>, p == kVictim ? &secret : &nothing);
  }
  play.play_to_openings(play.everybody());
  const std::optional<Lanes> sum = play.knowledge().sum_of(play.everybody());
  ASSERT_TRUE(sum.has_value());
  EXPECT_EQ(*sum, lanes_of(play.scene().layout, secret));
  EXPECT_GT(chi_squared(play.scene().layout, *sum), 1e6);  // and the test tells noise from a sum
}

// --- row 10

TEST(Attack, Row10SharesForAnotherAreNotOpened) {
  struct Lie {
    const char* what;
    void (*forge)(const Play& play, secagg::Delivery& delivery);
  };
  constexpr std::array kLies{
      Lie{"swapped",
          [](const Play&, secagg::Delivery& delivery) {
            const secagg::SealedShares first = delivery.dealt.front().sealed;
            for (std::size_t k = 0; k + 1 < delivery.dealt.size(); ++k) {
              delivery.dealt[k].sealed = delivery.dealt[k + 1].sealed;
            }
            delivery.dealt.back().sealed = first;
          }},
      Lie{"reflected",
          [](const Play& play, secagg::Delivery& delivery) {
            const secagg::Shares own = play.dealing(kVictim);
            std::size_t k = 0;
            for (const std::uint32_t peer : play.except({kVictim}).positions()) {
              delivery.dealt[k++].sealed = own.sealed[peer];
            }
          }},
      Lie{"another holder's",
          [](const Play& play, secagg::Delivery& delivery) {
            std::size_t k = 0;
            for (const std::uint32_t peer : play.except({kVictim}).positions()) {
              delivery.dealt[k++].sealed = play.dealing(peer).sealed[peer == 0 ? 1 : 0];
            }
          }},
      Lie{"zeros",
          [](const Play&, secagg::Delivery& delivery) {
            for (secagg::Dealt& dealt : delivery.dealt) dealt.sealed = {};
          }},
      Lie{"replayed from a session with the same keys",
          [](const Play& play, secagg::Delivery& delivery) {
            Scene earlier = play.scene();
            earlier.h0 = {8};
            Play before(earlier);
            before.play_to_shares();
            std::size_t k = 0;
            for (const std::uint32_t peer : play.except({kVictim}).positions()) {
              EXPECT_EQ(before.leaf(peer).share_key, play.leaf(peer).share_key);
              delivery.dealt[k++].sealed = before.dealing(peer).sealed[kVictim];
            }
          }},
  };
  for (const Lie& lie : kLies) {
    Play play({});
    play.play_to_shares();
    secagg::Delivery delivery = play.delivery(kVictim, play.everybody());
    lie.forge(play, delivery);
    Play::Part& victim = play.part(kVictim);
    EXPECT_EQ(code_of(play.tell_delivery(victim, delivery)), ErrorCode::share_not_authentic) << lie.what;
    EXPECT_FALSE(victim.member->released().masked) << lie.what;
  }
}

// A few ciphertexts that do not open cost their dealers a holder; what was not opened is never sent on.
TEST(Attack, Row10OneForgedCiphertextIsToldInHeldAndNeverOpened) {
  for (std::size_t byte = 0; byte < secagg::kSealedShares; byte += 9) {
    Play play({.seed = byte + 1});
    play.play_to_shares();
    secagg::Delivery delivery = play.delivery(kVictim, play.everybody());
    delivery.dealt[5].sealed[byte] ^= 0x10;  // position 6's
    for (std::uint32_t p = 0; p < play.size(); ++p) {
      EXPECT_EQ(code_of(play.tell_delivery(play.part(p), p == kVictim ? delivery : play.delivery(p, play.everybody()))),
                std::nullopt);
    }
    const secagg::Masked end = secagg::decode_masked(play.released(kVictim).masked->end, 8).value();
    EXPECT_EQ(end.held, play.except({6}));
    for (std::uint32_t p = 0; p < play.size(); ++p) {
      EXPECT_EQ(code_of(play.tell_survivors(play.part(p), play.everybody())), std::nullopt);
    }
    for (std::uint32_t p = 0; p < play.size(); ++p) {
      EXPECT_EQ(code_of(play.tell_certificate(play.part(p), play.certificate(play.part(p)))), std::nullopt);
    }
    EXPECT_EQ(play.knowledge().shares(ShareKind::beta, 6), 7U);
    EXPECT_EQ(play.fewest_honest_in_a_sum(), 8U);
  }
}

TEST(Attack, Row10APeersCommitmentsUnderAnothersNameAreABadSignature) {
  Play play({});
  play.play_to_shares();
  secagg::Delivery delivery = play.delivery(kVictim, play.everybody());
  std::swap(delivery.dealt[0], delivery.dealt[1]);
  EXPECT_EQ(code_of(play.tell_delivery(play.part(kVictim), delivery)), ErrorCode::bad_signature);
  EXPECT_FALSE(play.released(kVictim).masked);
}

// Keys and associated data without a direction would take the victim's own shares, reflected, for its peers': told that
// the peers are lost it would open t shares of its own mask secret, beside the self-seed that they open.
TEST(Attack, Row10ControlReflectedSharesGiveTheVictimAway) {
  Play play({});
  play.play_to_openings(play.everybody());
  Knowledge known = play.knowledge();
  EXPECT_FALSE(known.can_sum(play.only({kVictim})));
  const Confession victim = confess(play.seed_of(kVictim));
  const secagg::Roster& roster = *play.part(kVictim).roster;
  const secagg::Shares dealt = play.dealing(kVictim);
  for (const std::uint32_t peer : play.except({kVictim}).positions()) {
    // The one agreement of the two is both directions' only secret: a key without positions is the same both ways.
    const auto agreed = crypto::Exchange(victim.share.secret()).agree(roster.leaf(peer).share_key);
    ByteWriter associated;
    associated.raw(roster.h1());
    associated.u32(kVictim);
    associated.u32(peer);
    const auto opened = crypto::open_once(secagg::share_key(*agreed, roster.h1(), kVictim, peer), associated.view(),
                                          dealt.sealed[peer]);
    ASSERT_TRUE(opened.has_value());
    ByteReader in(*opened);
    in.view(secagg::Opening::kSize);
    secagg::Opening kappa;
    in.raw(kappa.share.expose());
    in.raw(kappa.salt.expose());
    EXPECT_TRUE(known.add_share(roster, ShareKind::kappa, kVictim, peer, kappa, dealt.commitments[peer]));
  }
  known.combine();
  EXPECT_EQ(known.sum_of(play.only({kVictim})), play.x(kVictim));
}

// --- row 13

constexpr std::uint32_t kCorrupt = 0x80;  // position 7
constexpr std::uint32_t kHonest = 0x7f;
constexpr int kThreshold = 5;

MemberSet set_of(std::uint32_t bits) {
  MemberSet set(8);
  for (std::uint32_t p = 0; p < 8; ++p) {
    if (((bits >> p) & 1) != 0) set.insert(p);
  }
  return set;
}

// Which of the 256 sets of dealers each member masks with, asked of the machine itself: [set] → members.
template <typename Checks>
std::vector<std::uint32_t> masked_with() {
  std::vector<std::uint32_t> members(256, 0);
  for (std::uint32_t set = 0; set < 256; ++set) {
    Play play({}, &make_member<Checks>);
    play.play_to_shares();
    for (std::uint32_t p = 0; p < 8; ++p) {
      const MemberSet u2 = set_of(set);
      if (!u2.contains(p)) {
        EXPECT_EQ(code_of(play.tell_delivery(play.part(p), play.delivery(p, u2))), ErrorCode::malformed);
      } else if (play.tell_delivery(play.part(p), play.delivery(p, u2)).has_value()) {
        members[set] |= 1U << p;
      }
    }
  }
  return members;
}

// One way to lie about the dealers: half of the honest members mask with set a, the others with b.
struct Split {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t shown_a = 0;  // honest members
};

// The fewest honest members whose sum decodes after half `first` of a split certifies u3; 8 if none does.
int fewest_summed(const Split& split, bool first, std::uint32_t u3) {
  const std::uint32_t u2 = first ? split.a : split.b;
  const std::uint32_t half = first ? split.shown_a : kHonest & ~split.shown_a;
  const std::uint32_t voters = (half & u3) | kCorrupt;
  if ((u3 & ~u2) != 0 || std::popcount(voters) < kThreshold) return 8;
  const std::uint32_t betas = u3 | kCorrupt;         // opened by t, as the corrupt member has shares of its own
  const std::uint32_t free = (u2 & ~u3) | kCorrupt;  // members whose pairwise masks are known
  int fewest = 8;
  for (std::uint32_t start = kHonest & betas; start != 0; start &= start - 1) {
    // The smallest sum with this member in it: whoever shares an unknown mask with one inside must be inside, with the
    // same salt.
    std::uint32_t inside = start & (~start + 1);
    bool decodes = true;
    for (std::uint32_t before = 0; decodes && before != inside;) {
      before = inside;
      for (std::uint32_t left = before & ~free; left != 0; left &= left - 1) {
        const std::uint32_t member = left & (~left + 1);
        const bool in_a = (split.shown_a & member) != 0;
        const std::uint32_t partners = (in_a ? split.a : split.b) & ~free & ~member;
        const std::uint32_t same = split.a == split.b ? kHonest : in_a ? split.shown_a : kHonest & ~split.shown_a;
        decodes = decodes && (partners & ~same) == 0 && (partners & ~betas) == 0;
        inside |= partners;
      }
    }
    if (decodes) fewest = std::min(fewest, std::popcount(inside & kHonest));
  }
  return fewest;
}

// Over every pair of sets, every split and every certificate; without `found` it stops at a sum of one.
int fewest_summed_of_all(const std::vector<std::uint32_t>& members, std::vector<Split>* found) {
  int fewest = 8;
  for (std::uint32_t a = 0; a < 256; ++a) {
    for (std::uint32_t b = 0; b <= a; ++b) {
      for (std::uint32_t shown_a = 0; shown_a < 128; ++shown_a) {
        // Only who accepts what it is shown uploads.
        if ((shown_a & ~members[a]) != 0 || (kHonest & ~shown_a & ~members[b]) != 0) continue;
        const Split split{a, b, shown_a};
        for (std::uint32_t u3 = 0; u3 < 256; ++u3) {
          if (std::popcount(u3) < 6) continue;
          for (const bool first : {true, false}) fewest = std::min(fewest, fewest_summed(split, first, u3));
        }
        if (found != nullptr) found->push_back(split);
        if (found == nullptr && fewest == 1) return fewest;
      }
    }
  }
  return fewest;
}

TEST(Attack, Row13NoSplitOfTheDealersDecodesASumOfFewerThanN) {
  const std::vector<std::uint32_t> members = masked_with<WithoutSignatures>();
  std::vector<Split> splits;
  EXPECT_EQ(fewest_summed_of_all(members, &splits), 5);  // N, and it is reached
  EXPECT_GT(splits.size(), 100U);

  // The arithmetic above, held against members and openings as they are.
  sim::SeededRandom random(13);
  for (int trial = 0; trial < 60; ++trial) {
    const Split split = splits[random.below(splits.size())];
    Play play({.seed = static_cast<std::uint64_t>(trial) + 1}, &make_member<WithoutSignatures>);
    play.corrupt(7);
    play.play_to_shares();
    const auto told = [&](std::uint32_t p) { return set_of(((split.shown_a >> p) & 1) != 0 ? split.a : split.b); };
    for (std::uint32_t p = 0; p < 7; ++p) {
      EXPECT_EQ(code_of(play.tell_delivery(play.part(p), play.delivery(p, told(p)))), std::nullopt);
    }
    // The larger half is told that as few survived as may be.
    const bool first = std::popcount(split.shown_a) >= 4;
    std::uint32_t u3 = first ? split.a : split.b;
    const std::uint32_t half = first ? split.shown_a : kHonest & ~split.shown_a;
    for (std::uint32_t p = 0; p < 8 && std::popcount(u3) > 6; ++p) {
      if (((half >> p) & 1) == 0) u3 &= ~(1U << p);
    }
    for (std::uint32_t p = 0; p < 7; ++p) {
      if (((half & u3) >> p & 1) != 0) {
        EXPECT_EQ(code_of(play.tell_survivors(play.part(p), set_of(u3))), std::nullopt);
      }
    }
    for (std::uint32_t p = 0; p < 7; ++p) {
      Play::Part& part = play.part(p);
      if (!part.member->released().vote || play.certificate(part).votes.size() < 5) continue;
      EXPECT_EQ(code_of(play.tell_certificate(part, play.certificate(part))), std::nullopt);
    }
    const int expected = fewest_summed(split, first, u3);
    EXPECT_EQ(play.fewest_honest_in_a_sum(), expected == 8 ? 0U : static_cast<std::uint32_t>(expected))
        << split.a << ' ' << split.b << ' ' << split.shown_a << ' ' << u3;
  }
}

// Without the floor of dealers the same search finds one member alone. (Row 6's control does it.)
TEST(Attack, Row13ControlWithoutAFloorOfDealersTheSearchFindsASumOfOne) {
  EXPECT_EQ(fewest_summed_of_all(masked_with<WithoutDealerSetSize>(), nullptr), 1);
}

// --- row 20

// HMAC-SHA256 and AES-256-CTR of other implementations (Python's hmac, OpenSSL's command line) gave these.
TEST(Attack, Row20KeysAndMasksAreTheKnownAnswers) {
  ByteArray<32> bytes;
  for (std::size_t k = 0; k < 32; ++k) bytes[k] = static_cast<std::uint8_t>(k);
  const crypto::SecretBytes<32> secret(bytes);
  Digest h1;
  Digest h2;
  for (std::size_t k = 0; k < 32; ++k) {
    h1[k] = static_cast<std::uint8_t>(32 + k);
    h2[k] = static_cast<std::uint8_t>(64 + k);
  }
  const auto hex = [](const crypto::SecretBytes<32>& key) { return to_hex(key.expose()); };
  EXPECT_EQ(hex(secagg::share_key(secret, h1, 3, 500)),
            "4fc87cf961a1fe8258bc33f21b9bb92e669f11cf3ebbed3266c0d49e9ed25a3b");
  EXPECT_EQ(hex(secagg::share_key(secret, h1, 500, 3)),
            "4db57046a4bbe5fc00adc0cd3d34504282355cc6012677f6322d7071573208ab");
  EXPECT_EQ(hex(secagg::self_mask_seed(secret, h2, 3)),
            "537ea514591d390e812b4417cd209dce8b45e5144b07ed58aea6899203ec60e6");
  const crypto::SecretBytes<32> seed = secagg::pair_mask_seed(secret, h2, 500, 3);
  EXPECT_EQ(hex(seed), "8f53c7289c710b4364c7d6a87b581de9e1c7b62ff0ee30adb99dabc3e9afc25e");

  const ring::Mask mask{&seed, false};
  const std::array<std::string, 2> streams{
      "910661c152dd16f108dcf32c0002012a56e6b1dad351f5fc0d2cda8f2dbe8b86d8cbf474142a994cb9813baf27883085",
      "2632154010cd54cfc216dc0a945f361afa23c5dc86b4cf021a0b0fc6c1197a7f5ff4b19c8f39988682e927dfb5602529"};
  for (std::uint64_t vector = 0; vector < 2; ++vector) {
    const Bytes stream = from_hex(streams[vector]).value();
    std::array<std::uint32_t, 12> wide{};
    std::array<std::uint16_t, 24> narrow{};
    ring::add_masks(wide, std::span(&mask, 1), vector, 0);
    ring::add_masks(narrow, std::span(&mask, 1), vector, 0);
    for (std::size_t k = 0; k < 24; ++k) {
      EXPECT_EQ(narrow[k], stream[2 * k] | stream[2 * k + 1] << 8);
    }
    for (std::size_t k = 0; k < 12; ++k) {
      EXPECT_EQ(wide[k], narrow[2 * k] | std::uint32_t{narrow[2 * k + 1]} << 16);
    }
  }

  // H("CSA/1/h1" ‖ 0 ‖ h0 ‖ n ‖ H(leaves)) and on.
  const Digest roster = secagg::roster_hash(h1, 8, as_bytes("leaves"));
  EXPECT_EQ(to_hex(roster), "3c2b8f5ee22ddb83e428c8eb3108ec36cdfdff33194226e2da57aa2c1ed71c9e");
  const Digest dealers = secagg::dealers_hash(roster, set_of(0xdf));
  EXPECT_EQ(to_hex(dealers), "1cfc36fee16e4229e03cb65f9b65cb816d49d1f6a664c6a3bc5d4b18ce5a02b6");
  EXPECT_EQ(to_hex(secagg::survivors_hash(dealers, set_of(0x5f))),
            "aee095738a101f4ddda99062f2893bc780541c7968a749db2a76c35af4a60c5a");
}

// The difference of what one device uploaded in two sessions with the same peers, keys and self-seed.
Lanes difference_of_uploads(const Digest& second_plan) {
  Play first(long_scene(20));
  Scene scene = long_scene(20);
  scene.h0 = second_plan;
  Play second(scene);
  const Bytes before = plain_update(scene.layout, 1);
  const Bytes after = plain_update(scene.layout, 2);
  first.recast(kVictim, &make_member<FullChecks>, &before);
  second.recast(kVictim, &make_member<FullChecks>, &after);
  first.play_to_upload();
  second.play_to_upload();
  EXPECT_EQ(first.leaf(kVictim).mask_key, second.leaf(kVictim).mask_key);
  return subtract(scene.layout, lanes_of(scene.layout, second.released(kVictim).masked->vector),
                  lanes_of(scene.layout, first.released(kVictim).masked->vector));
}

TEST(Attack, Row20TheMasksOfTwoSessionsAreIndependentEvenUnderTheSameKeys) {
  const Scene scene = long_scene(20);
  const double chi = chi_squared(scene.layout, difference_of_uploads(Digest{4, 5, 6}));
  EXPECT_GT(chi, kUniformLeast);
  EXPECT_LT(chi, kUniformMost);
}

TEST(Attack, Row20ControlMasksUsedTwiceShowWhatChanged) {
  const Scene scene = long_scene(20);
  const plan::UpdateLayout& layout = scene.layout;
  EXPECT_EQ(difference_of_uploads(scene.h0),
            subtract(layout, lanes_of(layout, plain_update(layout, 2)), lanes_of(layout, plain_update(layout, 1))));
}

}  // namespace
}  // namespace chorus::attacks
