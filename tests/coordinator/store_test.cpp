// The SQLite store on real files, and a job that goes on from it.
#include <sys/wait.h>

#include "tests/coordinator/store_fixture.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

TEST_F(StoreTest, AnEmptyFolderHoldsNoJobAndOneThatBeganHoldsVersionZero) {
  const fs::path state = folder_ / "deep" / "state";  // made
  {
    auto store = open_job(state);
    EXPECT_FALSE(store->load().value().has_value());
    const auto start = start_job(*store, make_job(3), make_items(20), make_key()).value();
    EXPECT_EQ(start.version.header.version, ModelVersion(0));
  }
  auto store = open_job(state);
  const auto stored = store->load().value();
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->job, make_job(3));
  EXPECT_EQ(stored->catalogue.size(), 20U);
  EXPECT_EQ(stored->header.version, ModelVersion(0));
  EXPECT_EQ(stored->progress, Progress{});
  ASSERT_EQ(lines(state / "town.trace.jsonl").size(), 1U);
  const auto header = std::get<TraceHeader>(parse_trace_line(lines(state / "town.trace.jsonl")[0]).value());
  EXPECT_EQ(header.job, make_job(3).id());
  EXPECT_EQ(header.items, 20U);
  EXPECT_EQ(header.model, stored->header.tensors);
}

TEST_F(StoreTest, GoesOnFromTheLastCommittedVersion) {
  Version latest;
  {
    auto store = open_job(folder_);
    const auto start = start_job(*store, make_job(9), make_items(20), make_key()).value();
    latest = start.version;
    for (std::uint64_t round = 1; round <= 7; ++round) {
      ASSERT_TRUE(store->reserve_round({.round = RoundId(round), .ledger = {}}, kToday).has_value());
      const auto commit = next_commit(start, latest, round);
      ASSERT_TRUE(store->commit(commit, kToday).has_value());
      latest = *commit.version;
    }
    ASSERT_TRUE(store->reserve_round({.round = RoundId(8), .ledger = {}}, kToday).has_value());
  }
  auto store = open_job(folder_);
  const auto start = start_job(*store, make_job(9), make_items(20), make_key()).value();
  EXPECT_EQ(start.version.header, latest.header);
  EXPECT_EQ(*start.version.tensors, *latest.tensors);
  EXPECT_EQ(start.version.state->hidden, latest.state->hidden);
  EXPECT_EQ(start.progress.last_round, RoundId(8));  // lost, and not used again
  EXPECT_TRUE(start.progress.surveyed);
  EXPECT_EQ(lines(folder_ / "town.trace.jsonl").size(), 8U);
}

TEST_F(StoreTest, ALowerReservationDoesNotBringNumbersBack) {
  auto store = open_job(folder_);
  ASSERT_TRUE(start_job(*store, make_job(9), make_items(20), make_key()).has_value());
  ASSERT_TRUE(store->reserve_round({.round = RoundId(8), .ledger = {}}, kToday).has_value());
  ASSERT_TRUE(store->reserve_round({.round = RoundId(3), .ledger = {}}, kToday).has_value());
  EXPECT_EQ(store->load().value()->progress.last_round, RoundId(8));
}

// The process is killed at moments spread over a run of commits; whatever it had said was stored is there.
TEST_F(StoreTest, AKilledProcessLosesNothingThatItCommitted) {
  for (int kill_after = 0; kill_after < 12; ++kill_after) {
    const fs::path state = folder_ / std::to_string(kill_after);
    int said[2];
    ASSERT_EQ(::pipe(said), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = open_job(state);
      const auto start = start_job(*store, make_job(99), make_items(20), make_key()).value();
      Version latest = start.version;
      for (std::uint64_t round = 1;; ++round) {
        static_cast<void>(store->reserve_round({.round = RoundId(round), .ledger = {}}, kToday));
        const auto commit = next_commit(start, latest, round);
        if (!store->commit(commit, kToday)) ::_exit(1);
        latest = *commit.version;
        if (::write(said[1], &round, sizeof round) != sizeof round) ::_exit(1);
      }
    }
    ::close(said[1]);
    std::uint64_t committed = 0;
    for (int i = 0; i <= kill_after; ++i) ASSERT_EQ(::read(said[0], &committed, sizeof committed), 8);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(said[0], &committed, sizeof committed) == 8) continue;
    ::close(said[0]);

    auto store = open_job(state);
    const auto start = start_job(*store, make_job(99), make_items(20), make_key()).value();
    // What it had not yet said may be there too: one commit.
    EXPECT_GE(start.version.header.version.value(), committed);
    EXPECT_LE(start.version.header.version.value(), committed + 1);
    EXPECT_GE(start.progress.last_round.value(), start.version.header.round.value());
    const auto trace = lines(state / "town.trace.jsonl");
    EXPECT_EQ(trace.size(), start.version.header.version.value() + 1);
    for (const auto& line : trace) EXPECT_TRUE(parse_trace_line(line).has_value()) << line;
  }
}

TEST_F(StoreTest, TheTraceFileIsRepairedAtTheNextStart) {
  {
    auto store = open_job(folder_);
    const auto start = start_job(*store, make_job(9), make_items(20), make_key()).value();
    auto latest = start.version;
    for (std::uint64_t round = 1; round <= 3; ++round) {
      const auto commit = next_commit(start, latest, round);
      ASSERT_TRUE(store->commit(commit, kToday).has_value());
      latest = *commit.version;
    }
  }
  const fs::path trace = folder_ / "town.trace.jsonl";
  const std::string whole = contents(trace);
  std::string changed = whole;
  changed[whole.size() / 2] ^= 1;
  for (const std::string& damaged :
       {std::string(), whole.substr(0, whole.size() - 7), whole + R"({"round":99)", changed, whole + whole}) {
    std::ofstream(trace, std::ios::binary | std::ios::trunc) << damaged;
    static_cast<void>(open_job(folder_));
    EXPECT_EQ(contents(trace), whole);
  }
  fs::remove(trace);
  static_cast<void>(open_job(folder_));
  EXPECT_EQ(contents(trace), whole);
}

// A flipped bit anywhere in the database is an error that says what to do, or changes nothing that is loaded.
TEST_F(StoreTest, NoFlippedBitIsTakenForData) {
  const fs::path state = folder_ / "state";
  protocol::ModelHeader header;
  Bytes tensors;
  const Progress progress{.last_round = RoundId(3), .surveyed = true, .measured = false, .ledger = charged_ledger(3)};
  {
    auto store = open_job(state);
    const auto start = start_job(*store, make_job(9), make_items(20), make_key()).value();
    const auto commit = next_commit(start, start.version, 1);
    ASSERT_TRUE(store->commit(commit, kToday).has_value());
    ASSERT_TRUE(store->reserve_round({.round = RoundId(3), .ledger = progress.ledger}, kToday).has_value());
    header = commit.version->header;
    tensors = *commit.version->tensors;
  }
  const fs::path database = state / "coordinator.db";
  const std::string whole = contents(database);
  ASSERT_GT(whole.size(), tensors.size());
  sim::SeededRandom random(8);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string damaged = whole;
    std::size_t at = random.below(whole.size());
    while (whole[at] == 0) at = random.below(whole.size());  // mostly free space
    damaged[at] ^= static_cast<char>(1U << random.below(8));
    fs::remove_all(state);
    fs::create_directory(state);
    std::ofstream(database, std::ios::binary) << damaged;
    auto store = open_sqlite_store(state);
    if (!store) {
      ++refused;
      EXPECT_FALSE(store.error().sentence().empty());
      continue;
    }
    const auto job = (*store)->job(kJob);
    const auto start = job ? start_job(**job, make_job(9), make_items(20), make_key()) : fail(job.error());
    if (!start) {
      ++refused;
      continue;
    }
    EXPECT_EQ(start->version.header, header);
    EXPECT_EQ(*start->version.tensors, tensors);
    EXPECT_EQ(start->progress, progress);
  }
  EXPECT_GT(refused, 50);  // the rest hit free space
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsNotTouched) {
  std::ofstream(folder_ / "coordinator.db") << std::string(5000, 'x');
  const auto store = open_sqlite_store(folder_);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code(), ErrorCode::corrupt);
  EXPECT_EQ(contents(folder_ / "coordinator.db"), std::string(5000, 'x'));
}

TEST_F(StoreTest, ALaterSchemaIsRefused) {
  {
    ASSERT_TRUE(open_sqlite_store(folder_).has_value());
  }
  // user_version is the four bytes at offset 60 of the file, big-endian.
  std::fstream file(folder_ / "coordinator.db", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(63).put(99);
  file.close();
  const auto store = open_sqlite_store(folder_);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code(), ErrorCode::unsupported_version);
}

TEST_F(StoreTest, AChargeIsDurableWithTheRoundsNumber) {
  {
    auto store = open_job(folder_);
    ASSERT_TRUE(start_job(*store, make_job(9), make_items(20), make_key()).has_value());
    ASSERT_TRUE(store->reserve_round({.round = RoundId(3), .ledger = charged_ledger(3)}, kToday).has_value());
  }
  auto store = open_job(folder_);
  const Progress progress = store->load().value()->progress;
  EXPECT_EQ(progress.last_round, RoundId(3));
  EXPECT_EQ(progress.ledger, charged_ledger(3));
}

TEST_F(StoreTest, OneProcessAtATimeUsesAFolder) {
  auto store = open_sqlite_store(folder_);
  ASSERT_TRUE(store.has_value());
  const auto second = open_sqlite_store(folder_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::already_exists);
  EXPECT_EQ(second.error().where(), folder_.string());
  store->reset();
  EXPECT_TRUE(open_sqlite_store(folder_).has_value());
}

TEST_F(StoreTest, AFolderThatCannotBeMadeOrWrittenIsNamed) {
  std::ofstream(folder_ / "file") << "x";
  for (const fs::path& bad : {folder_ / "file", folder_ / "file" / "state", fs::path("/proc/chorus/state")}) {
    const auto store = open_sqlite_store(bad);
    ASSERT_FALSE(store.has_value());
    EXPECT_NE(store.error().to_string().find(bad.string()), std::string::npos) << store.error().to_string();
  }
}

TEST_F(StoreTest, AReadOnlyFolderIsUnwritable) {
  if (!mount("size=1m", true)) GTEST_SKIP() << "needs the right to mount a tmpfs";
  const auto store = open_sqlite_store(folder_);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code(), ErrorCode::unwritable);
}

TEST_F(StoreTest, AFullDiskIsAnErrorAndTheLastVersionStays) {
  if (!mount("size=1m")) GTEST_SKIP() << "needs the right to mount a tmpfs";
  std::uint64_t committed = 0;
  std::optional<Error> failed;
  {
    auto store = open_job(folder_);
    const auto start = start_job(*store, make_job(9), make_items(2000), make_key()).value();
    Version latest = start.version;
    for (std::uint64_t round = 1; round <= 200 && !failed; ++round) {
      const auto commit = next_commit(start, latest, round);
      if (const auto status = store->commit(commit, kToday); !status) {
        failed = status.error();
      } else {
        latest = *commit.version;
        committed = round;
      }
    }
  }
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->code(), ErrorCode::disk_full) << failed->to_string();
  ASSERT_GT(committed, 0U);
  // With room again, it goes on from the last version that was stored.
  ASSERT_EQ(::mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT, "size=8m"), 0);
  auto store = open_job(folder_);
  const auto start = start_job(*store, make_job(9), make_items(2000), make_key()).value();
  EXPECT_EQ(start.version.header.version, ModelVersion(committed));
}

TEST_F(StoreTest, AnotherJobIsRefusedAndSaysWhatDiffers) {
  auto store = open_job(folder_);
  ASSERT_TRUE(start_job(*store, make_job(9), make_items(20), make_key()).has_value());
  auto other = make_job(9);
  other.settings["rank"] = "4";
  other.round_goal = 10;
  const auto refused = start_job(*store, other, make_items(20), make_key());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::wrong_job);
  EXPECT_NE(refused.error().sentence().find("[model] rank is 3 there and 4 here"), std::string::npos);
  EXPECT_NE(refused.error().sentence().find("rounds is 9 there and 10 here"), std::string::npos);
  EXPECT_EQ(refused.error().sentence().find("lambda"), std::string::npos);
}

TEST_F(StoreTest, ACatalogueMayGrowBetweenTwoStartsAndNothingElse) {
  auto store = open_job(folder_);
  ASSERT_TRUE(start_job(*store, make_job(9), make_items(20), make_key()).has_value());
  EXPECT_FALSE(start_job(*store, make_job(9), make_items(19), make_key()).has_value());
  const auto grown = start_job(*store, make_job(9), make_items(25), make_key()).value();
  EXPECT_EQ(grown.publisher->catalogue().header.version, 2U);
  EXPECT_EQ(grown.version.header.version, ModelVersion(1));
  EXPECT_EQ(grown.version.header.catalogue, grown.publisher->catalogue().header.digest);
  const auto again = start_job(*store, make_job(9), make_items(25), make_key()).value();
  EXPECT_EQ(again.version.header, grown.version.header);
  // The first rows are those of the shorter model.
  const auto shorter = new_job(make_job(9), make_items(20), make_key()).value();
  const auto& before = shorter.version.state->shared.tensors.front();
  const auto& after = grown.version.state->shared.tensors.front();
  EXPECT_EQ(std::vector(after.values.begin(), after.values.begin() + static_cast<std::ptrdiff_t>(before.values.size())),
            before.values);
  EXPECT_EQ(lines(folder_ / "town.trace.jsonl").size(), 2U);
}

TEST_F(StoreTest, ARenewedKeySignsTheOldVersionAnew) {
  auto store = open_job(folder_);
  ASSERT_TRUE(start_job(*store, make_job(9), make_items(20), make_key()).has_value());
  sim::SeededRandom random(55);
  const auto other = std::make_shared<const crypto::SigningKey>(crypto::SigningKey::generate(random));
  const auto start = start_job(*store, make_job(9), make_items(20), other).value();
  EXPECT_TRUE(protocol::check_signed(protocol::kModelLabel, start.version.document, other->public_key()).has_value());
}

// A federation over a real store, given up in the middle of a round: the next one goes on, and the run's model is the
// one that an uninterrupted run of the same rounds makes.
TEST_F(StoreTest, ARestartInMidRoundCostsThatRoundAlone) {
  const auto run_to_end = [&](JobStart start, JobStore* store, int stop_after) {
    Town town(make_settings(), std::move(start));
    town.real_store = store;
    town.connect(1, 5);
    // Opening, and one round after another; a silent member keeps the last one open.
    town.on_round_opened = [&](std::size_t opened) {
      if (static_cast<int>(opened) == stop_after) town.device(1).manner = Manner::is_silent;
    };
    town.advance(5s);
    return town.federation().version();
  };
  const auto whole = run_to_end(new_job(make_job(4), make_items(20), make_key()).value(), nullptr, -1);
  ASSERT_EQ(whole.header.training_rounds, 4U);
  Version resumed;
  {
    auto store = open_job(folder_);
    const auto half = run_to_end(start_job(*store, make_job(4), make_items(20), make_key()).value(), store.get(), 3);
    ASSERT_EQ(half.header.training_rounds, 1U);
  }
  {
    auto store = open_job(folder_);
    auto start = start_job(*store, make_job(4), make_items(20), make_key()).value();
    EXPECT_EQ(start.progress.last_round, RoundId(3));
    EXPECT_EQ(start.version.header.training_rounds, 1U);
    resumed = run_to_end(std::move(start), store.get(), -1);
    EXPECT_TRUE(store->load().value()->progress.measured);
  }
  EXPECT_EQ(resumed.header.tensors, whole.header.tensors);
  EXPECT_EQ(resumed.header.version, whole.header.version);
  EXPECT_EQ(resumed.header.round, RoundId(6));  // 3 was lost
  const auto trace = lines(folder_ / "town.trace.jsonl");
  ASSERT_EQ(trace.size(), 7U);  // header, survey, four trainings, the measuring round
  std::vector<std::uint64_t> numbers;
  for (std::size_t i = 1; i < trace.size(); ++i) {
    numbers.push_back(std::get<TraceRound>(parse_trace_line(trace[i]).value()).round.value());
  }
  EXPECT_EQ(numbers, (std::vector<std::uint64_t>{1, 2, 4, 5, 6, 7}));
}

}  // namespace
}  // namespace chorus::coordinator
