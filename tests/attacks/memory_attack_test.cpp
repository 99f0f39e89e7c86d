// What is left in memory: row 19. Real members and the real coordinator's half run in this process; their secrets are
// known in advance, because their randomness is, and are searched for at each step and at each end.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>

#include <gtest/gtest.h>

#include "common/base/check.hpp"
#include "common/secagg/shamir.hpp"
#include "coordinator/round/secure_sum.hpp"
#include "tests/attacks/member.hpp"
#include "tests/attacks/memory_scan.hpp"
#include "tests/attacks/play.hpp"
#include "tests/attacks/sanitized.hpp"

namespace chorus::attacks {
namespace {

using client::SumMember;
using coordinator::SecureSum;

constexpr std::uint32_t kMembers = 6;
constexpr std::uint32_t kThreshold = 4;

// A cohort whose members draw from SeededRandom(seed + position), position being the order of their ids.
class Cohort {
 public:
  explicit Cohort(std::uint64_t seed)
      : seed_(seed),
        random_(seed),
        devices_(kMembers, kEnrolled, kExpiry, random_),
        sum_({h0_, layout_, bounds()}, ids(), rules(), verified_, Moment{}),
        promises_(kMembers) {
    for (std::uint32_t p = 0; p < kMembers; ++p) {
      draws_.push_back(std::make_unique<sim::SeededRandom>(seed_ + 1 + p));
      crypto::ZeroizingBytes update(layout_.packed_size());
      sim::SeededRandom(seed_ + 100 + p).fill(update);
      const auto& device = devices_[order_[p]];
      members_.emplace_back(client::SumTerms{h0_, layout_, bounds()},
                            client::SumIdentity{&device.statement, &device.key}, rules(), verified_, std::move(update),
                            *draws_.back(), promises_[p]);
    }
  }

  // What nobody may find once its time is over, by name and member.
  void remember_secrets(MemoryScan& scan) const {
    for (std::uint32_t p = 0; p < kMembers; ++p) {
      const std::string who = " of " + std::to_string(p);
      sim::SeededRandom random(seed_ + 1 + p);
      const crypto::ExchangeSecret share = crypto::ExchangeSecret::generate(random);
      const crypto::ExchangeSecret mask = crypto::ExchangeSecret::generate(random);
      const crypto::SecretBytes<32> beta = random.secret<32>();
      scan.remember("share secret" + who, share.secret().expose());
      const crypto::Exchange exchange(share.secret());
      for (std::uint32_t q = 0; q < p; ++q) {
        sim::SeededRandom others(seed_ + 1 + q);
        const auto agreed = exchange.agree(crypto::ExchangeSecret::generate(others).public_key());
        scan.remember("share agreement" + who, agreed->expose());
      }
      scan.remember("mask secret" + who, mask.secret().expose());
      scan.remember("self-seed" + who, beta.expose());
      // The shares of β are opened, those of κ never, as all survive.
      static_cast<void>(secagg::split(beta, kThreshold, kMembers, random));
      for (const secagg::Share& dealt : secagg::split(mask.secret(), kThreshold, kMembers, random)) {
        scan.remember("mask secret's share" + who, dealt.expose());
      }
      crypto::ZeroizingBytes update(layout_.packed_size());
      sim::SeededRandom(seed_ + 100 + p).fill(update);
      scan.remember("update" + who, update);
      crypto::ZeroizingVector<std::uint32_t> lanes(4);
      for (std::size_t k = 0; k < 4; ++k) {
        lanes[k] = update[3 * k] | std::uint32_t{update[3 * k + 1]} << 8 | std::uint32_t{update[3 * k + 2]} << 16;
      }
      scan.remember("update's lanes" + who, {reinterpret_cast<const std::uint8_t*>(lanes.data()), 16});
    }
  }
  // Known only when the dealers are fixed: what the masks were expanded from.
  void remember_seeds(MemoryScan& scan) const {
    const Digest h2 = secagg::dealers_hash(h1_, all());
    for (std::uint32_t p = 0; p < kMembers; ++p) {
      sim::SeededRandom random(seed_ + 1 + p);
      static_cast<void>(crypto::ExchangeSecret::generate(random));
      const crypto::ExchangeSecret mask = crypto::ExchangeSecret::generate(random);
      const crypto::SecretBytes<32> beta = random.secret<32>();
      scan.remember("self mask", secagg::self_mask_seed(beta, h2, p).expose());
      const crypto::Exchange exchange(mask.secret());
      for (std::uint32_t q = 0; q < p; ++q) {
        const auto agreed = exchange.agree(mask_keys_[q]);
        scan.remember("agreement", agreed->expose());
        scan.remember("pair mask", secagg::pair_mask_seed(*agreed, h2, p, q).expose());
      }
    }
  }

  // The steps, each for all members. `sum` false: the coordinator is left out, and the cohort can go no further.
  void share() {
    std::vector<Bytes> leaves;
    for (SumMember& member : members_) leaves.push_back(member.advertise());
    for (const Bytes& leaf : leaves) mask_keys_.push_back(secagg::decode_leaf(leaf)->mask_key);
    for (std::uint32_t p = 0; p < kMembers; ++p) check(sum_.on_leaf(p, leaves[p], kToday, Moment{}));
    const Bytes roster = *sum_.message_for(0);
    h1_ = secagg::Roster::decode(roster, h0_, bounds())->h1();
    for (std::uint32_t p = 0; p < kMembers; ++p) {
      const auto said = members_[p].on_roster(roster);
      ASSERT_TRUE(said.has_value()) << said.error().to_string();
      check(sum_.on_shares(p, **said, Moment{}));
    }
  }
  void upload() {
    std::vector<Bytes> deliveries;
    for (std::uint32_t p = 0; p < kMembers; ++p) deliveries.push_back(*sum_.message_for(p));
    for (std::uint32_t p = 0; p < kMembers; ++p) {
      const auto said = members_[p].on_delivery(deliveries[p]);
      ASSERT_TRUE(said.has_value()) << said.error().to_string();
      const Bytes& vector = (*said)->vector;
      ASSERT_TRUE(sum_.on_piece(p, 0, vector.size(), vector, Moment{}).has_value());
      check(sum_.on_masked(p, (*said)->end, Moment{}));
    }
  }
  void vote() {
    const Bytes survivors = *sum_.message_for(0);
    for (std::uint32_t p = 0; p < kMembers; ++p)
      check(sum_.on_vote(p, **members_[p].on_survivors(survivors), Moment{}));
  }
  void unmask() {
    const Bytes certificate = *sum_.message_for(0);
    for (std::uint32_t p = 0; p < kMembers; ++p) {
      const auto said = members_[p].on_certificate(certificate);
      ASSERT_TRUE(said.has_value());
      if (sum_.phase() == SecureSum::Phase::unmasking) check(sum_.on_openings(p, **said, Moment{}));
      ASSERT_TRUE(members_[p].finish().has_value());
    }
    ASSERT_NE(sum_.sum(), nullptr);
  }
  void abort() {
    for (SumMember& member : members_) member.abort();
    static_cast<void>(sum_.abort(Error(ErrorCode::aborted, "the test ends it")));
  }
  // A message that no member takes ends it.
  void mislead() {
    for (SumMember& member : members_) EXPECT_FALSE(member.on_certificate(Bytes{1, 2, 3}).has_value());
    static_cast<void>(sum_.on_time(Moment{} + 24h));
  }

 private:
  static secagg::Roster::Bounds bounds() { return {6, 64, {1, 6}, {1, 6}}; }
  secagg::AdmissionRules rules() const { return {devices_.authority(), kToday, std::chrono::seconds{0}, nullptr}; }
  std::vector<identity::DeviceId> ids() {
    for (std::uint32_t i = 0; i < kMembers; ++i) order_.push_back(i);
    std::sort(order_.begin(), order_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return devices_[a].statement.id < devices_[b].statement.id; });
    std::vector<identity::DeviceId> all;
    for (const std::uint32_t i : order_) all.push_back(devices_[i].statement.id);
    return all;
  }
  static secagg::MemberSet all() {
    secagg::MemberSet set(kMembers);
    for (std::uint32_t p = 0; p < kMembers; ++p) set.insert(p);
    return set;
  }
  void check(Result<SecureSum::Actions> result) {
    ASSERT_TRUE(result.has_value()) << result.error().to_string();
    for (SecureSum::Action& action : *result) {
      if (auto* const recover = std::get_if<SecureSum::Recover>(&action)) {
        static_cast<void>(sum_.on_recovered(recover->work->run(1), *recover->work));
      }
    }
  }

  std::uint64_t seed_;
  sim::SeededRandom random_;
  sim::EnrolledDevices devices_;
  std::vector<std::uint32_t> order_;
  Digest h0_{1, 9};
  Digest h1_{};
  plan::UpdateLayout layout_ = small_layout();
  secagg::VerifiedStatements verified_;
  SecureSum sum_;
  std::vector<sim::MemoryPromises> promises_;
  std::vector<std::unique_ptr<sim::SeededRandom>> draws_;
  std::vector<SumMember> members_;
  std::vector<crypto::ExchangeKey> mask_keys_;
};

bool any_begins(const std::vector<std::string>& names, std::string_view prefix) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name.starts_with(prefix); });
}

class MemoryAttack {
 public:
  explicit MemoryAttack(std::uint64_t seed) : cohort_(seed) {
    CHORUS_ENSURE(std::getenv("LD_BIND_NOW") != nullptr, "LD_BIND_NOW=1 is set, as every program sets it for itself");
  }
  // Runs to a point, and returns what is found there.
  std::vector<std::string> found_after(const std::function<void(Cohort&)>& course, bool seeds) {
    cohort_.remember_secrets(scan_);
    course(cohort_);
    if (seeds) cohort_.remember_seeds(scan_);
    return scan_.found();
  }

 private:
  Cohort cohort_;
  MemoryScan scan_;
};

TEST(Attack, Row19AfterASessionNoSecretIsInMemory) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep memory that was given back";
  MemoryAttack session(1900);
  const std::vector<std::string> found = session.found_after(
      [](Cohort& cohort) {
        cohort.share();
        cohort.upload();
        cohort.vote();
        cohort.unmask();
      },
      true);
  EXPECT_EQ(found, std::vector<std::string>{});
}

TEST(Attack, Row19AfterAnAbortAtAnyStepNoSecretIsInMemory) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep memory that was given back";
  for (const int steps : {0, 1, 2, 3}) {
    for (const bool misled : {false, true}) {
      if (steps == 3 && misled) continue;  // a certificate that is none is the vote's own next message
      MemoryAttack session(2000 + static_cast<std::uint64_t>(10 * steps + (misled ? 1 : 0)));
      const std::vector<std::string> found = session.found_after(
          [&](Cohort& cohort) {
            if (steps > 0) cohort.share();
            if (steps > 1) cohort.upload();
            if (steps > 2) cohort.vote();
            misled ? cohort.mislead() : cohort.abort();
          },
          steps > 0);
      EXPECT_EQ(found, std::vector<std::string>{}) << steps << (misled ? " misled" : "");
    }
  }
}

// Each secret dies at its step: the share secrets, the update, its masks and the self-seed with the upload.
TEST(Attack, Row19WithTheUploadEverythingButTheSharesIsWiped) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep memory that was given back";
  MemoryAttack session(3000);
  const std::vector<std::string> found = session.found_after(
      [](Cohort& cohort) {
        cohort.share();
        cohort.upload();
      },
      true);
  for (const std::string& name : found) EXPECT_TRUE(name.starts_with("mask secret's share")) << name;
  EXPECT_TRUE(any_begins(found, "mask secret's share"));
}

// The search finds what is there: secrets that are in use, and a copy that somebody kept.
TEST(Attack, Row19ControlSecretsInUseAreFound) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep memory that was given back";
  MemoryAttack session(4000);
  const std::vector<std::string> found = session.found_after([](Cohort& cohort) { cohort.share(); }, false);
  // The share secret is gone already: what it agreed on with each member took its place.
  EXPECT_TRUE(any_begins(found, "share agreement"));
  for (const std::string name : {"mask secret", "self-seed", "update"}) {
    for (std::uint32_t p = 0; p < kMembers; ++p) {
      EXPECT_TRUE(std::count(found.begin(), found.end(), name + " of " + std::to_string(p)) == 1) << name << ' ' << p;
    }
  }
}

TEST(Attack, Row19ControlAKeptCopyIsFound) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep memory that was given back";
  sim::SeededRandom random(5000);
  MemoryScan scan;
  Bytes kept;
  {
    const crypto::ExchangeSecret secret = crypto::ExchangeSecret::generate(random);
    scan.remember("kept", secret.secret().expose());
    const auto bytes = secret.secret().expose();
    kept.assign(bytes.begin(), bytes.end());
  }
  EXPECT_EQ(scan.found(), std::vector<std::string>{"kept"});
  crypto::wipe(kept);
  EXPECT_EQ(scan.found(), std::vector<std::string>{});
}

}  // namespace
}  // namespace chorus::attacks
