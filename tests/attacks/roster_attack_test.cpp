// Lies about who takes part and with which keys: rows 3, 4, 6 and 11.
#include <functional>

#include <gtest/gtest.h>

#include "common/ring/mask_kernel.hpp"
#include "common/ring/packing.hpp"
#include "coordinator/round/secure_sum.hpp"
#include "tests/attacks/play.hpp"

namespace chorus::attacks {
namespace {

using client::FullChecks;
using secagg::MemberSet;

constexpr std::uint32_t kVictim = 3;

using Lie = std::function<void(const Play&, std::vector<secagg::Leaf>&)>;

// The victim is shown a roster with a lie in it: it refuses by this code, and not one share leaves.
void expect_roster_refused(const char* what, ErrorCode code, const Lie& lie,
                           const secagg::AdmissionRules* rules = nullptr) {
  Play play({});
  if (rules != nullptr) {
    secagg::AdmissionRules own = *rules;
    own.authority = play.devices().authority();
    play.recast_all(&make_member<FullChecks>, own);
  }
  for (std::uint32_t p = 0; p < play.size(); ++p) play.part(p).member->advertise();
  std::vector<secagg::Leaf> leaves = play.leaves();
  lie(play, leaves);
  EXPECT_EQ(code_of(play.tell_roster(play.part(kVictim), leaves)), code) << what;
  EXPECT_FALSE(play.released(kVictim).shares) << what;
  EXPECT_EQ(play.part(kVictim).member->state(), client::SumMember::State::aborted) << what;
}

TEST(Attack, Row03ASwappedKeyIsRefusedBeforeAnyShareLeaves) {
  sim::SeededRandom random(5);
  const crypto::ExchangeSecret mine = crypto::ExchangeSecret::generate(random);
  for (std::uint32_t p = 0; p < 8; ++p) {
    if (p == kVictim) continue;
    expect_roster_refused("a mask key", ErrorCode::bad_signature,
                          [&](const Play&, auto& leaves) { leaves[p].mask_key = mine.public_key(); });
    expect_roster_refused("a share key", ErrorCode::bad_signature,
                          [&](const Play&, auto& leaves) { leaves[p].share_key = mine.public_key(); });
  }
  expect_roster_refused("both keys, signed by another member", ErrorCode::bad_signature,
                        [&](const Play& play, auto& leaves) {
                          const crypto::ExchangeKey share = crypto::ExchangeSecret::generate(random).public_key();
                          leaves[1] = play.signed_leaf(6, share, mine.public_key());
                          leaves[1].statement = play.leaf(1).statement;
                        });
  expect_roster_refused("the two keys of one member, exchanged", ErrorCode::bad_signature,
                        [](const Play&, auto& leaves) { std::swap(leaves[1].share_key, leaves[1].mask_key); });
  expect_roster_refused("a leaf of another session", ErrorCode::bad_signature, [&](const Play& play, auto& leaves) {
    leaves[1] =
        secagg::advertise({9}, play.device(1).statement, leaves[1].share_key, leaves[1].mask_key, play.device(1).key);
  });
  expect_roster_refused("its own keys", ErrorCode::bad_signature,
                        [&](const Play&, auto& leaves) { leaves[kVictim].mask_key = mine.public_key(); });
  expect_roster_refused("its own place, left out", ErrorCode::malformed,
                        [](const Play&, auto& leaves) { leaves.erase(leaves.begin() + kVictim); });
}

// The coordinator stands in for every peer: it agrees on every mask and reads every share.
TEST(Attack, Row03ControlUncheckedKeysLetTheCoordinatorStandInForEveryPeer) {
  Play play({}, &make_member<WithoutTranscript>);
  sim::SeededRandom random(5);
  for (std::uint32_t p = 0; p < play.size(); ++p) play.part(p).member->advertise();
  std::vector<secagg::Leaf> leaves = play.leaves();
  std::vector<crypto::ExchangeSecret> shares;
  std::vector<crypto::ExchangeSecret> masks;
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    shares.push_back(crypto::ExchangeSecret::generate(random));
    masks.push_back(crypto::ExchangeSecret::generate(random));
    if (p == kVictim) continue;
    leaves[p].share_key = shares[p].public_key();
    leaves[p].mask_key = masks[p].public_key();
  }
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    EXPECT_EQ(code_of(play.tell_roster(play.part(p), p == kVictim ? leaves : play.leaves())), std::nullopt);
  }
  Play::Part& victim = play.part(kVictim);
  EXPECT_EQ(code_of(play.tell_delivery(victim, play.delivery(kVictim, play.everybody()))), std::nullopt);
  Knowledge known = play.knowledge();
  EXPECT_FALSE(known.can_sum(play.only({kVictim})));
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    if (p == kVictim) continue;
    known.add_mask_secret(masks[p]);
    play.read_sealed(known, victim, p, shares[p]);
  }
  known.combine();
  EXPECT_EQ(known.sum_of(play.only({kVictim})), play.x(kVictim));
}

TEST(Attack, Row04IdentitiesThatNobodyVouchesForAreRefused) {
  sim::SeededRandom random(7);
  const crypto::SigningKey stranger = crypto::SigningKey::generate(random);
  const auto restate = [](const Play& play, std::uint32_t p, auto change, const crypto::SigningKey& authority) {
    identity::IdentityStatement statement = play.device(p).statement;
    change(statement);
    const secagg::Leaf leaf = play.leaf(p);
    return secagg::advertise(play.scene().h0, identity::sign(statement, authority), leaf.share_key, leaf.mask_key,
                             play.device(p).key);
  };
  const auto same = [](identity::IdentityStatement&) {};
  expect_roster_refused("another authority's", ErrorCode::bad_identity,
                        [&](const Play& play, auto& leaves) { leaves[1] = restate(play, 1, same, stranger); });
  expect_roster_refused("the device's own word", ErrorCode::bad_identity, [&](const Play& play, auto& leaves) {
    leaves[1] = restate(play, 1, same, play.device(1).key);
  });
  expect_roster_refused("another's signature under the authority's name", ErrorCode::bad_identity,
                        [&](const Play& play, auto& leaves) {
                          leaves[1] = restate(play, 1, same, stranger);
                          leaves[1].statement.authority_key = play.devices().authority();
                        });
  expect_roster_refused("a later expiry than was signed", ErrorCode::bad_identity,
                        [](const Play&, auto& leaves) { leaves[1].statement.expires_at += std::chrono::seconds{1}; });
  expect_roster_refused("expired", ErrorCode::expired, [&](const Play& play, auto& leaves) {
    leaves[1] = restate(
        play, 1, [](auto& statement) { statement.expires_at = kToday; }, play.devices().authority_key());
  });
  expect_roster_refused("not yet valid", ErrorCode::not_yet_valid, [&](const Play& play, auto& leaves) {
    leaves[1] = restate(
        play, 1, [](auto& statement) { statement.enrolled_at = kToday + std::chrono::seconds{1}; },
        play.devices().authority_key());
  });
  // Thirty days: what a device's policy asks.
  secagg::AdmissionRules rules{{}, kToday, std::chrono::days{30}, nullptr};
  const auto enrolled = [&](std::chrono::seconds ago) {
    return [&, ago](const Play& play, auto& leaves) {
      leaves[1] = restate(
          play, 1, [&](auto& statement) { statement.enrolled_at = kToday - ago; }, play.devices().authority_key());
    };
  };
  expect_roster_refused("young by a second", ErrorCode::identity_too_young,
                        enrolled(std::chrono::days{30} - std::chrono::seconds{1}), &rules);
}

// Its key was lost, and the authority has said so; the list's hash is in the plan.
TEST(Attack, Row04ARevokedIdentityIsRefused) {
  sim::SeededRandom random(9);
  const crypto::SigningKey authority = crypto::SigningKey::generate(random);
  const auto certificate =
      identity::make_authority_certificate(authority, identity::random_serial(random), {kEnrolled, kExpiry});
  ASSERT_TRUE(certificate.has_value());
  Play play({});
  const auto& lost = play.device(1).statement;
  const identity::RevokedCertificate entry{identity::random_serial(random), kToday,
                                           identity::RevokedDevice{lost.id, lost.key}};
  const auto list = identity::make_revocation_list(std::span(&entry, 1), 1, kToday, kExpiry, {*certificate, authority});
  ASSERT_TRUE(list.has_value());
  play.recast_all(&make_member<FullChecks>, {play.devices().authority(), kToday, std::chrono::seconds{0}, &*list});
  for (std::uint32_t p = 0; p < play.size(); ++p) play.part(p).member->advertise();
  EXPECT_EQ(code_of(play.tell_roster(play.part(kVictim), play.leaves())), ErrorCode::revoked);
  EXPECT_FALSE(play.released(kVictim).shares);
}

TEST(Attack, Row04ADeviceIsInTheRosterOnce) {
  expect_roster_refused("one device twice", ErrorCode::duplicate_identity,
                        [](const Play&, auto& leaves) { leaves.insert(leaves.begin() + 1, leaves[0]); });
  expect_roster_refused("one device in another's place", ErrorCode::duplicate_identity,
                        [](const Play&, auto& leaves) { leaves[1] = leaves[0]; });
  expect_roster_refused("one device with two keys", ErrorCode::duplicate_identity, [](const Play& play, auto& leaves) {
    sim::SeededRandom random(5);
    const crypto::ExchangeKey share = crypto::ExchangeSecret::generate(random).public_key();
    leaves.insert(leaves.begin() + 1,
                  play.signed_leaf(0, share, crypto::ExchangeSecret::generate(random).public_key()));
  });
  expect_roster_refused("two devices with one key", ErrorCode::duplicate_identity, [](const Play& play, auto& leaves) {
    leaves[1] = play.signed_leaf(1, leaves[0].share_key, leaves[1].mask_key);
  });
  expect_roster_refused("out of order", ErrorCode::malformed,
                        [](const Play&, auto& leaves) { std::swap(leaves[0], leaves[1]); });
}

// Seven identities that no authority vouched for, minted by the coordinator, and one device.
TEST(Attack, Row04ControlMintedIdentitiesSurroundADevice) {
  for (const bool checked : {true, false}) {
    Play play({.seed = 4});
    sim::SeededRandom random(7);
    const secagg::AdmissionRules pinned{crypto::SigningKey::generate(random).public_key(), kToday,
                                        std::chrono::seconds{0}, nullptr};
    play.recast_all(checked ? &make_member<FullChecks> : &make_member<WithoutRosterLeaves>, pinned);
    for (std::uint32_t p = 0; p < play.size(); ++p) {
      if (p != kVictim) play.corrupt(p);
    }
    if (!checked) {
      play.play_to_upload();
      expect_exposed(play, kVictim);
      continue;
    }
    for (std::uint32_t p = 0; p < play.size(); ++p) play.part(p).member->advertise();
    EXPECT_EQ(code_of(play.tell_roster(play.part(kVictim), play.leaves())), ErrorCode::bad_identity);
    EXPECT_FALSE(play.released(kVictim).shares);
  }
}

TEST(Attack, Row06ATinyRosterIsRefused) {
  for (std::uint32_t size = 1; size < 6; ++size) {
    expect_roster_refused("a tiny roster", ErrorCode::cohort_too_small, [&](const Play&, auto& leaves) {
      leaves = {leaves.begin() + kVictim, leaves.end()};
      leaves.resize(std::min<std::size_t>(size, leaves.size()));
    });
  }
  expect_roster_refused("nobody", ErrorCode::cohort_too_small, [](const Play&, auto& leaves) { leaves.clear(); });
}

TEST(Attack, Row06ATinySetOfDealersOrSurvivorsIsRefused) {
  for (std::uint32_t set = 0; set < 256; ++set) {
    MemberSet members(8);
    for (std::uint32_t p = 0; p < 8; ++p) {
      if (((set >> p) & 1) != 0) members.insert(p);
    }
    if (members.size() >= 6 || !members.contains(kVictim)) continue;
    Play dealers({}, &make_member<WithoutSignatures>);
    dealers.play_to_shares();
    Play::Part& victim = dealers.part(kVictim);
    EXPECT_EQ(code_of(dealers.tell_delivery(victim, dealers.delivery(kVictim, members))), ErrorCode::cohort_too_small);
    EXPECT_FALSE(victim.member->released().masked);
    if (set % 4 != 0) continue;  // the sessions below are the longer ones
    Play survivors({}, &make_member<WithoutSignatures>);
    survivors.play_to_upload();
    EXPECT_EQ(code_of(survivors.tell_survivors(survivors.part(kVictim), members)), ErrorCode::cohort_too_small);
    EXPECT_FALSE(survivors.released(kVictim).vote);
    expect_hidden(survivors, kVictim);
  }
}

TEST(Attack, Row06ASurvivorDealtShares) {
  Play play({});
  play.play_to_shares();
  EXPECT_EQ(code_of(play.tell_delivery(play.part(0), play.delivery(0, play.except({7})))), std::nullopt);
  EXPECT_EQ(code_of(play.tell_survivors(play.part(0), play.everybody())), ErrorCode::bad_survivors);
  EXPECT_FALSE(play.released(0).vote);
}

// A roster of two, one of them the coordinator's: a sum of one.
TEST(Attack, Row06ControlWithoutAFloorARosterOfTwoIsASumOfOne) {
  Scene scene;
  scene.members = 2;
  scene.least_members = 2;
  scene.corrupt = {1, 20};
  scene.dropout = {0, 1};
  Play play(scene);
  play.corrupt(1);
  play.play_to_openings(play.everybody());
  expect_exposed(play, 0);
}

// The victim masks with nobody; its peers, who were told the truth, open its self-seed.
TEST(Attack, Row06ControlWithoutAFloorOfDealersTheVictimIsAlone) {
  Play play({});
  play.recast(kVictim, &make_member<WithoutDealerSetSize>);
  play.play_to_shares();
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    const MemberSet told = p == kVictim ? play.only({kVictim}) : play.everybody();
    EXPECT_EQ(code_of(play.tell_delivery(play.part(p), play.delivery(p, told))), std::nullopt);
  }
  for (const std::uint32_t p : play.except({kVictim}).positions()) {
    EXPECT_EQ(code_of(play.tell_survivors(play.part(p), play.everybody())), std::nullopt);
  }
  for (const std::uint32_t p : play.except({kVictim}).positions()) {
    EXPECT_EQ(code_of(play.tell_certificate(play.part(p), play.certificate(play.part(p)))), std::nullopt);
  }
  expect_exposed(play, kVictim);
}

TEST(Attack, Row06ControlWithoutAFloorOfSurvivorsFewerThanNAreSummed) {
  Play play({}, &make_member<WithoutSurvivorSetSize>);
  play.corrupt(7);
  const MemberSet five = play.only({0, 1, 2, 3, 7});
  play.play_to_openings(five);
  EXPECT_EQ(play.fewest_honest_in_a_sum(), 4U);  // N = 5
}

const std::vector<Bytes>& low_order_points() {
  static const std::vector<Bytes> points = [] {
    std::vector<Bytes> found;
    for (const char* hex : {
             "0000000000000000000000000000000000000000000000000000000000000000",
             "0100000000000000000000000000000000000000000000000000000000000000",
             "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
             "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
             "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
             "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
             "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         }) {
      found.push_back(from_hex(hex).value());
    }
    return found;
  }();
  return points;
}

// A corrupt member signs what it likes; a coordinator may pass it on.
TEST(Attack, Row11ALowOrderPointIsRefusedByEveryMember) {
  for (const Bytes& point : low_order_points()) {
    crypto::ExchangeKey key;
    std::copy(point.begin(), point.end(), key.begin());
    expect_roster_refused("a mask key of low order", ErrorCode::bad_key, [&](const Play& play, auto& leaves) {
      leaves[5] = play.signed_leaf(5, leaves[5].share_key, key);
    });
    expect_roster_refused("a share key of low order", ErrorCode::bad_key, [&](const Play& play, auto& leaves) {
      leaves[5] = play.signed_leaf(5, key, leaves[5].mask_key);
    });
  }
}

// It costs the member that sent it its place, and nobody else the round.
TEST(Attack, Row11TheCoordinatorTurnsTheKeyAwayAndGoesOn) {
  Play play({});
  std::vector<identity::DeviceId> invited;
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    play.part(p).member->advertise();
    invited.push_back(play.device(p).statement.id);
  }
  secagg::VerifiedStatements verified;
  coordinator::SecureSum sum({play.scene().h0, play.scene().layout, {6, 8, {1, 8}, {2, 8}}}, invited,
                             {play.devices().authority(), kToday, std::chrono::seconds{0}, nullptr}, verified,
                             Moment{});
  const secagg::Leaf bad = play.signed_leaf(5, play.leaf(5).share_key, crypto::ExchangeKey{1});
  const auto refused = sum.on_leaf(5, secagg::encode(bad), kToday, Moment{});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::bad_key);
  static_cast<void>(sum.on_gone(5, Moment{}));
  for (const std::uint32_t p : play.except({5}).positions()) {
    EXPECT_TRUE(sum.on_leaf(p, play.released(p).leaf, kToday, Moment{}).has_value());
  }
  EXPECT_EQ(sum.phase(), coordinator::SecureSum::Phase::sharing);
}

// A device that took the zeros for an agreement would mask with what anybody can make.
TEST(Attack, Row11ControlAnAgreementOfZerosMasksNothing) {
  const plan::UpdateLayout layout = small_layout();
  const Digest h2{4, 5, 6};
  sim::SeededRandom random(3);
  Bytes update(layout.packed_size());
  random.fill(update);
  const auto masks_with = [&](Lanes& lanes, bool take_off) {
    const crypto::SecretBytes<32> zeros;
    for (std::uint32_t partner = 0; partner < 8; ++partner) {
      if (partner == kVictim) continue;
      const crypto::SecretBytes<32> seed = secagg::pair_mask_seed(zeros, h2, kVictim, partner);
      const ring::Mask mask{&seed, (kVictim > partner) != take_off};
      ring::add_masks(layout, lanes, std::span(&mask, 1), 1);
    }
  };
  Lanes lanes = lanes_of(layout, update);
  masks_with(lanes, false);
  Bytes sent(layout.packed_size());
  ring::pack(layout.bits(), lanes, sent);
  EXPECT_NE(sent, update);
  Lanes found = lanes_of(layout, sent);
  masks_with(found, true);
  Bytes recovered(layout.packed_size());
  ring::pack(layout.bits(), found, recovered);
  EXPECT_EQ(recovered, update);
}

}  // namespace
}  // namespace chorus::attacks
