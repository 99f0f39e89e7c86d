#include "client/store/store.hpp"

#include <fstream>
#include <numeric>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "client/store/schema.hpp"
#include "tests/client/store/temporary_folder.hpp"

namespace chorus::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

protocol::Signed document(std::uint8_t fill) {
  protocol::Signed out;
  out.document = Bytes(100, fill);
  out.signature.fill(fill);
  return out;
}

Participation round(std::uint64_t number, std::uint8_t model = 1) {
  Participation out;
  out.round = RoundId(number);
  out.cohort = CohortId(3);
  out.model_version = ModelVersion(7);
  out.model_id.fill(model);
  out.when = WallTime(std::chrono::seconds(1'700'000'000));
  out.bytes_up = 360'000;
  out.bytes_down = 240'000;
  return out;
}

class StoreTest : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "inner" / "device.db"; }
  std::unique_ptr<Store> open() {
    auto store = open_store(file());
    EXPECT_TRUE(store) << store.error().to_string();
    return std::move(store).value();
  }
  TemporaryFolder folder_;
};

TEST_F(StoreTest, RatingsComeBackInTheOrderOfTheirItems) {
  const std::unique_ptr<Store> store = open();
  const std::vector<StoredRating> rows = {{"m2", 4.5, 20, false}, {"m1", 3, 10, false}, {"m3", 1, 0, true}};
  EXPECT_EQ(store->put_ratings(rows)->added, 3U);
  EXPECT_THAT(*store->ratings(), ElementsAre(rows[1], rows[0], rows[2]));
  EXPECT_EQ(store->count_ratings()->training, 2U);
  EXPECT_EQ(store->count_ratings()->held_out, 1U);
}

TEST_F(StoreTest, TheLastRatingOfAnItemWins) {
  const std::unique_ptr<Store> store = open();
  const std::vector<StoredRating> first = {{"a", 1, 1, false}, {"a", 2, 2, false}, {"b", 3, 3, false}};
  const PutCounts once = *store->put_ratings(first);
  EXPECT_EQ(once.added, 2U);
  EXPECT_EQ(once.replaced, 1U);
  const std::vector<StoredRating> again = {{"b", 5, 4, true}};
  EXPECT_EQ(store->put_ratings(again)->replaced, 1U);
  EXPECT_THAT(*store->ratings(), ElementsAre(first[1], again[0]));
}

TEST_F(StoreTest, ARemovedRatingIsGoneAndItsBytesAreToo) {
  {
    const std::unique_ptr<Store> store = open();
    const std::vector<StoredRating> rows = {{"an-item-with-a-findable-name", 4, 0, false}, {"b", 3, 0, false}};
    ASSERT_TRUE(store->put_ratings(rows));
    EXPECT_TRUE(*store->remove_rating("an-item-with-a-findable-name"));
    EXPECT_FALSE(*store->remove_rating("an-item-with-a-findable-name"));
    EXPECT_EQ(store->count_ratings()->training, 1U);
  }
  std::ifstream in(file(), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(bytes, HasSubstr("rated_at"));
  EXPECT_EQ(bytes.find("findable"), std::string::npos);
}

TEST_F(StoreTest, EverythingSurvivesClosingAndOpening) {
  crypto::PublicKey key{};
  key.fill(9);
  Bytes tensors(300'000);
  std::iota(tensors.begin(), tensors.end(), std::uint8_t{0});
  {
    const std::unique_ptr<Store> store = open();
    ASSERT_TRUE(store->join(key, document(1)));
    ASSERT_TRUE(store->put_catalogue({document(2), Bytes{1, 2, 3}}));
    ASSERT_TRUE(store->put_model({document(3), 17, tensors}));
    ASSERT_TRUE(store->reserve(round(5)));
    ASSERT_TRUE(store->put_last_contact({WallTime(std::chrono::seconds(99)), "waiting", 3, 10}));
  }
  const std::unique_ptr<Store> store = open();
  EXPECT_EQ(**store->coordinator_key(), key);
  EXPECT_EQ(**store->job(), document(1));
  EXPECT_EQ(**store->catalogue_header(), document(2));
  EXPECT_EQ((*store->catalogue())->bytes, (Bytes{1, 2, 3}));
  EXPECT_EQ(**store->model_header(), document(3));
  EXPECT_EQ((*store->model())->items, 17U);
  EXPECT_EQ((*store->model())->tensors, tensors);
  EXPECT_EQ(*store->highest_round(), RoundId(5));
  Participation reserved = round(5);
  reserved.ending = Ending::withheld;
  EXPECT_THAT(*store->history(10), ElementsAre(reserved));
  EXPECT_EQ((*store->last_contact())->devices_needed, 10U);
}

TEST_F(StoreTest, ANewStoreHoldsNothing) {
  const std::unique_ptr<Store> store = open();
  EXPECT_TRUE(store->ratings()->empty());
  EXPECT_FALSE(*store->coordinator_key());
  EXPECT_FALSE(*store->job());
  EXPECT_FALSE(*store->catalogue());
  EXPECT_FALSE(*store->model());
  EXPECT_FALSE(*store->last_contact());
  EXPECT_EQ(*store->highest_round(), RoundId(0));
  EXPECT_TRUE(store->history(10)->empty());
}

TEST_F(StoreTest, ASecondCoordinatorIsNotPinnedOverTheFirst) {
  const std::unique_ptr<Store> store = open();
  crypto::PublicKey first{}, second{};
  first.fill(1);
  second.fill(2);
  ASSERT_TRUE(store->join(first, document(1)));
  EXPECT_EQ(store->join(second, document(2)).error().code(), ErrorCode::already_exists);
  EXPECT_EQ(**store->coordinator_key(), first);
  EXPECT_EQ(**store->job(), document(1));
}

TEST_F(StoreTest, LeavingKeepsTheRatingsAlone) {
  const std::unique_ptr<Store> store = open();
  ASSERT_TRUE(store->put_ratings(std::vector<StoredRating>{{"a", 1, 1, false}}));
  ASSERT_TRUE(store->join({}, document(1)));
  ASSERT_TRUE(store->put_model({document(3), 17, Bytes(10)}));
  ASSERT_TRUE(store->reserve(round(5)));
  ASSERT_TRUE(store->charge(RoundId(5), kWithoutNoise));
  ASSERT_TRUE(store->leave());
  EXPECT_EQ(store->ratings()->size(), 1U);
  EXPECT_FALSE(*store->coordinator_key());
  EXPECT_FALSE(*store->job());
  EXPECT_FALSE(*store->model());
  EXPECT_EQ(*store->highest_round(), RoundId(0));
  EXPECT_EQ(*store->attempts(round(5).model_id, plan::Purpose::train), 0U);
}

TEST_F(StoreTest, OneSessionAtATimeWhileOthersMayStillRate) {
  const std::unique_ptr<Store> first = open();
  const std::unique_ptr<Store> second = open();
  ASSERT_TRUE(first->begin_session());
  ASSERT_TRUE(first->begin_session());
  EXPECT_EQ(second->begin_session().error().code(), ErrorCode::round_in_use);
  EXPECT_TRUE(second->put_ratings(std::vector<StoredRating>{{"a", 1, 1, false}}));
  EXPECT_EQ(first->ratings()->size(), 1U);
  first->end_session();
  EXPECT_TRUE(second->begin_session());
}

TEST_F(StoreTest, AWriterThatBlocksTheStoreIsNamedAsTheReason) {
  auto store = open_store(file(), {.busy_timeout = std::chrono::milliseconds(1)});
  ASSERT_TRUE(store);
  SQLite::Database other(file().string(), SQLite::OPEN_READWRITE);
  SQLite::Transaction blocking(other, SQLite::TransactionBehavior::IMMEDIATE);
  const auto put = (*store)->put_ratings(std::vector<StoredRating>{{"a", 1, 1, false}});
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code(), ErrorCode::io);
  EXPECT_THAT(put.error().sentence(), HasSubstr("another process"));
}

TEST_F(StoreTest, TheFilesAreTheOwnersAlone) {
  const std::unique_ptr<Store> store = open();
  ASSERT_TRUE(store->put_ratings(std::vector<StoredRating>{{"a", 1, 1, false}}));
  for (const auto& entry : std::filesystem::directory_iterator(file().parent_path())) {
    EXPECT_EQ(entry.status().permissions() & std::filesystem::perms(077), std::filesystem::perms::none) << entry.path();
  }
  EXPECT_EQ(std::filesystem::status(file().parent_path()).permissions(), std::filesystem::perms(0700));
}

TEST_F(StoreTest, AStoreThatOthersCouldReadIsMadePrivate) {
  open().reset();
  std::filesystem::permissions(file(), std::filesystem::perms(0644));
  open().reset();
  EXPECT_EQ(std::filesystem::status(file()).permissions(), std::filesystem::perms(0600));
}

TEST_F(StoreTest, ANewerSchemaIsRefusedAndLeftAlone) {
  open().reset();
  {
    SQLite::Database(file().string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 99");
  }
  const auto store = open_store(file());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), ErrorCode::unsupported_version);
  EXPECT_THAT(store.error().sentence(), HasSubstr("99"));
}

TEST_F(StoreTest, AnotherProgramsDatabaseIsRefusedAndLeftAlone) {
  std::filesystem::create_directories(file().parent_path());
  {
    SQLite::Database other(file().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE theirs (x)");
  }
  EXPECT_EQ(open_store(file()).error().code(), ErrorCode::corrupt);
  SQLite::Database other(file().string(), SQLite::OPEN_READONLY);
  EXPECT_FALSE(other.tableExists("ratings"));
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsRefused) {
  std::filesystem::create_directories(file().parent_path());
  std::ofstream(file()) << std::string(5000, 'x');
  EXPECT_EQ(open_store(file()).error().code(), ErrorCode::corrupt);
}

TEST_F(StoreTest, DamagedPagesAreReportedAsCorrupt) {
  {
    const std::unique_ptr<Store> store = open();
    std::vector<StoredRating> rows;
    for (int i = 0; i < 2000; ++i) rows.push_back({SecretText("item-") + std::to_string(i).c_str(), 3, i, false});
    ASSERT_TRUE(store->put_ratings(rows));
  }
  const auto size = std::filesystem::file_size(file());
  std::fstream damage(file(), std::ios::in | std::ios::out | std::ios::binary);
  damage.seekp(static_cast<std::streamoff>(size) / 2);
  damage << std::string(size / 4, '\xa5');
  damage.close();
  const std::unique_ptr<Store> store = open();
  const auto ratings = store->ratings();
  ASSERT_FALSE(ratings);
  EXPECT_EQ(ratings.error().code(), ErrorCode::corrupt);
  EXPECT_THAT(ratings.error().sentence(), HasSubstr("damaged"));
}

TEST_F(StoreTest, APlaceBelowAFileIsUnwritable) {
  std::ofstream(folder_.path() / "plain") << "x";
  const auto store = open_store(folder_.path() / "plain" / "device.db");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), ErrorCode::unwritable);
  EXPECT_EQ(open_store(folder_.path()).error().code(), ErrorCode::unwritable);
  EXPECT_EQ(open_store({}).error().code(), ErrorCode::invalid_argument);
}

TEST_F(StoreTest, AFullDiskIsReportedAndLosesNothing) {
  const std::filesystem::path small = folder_.path() / "small";
  std::filesystem::create_directories(small);
  if (::mount("none", small.c_str(), "tmpfs", 0, "size=400k") != 0) GTEST_SKIP() << "cannot mount a small tmpfs here";
  {
    auto store = open_store(small / "device.db");
    ASSERT_TRUE(store) << store.error().to_string();
    ASSERT_TRUE((*store)->put_ratings(std::vector<StoredRating>{{"a", 1, 1, false}}));
    const Status put = (*store)->put_model({document(1), 5, Bytes(1'000'000, 1)});
    EXPECT_FALSE(put);
    EXPECT_EQ(put.error().code(), ErrorCode::disk_full);
    EXPECT_FALSE(*(*store)->model());
    EXPECT_EQ((*store)->ratings()->size(), 1U);
  }
  EXPECT_EQ(::umount(small.c_str()), 0);
}

TEST_F(StoreTest, ASwappedModelIsSeenWholeByAnotherReader) {
  const std::unique_ptr<Store> writer = open();
  const std::unique_ptr<Store> reader = open();
  ASSERT_TRUE(writer->put_model({document(1), 5, Bytes(100'000, 1)}));
  EXPECT_EQ((*reader->model())->header, document(1));
  ASSERT_TRUE(writer->put_model({document(2), 6, Bytes(100'000, 2)}));
  const StoredModel seen = std::move(**reader->model());
  EXPECT_EQ(seen.header, document(2));
  EXPECT_EQ(seen.items, 6U);
  EXPECT_EQ(seen.tensors, Bytes(100'000, 2));
}

TEST_F(StoreTest, AStoreInMemoryBehavesTheSame) {
  auto store = open_memory_store();
  ASSERT_TRUE(store) << store.error().to_string();
  ASSERT_TRUE((*store)->begin_session());
  ASSERT_TRUE((*store)->put_ratings(std::vector<StoredRating>{{"a", 1, 1, false}}));
  ASSERT_TRUE((*store)->reserve(round(5)));
  ASSERT_TRUE((*store)->charge(RoundId(5), kWithoutNoise));
  EXPECT_EQ((*store)->charge(RoundId(5), kWithoutNoise).error().code(), ErrorCode::duplicate);
  EXPECT_EQ((*store)->ratings()->size(), 1U);
}

}  // namespace
}  // namespace chorus::client
