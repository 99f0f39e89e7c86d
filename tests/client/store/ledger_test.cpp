// The privacy ledger in a device's file: what it promises across processes, and what it makes of damage.
#include <fstream>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "client/round/open_round.hpp"
#include "client/store/store.hpp"
#include "tests/client/store/temporary_folder.hpp"

namespace chorus::client {
namespace {

using ::testing::HasSubstr;

constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};

Participation started(RoundId round) {
  Participation line;
  line.round = round;
  line.when = kNow;
  return line;
}

const privacy::LedgerLimits kLimits{.budget = {.epsilon = 8, .delta = 1e-5}};

// z = 5 with N = 64: Δ = 1000, σ = 625.
RoundTerms terms() {
  return {.local_noise = 625, .squared_sensitivity = 1'000'000, .limits = kLimits, .now = kNow};
}
constexpr std::uint32_t kHonest = 64;

class Ledger : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "device.db"; }
  std::filesystem::path seal() const { return folder_.path() / "device.db.seal"; }
  std::unique_ptr<Store> open() const {
    auto store = open_store(file());
    EXPECT_TRUE(store) << store.error().to_string();
    return std::move(store).value();
  }
  // Reserves and pays for one round, as a member of a sum does.
  static Status take_part(Store& store, std::uint64_t round, const RoundTerms& by = terms()) {
    CHORUS_TRY_DO(store.reserve(started(RoundId(round))));
    StorePromises promises(store, RoundId(round), by);
    CHORUS_TRY_DO(promises.afford(kHonest));
    return promises.charge(kHonest);
  }
  void take_part_in(std::uint64_t rounds) const {
    const auto store = open();
    for (std::uint64_t round = 1; round <= rounds; ++round) ASSERT_TRUE(take_part(*store, round)) << round;
  }
  // The database as one file, to be put back later.
  std::string copy() const {
    {
      SQLite::Database database(file().string(), SQLite::OPEN_READWRITE);
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    std::ifstream in(file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put_back(const std::string& bytes) const {
    std::filesystem::remove(file().string() + "-wal");
    std::filesystem::remove(file().string() + "-shm");
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << bytes;
  }
  void expect_no_more_rounds(std::string_view why) const {
    const auto store = open();
    ASSERT_TRUE(store->reserve(started(RoundId(1'000))));
    StorePromises promises(*store, RoundId(1'000), terms());
    for (const Status& refused : {promises.afford(kHonest), promises.charge(kHonest)}) {
      ASSERT_FALSE(refused.has_value());
      EXPECT_EQ(refused.error().code(), ErrorCode::corrupt);
      EXPECT_THAT(refused.error().sentence(), HasSubstr(std::string(why)));
    }
    EXPECT_FALSE(promises.charged());
    EXPECT_EQ((*store->history(1))[0].ending, Ending::withheld);
    EXPECT_EQ(store->ledger().error().code(), ErrorCode::corrupt);
  }
  TemporaryFolder folder_;
};

TEST_F(Ledger, SixtyNineRoundsArePaidAndTheSeventiethIsRefusedBeforeSharesLeave) {
  for (std::uint64_t round = 1; round <= 69; ++round) {
    const auto store = open();  // a process each
    ASSERT_TRUE(take_part(*store, round)) << round;
  }
  const auto store = open();
  ASSERT_TRUE(store->reserve(started(RoundId(70))));
  StorePromises seventieth(*store, RoundId(70), terms());
  EXPECT_EQ(seventieth.afford(kHonest).error().code(), ErrorCode::budget_exhausted);
  EXPECT_EQ(seventieth.charge(kHonest).error().code(), ErrorCode::budget_exhausted);
  EXPECT_FALSE(seventieth.charged());
  EXPECT_EQ((*store->history(1))[0].ending, Ending::withheld) << "the refused charge left no trace";
  EXPECT_EQ(store->ledger()->seal().sequence, 69U);
  EXPECT_LE(*store->ledger()->epsilon(1e-5), 8);
}

TEST_F(Ledger, ARosterWithFewerHonestMembersCostsMore) {
  const auto store = open();
  ASSERT_TRUE(store->reserve(started(RoundId(1))));
  RoundTerms careful = terms();
  careful.limits.most_round_epsilon = 0.75;  // z = 5 costs 0.72
  StorePromises promises(*store, RoundId(1), careful);
  EXPECT_TRUE(promises.afford(64));
  EXPECT_EQ(promises.afford(48).error().code(), ErrorCode::cost_above_policy);
  EXPECT_EQ(promises.afford(0).error().code(), ErrorCode::parameter_below_floor);
}

TEST_F(Ledger, ARoundIsEnteredOnceWhateverIsTriedAgain) {
  const auto store = open();
  ASSERT_TRUE(take_part(*store, 5));
  StorePromises again(*store, RoundId(5), terms());
  EXPECT_EQ(again.charge(kHonest).error().code(), ErrorCode::duplicate);
  EXPECT_EQ(store->ledger()->seal().sequence, 1U);
  const auto charges = store->charges(10);
  ASSERT_EQ(charges->size(), 1U);
  EXPECT_EQ(charges->front().round, RoundId(5));
  EXPECT_EQ(charges->front().honest, kHonest);
  EXPECT_EQ(charges->front().when, kNow);
  EXPECT_NEAR(charges->front().cost.mu(), 0.2, 1e-12);
}

TEST_F(Ledger, LeavingAJobKeepsWhatWasSpent) {
  const auto store = open();
  ASSERT_TRUE(take_part(*store, 5));
  ASSERT_TRUE(store->leave());
  EXPECT_EQ(store->ledger()->seal().sequence, 1U);
  ASSERT_TRUE(take_part(*store, 5)) << "another job's round of the same number";
  EXPECT_EQ(store->ledger()->seal().sequence, 2U);
}

TEST_F(Ledger, ItsSealIsPrivateAndAStoreInMemoryNeedsNone) {
  take_part_in(1);
  struct stat found{};
  ASSERT_EQ(::stat(seal().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  const auto memory = std::move(open_memory_store().value());
  ASSERT_TRUE(take_part(*memory, 1));
  ASSERT_TRUE(take_part(*memory, 2));
  EXPECT_EQ(memory->ledger()->seal().sequence, 2U);
}

TEST_F(Ledger, ACopyOfTheFilePutBackIsFound) {
  take_part_in(3);
  const std::string before = copy();
  {
    const auto store = open();
    ASSERT_TRUE(take_part(*store, 4));
  }
  put_back(before);
  expect_no_more_rounds("rolled back");
}

TEST_F(Ledger, AFileThatIsMadeAnewBesideItsSealIsFound) {
  take_part_in(3);
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file().string() + end);
  expect_no_more_rounds("rolled back");
}

TEST_F(Ledger, WithoutItsSealNothingIsGiven) {
  take_part_in(3);
  std::filesystem::remove(seal());
  expect_no_more_rounds("lost its seal");
}

TEST_F(Ledger, ADamagedSealIsFound) {
  take_part_in(3);
  std::ofstream(seal(), std::ios::binary | std::ios::trunc) << "CHORUS";
  expect_no_more_rounds("damaged seal");
}

TEST_F(Ledger, AChangedEntryIsFound) {
  take_part_in(3);
  {
    SQLite::Database database(file().string(), SQLite::OPEN_READWRITE);
    database.exec("UPDATE ledger SET cost = 1 WHERE sequence = 2");
  }
  expect_no_more_rounds("damaged at its entry 2");
}

TEST_F(Ledger, ARemovedEntryIsFound) {
  take_part_in(3);
  {
    SQLite::Database database(file().string(), SQLite::OPEN_READWRITE);
    database.exec("DELETE FROM ledger WHERE sequence = 3");
  }
  expect_no_more_rounds("rolled back");
}

// A process that dies between the two writes leaves a seal that is one charge behind.
TEST_F(Ledger, ASealThatIsBehindIsCaughtUpByTheNextCharge) {
  take_part_in(1);
  std::ifstream in(seal(), std::ios::binary);
  const std::string first((std::istreambuf_iterator<char>(in)), {});
  const auto store = open();
  ASSERT_TRUE(take_part(*store, 2));
  std::ofstream(seal(), std::ios::binary | std::ios::trunc) << first;
  EXPECT_EQ(store->ledger()->seal().sequence, 2U) << "what was charged counts, sealed or not";
  ASSERT_TRUE(take_part(*store, 3));
  EXPECT_EQ(store->ledger()->seal().sequence, 3U);
}

TEST_F(Ledger, TwoStoresOnOneFileSpendOneBudget) {
  const auto one = open();
  const auto two = open();
  for (std::uint64_t round = 1; round <= 69; ++round) {
    ASSERT_TRUE(take_part(round % 2 == 0 ? *one : *two, round)) << round;
  }
  ASSERT_TRUE(one->reserve(started(RoundId(70))));
  StorePromises late(*one, RoundId(70), terms());
  EXPECT_EQ(late.charge(kHonest).error().code(), ErrorCode::budget_exhausted);
}

}  // namespace
}  // namespace chorus::client
