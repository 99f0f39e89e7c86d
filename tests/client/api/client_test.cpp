// The library without a coordinator: what it keeps, and what it refuses.
#include "chorus/client.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "chorus/client.h"
#include "tests/client/store/temporary_folder.hpp"

namespace chorus {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class ClientTest : public ::testing::Test {
 protected:
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  Client open() const { return Client::open({.store = path("me.db"), .credentials = path("device")}).value(); }

  client::TemporaryFolder folder_;
};

TEST_F(ClientTest, AStoreIsMadeForItsOwnerAlone) {
  {
    const Client client = open();
  }
  struct stat found{};
  ASSERT_EQ(::stat(path("me.db").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
}

TEST_F(ClientTest, AStoreThatCannotBeMadeIsAnErrorOfStorage) {
  const auto named = Client::open({.store = {}, .credentials = {}});
  ASSERT_FALSE(named.has_value());
  EXPECT_EQ(named.error().kind, ClientErrorKind::usage);
  const auto folder = Client::open({.store = folder_.path(), .credentials = {}});
  ASSERT_FALSE(folder.has_value());
  EXPECT_EQ(folder.error().kind, ClientErrorKind::storage);
  const auto text = Client::open({.store = write("no.db", std::string(5000, 'x')), .credentials = {}});
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().kind, ClientErrorKind::storage);
  EXPECT_EQ(text.error().code, "corrupt");
}

TEST_F(ClientTest, AnImportCountsWhatIsNewReplacedAndRepeated) {
  Client client = open();
  const auto first = client.import_ratings(write("a.csv", "item,rating\na,1\nb,2\na,3\n"));
  ASSERT_TRUE(first) << first.error().sentence;
  EXPECT_EQ(first->ratings, 2U);
  EXPECT_EQ(first->added, 2U);
  EXPECT_EQ(first->duplicates, 1U);
  EXPECT_EQ(first->unknown, std::nullopt);  // no catalogue yet
  const auto second = client.import_ratings(write("b.csv", "item,rating\nb,5\nc,4\n"));
  EXPECT_EQ(second->added, 1U);
  EXPECT_EQ(second->replaced, 1U);
  EXPECT_EQ(client.status()->ratings, 3U);
}

TEST_F(ClientTest, ABadLineImportsNothingAndNamesItsPlace) {
  Client client = open();
  for (const char* bad : {"c,nan", "c,inf", "c,five", "c", "c,4,5", ",4"}) {
    const auto refused = client.import_ratings(write("bad.csv", std::string("item,rating\na,1\n") + bad + "\nb,2\n"));
    ASSERT_FALSE(refused.has_value()) << bad;
    EXPECT_EQ(refused.error().kind, ClientErrorKind::input) << bad;
    EXPECT_THAT(refused.error().where, HasSubstr("bad.csv:3")) << bad;
  }
  EXPECT_EQ(client.status()->ratings, 0U);
}

TEST_F(ClientTest, BadLinesThatAreSkippedAreCountedAndTold) {
  Client client = open();
  const auto report = client.import_ratings(write("bad.csv", "item,rating\na,1\nb,x\nc,nan\nd,2\n"),
                                            {.format = {}, .user = {}, .skip_bad_lines = true});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->ratings, 2U);
  EXPECT_EQ(report->bad_lines, 2U);
  ASSERT_THAT(report->problems, SizeIs(2));
  EXPECT_THAT(report->problems[1].where, HasSubstr("bad.csv:4"));
}

TEST_F(ClientTest, EmptyAndMissingFilesAreErrors) {
  Client client = open();
  for (const char* text : {"", "\n\n", "item,rating\n"}) {
    const auto refused = client.import_ratings(write("empty.csv", text));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ClientErrorKind::input);
  }
  EXPECT_EQ(client.import_ratings(path("none.csv")).error().kind, ClientErrorKind::storage);
}

TEST_F(ClientTest, AFileOfSeveralPeopleNeedsAName) {
  Client client = open();
  const auto file = write("all.csv", "user,item,rating\nann,a,1\nbob,a,2\nbob,b,3\nbob,b,4\nann,c,5\n");
  const auto whose = client.import_ratings(file);
  ASSERT_FALSE(whose.has_value());
  EXPECT_EQ(whose.error().kind, ClientErrorKind::usage);
  EXPECT_THAT(whose.error().sentence, HasSubstr("2 people"));
  const auto nobody = client.import_ratings(file, {.format = {}, .user = "eve"});
  EXPECT_EQ(nobody.error().kind, ClientErrorKind::usage);
  const auto bob = client.import_ratings(file, {.format = {}, .user = "bob"});
  ASSERT_TRUE(bob) << bob.error().sentence;
  EXPECT_EQ(bob->ratings, 2U);
  EXPECT_EQ(bob->duplicates, 1U);  // ann's lines are not bob's
}

TEST_F(ClientTest, HeldOutRatingsAreCountedApart) {
  Client client = open();
  ASSERT_TRUE(client.import_ratings(write("a.csv", "item,rating\na,1\nb,2\n")));
  ASSERT_TRUE(client.import_ratings(write("b.csv", "item,rating\nc,1\n"),
                                    {.format = {}, .user = {}, .skip_bad_lines = false, .held_out = true}));
  EXPECT_EQ(client.status()->ratings, 2U);
  EXPECT_EQ(client.status()->held_out, 1U);
}

TEST_F(ClientTest, RatingsAreMadeChangedAndRemoved) {
  Client client = open();
  EXPECT_FALSE(client.rate("a", 4)->replaced);
  EXPECT_TRUE(client.rate("a", 5)->replaced);
  EXPECT_EQ(client.rate("a", std::numeric_limits<double>::quiet_NaN()).error().kind, ClientErrorKind::input);
  EXPECT_EQ(client.rate("a", 1e300).error().kind, ClientErrorKind::input);
  EXPECT_EQ(client.rate("", 4).error().kind, ClientErrorKind::input);
  EXPECT_EQ(client.rate("a\nb", 4).error().kind, ClientErrorKind::input);
  EXPECT_TRUE(*client.remove("a"));
  EXPECT_FALSE(*client.remove("a"));
  EXPECT_EQ(client.status()->ratings, 0U);
}

TEST_F(ClientTest, ANewStoreSaysThatItWasNeverSynced) {
  Client client = open();
  const auto status = client.status();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->job, "");
  EXPECT_EQ(status->model_version, std::nullopt);
  EXPECT_EQ(status->last_contact, std::nullopt);
  EXPECT_THAT(status->history, SizeIs(0));
  EXPECT_EQ(client.recommend(3).error().kind, ClientErrorKind::unsynced);
}

TEST_F(ClientTest, ASyncWithoutCoordinatorOrCredentialsIsRefused) {
  Client client = open();
  EXPECT_EQ(client.sync({}).error().kind, ClientErrorKind::usage);
  EXPECT_EQ(client.sync({.coordinators = {"no port"}, .job = {}}).error().kind, ClientErrorKind::usage);
  const auto without = client.sync({.coordinators = {"localhost:7443"}, .job = {}});
  EXPECT_EQ(without.error().kind, ClientErrorKind::storage);
  EXPECT_THAT(without.error().where, HasSubstr("device.crt"));
}

// ---- the C face

TEST_F(ClientTest, TheCFaceReturnsStatusesAndKeepsTheMessage) {
  chorus_client* client = nullptr;
  EXPECT_EQ(chorus_client_open(nullptr, nullptr, &client), CHORUS_USAGE);
  EXPECT_EQ(client, nullptr);
  ASSERT_EQ(chorus_client_open(path("c.db").c_str(), nullptr, &client), CHORUS_OK);

  chorus_import_report report{};
  const std::string bad = write("bad.csv", "item,rating\na,1\nb,x\n").string();
  EXPECT_EQ(chorus_client_import(client, bad.c_str(), 0, &report), CHORUS_INPUT);
  EXPECT_THAT(chorus_error_message(), HasSubstr("bad.csv:3: expected a number"));
  EXPECT_STREQ(chorus_error_code(), "malformed");
  EXPECT_EQ(chorus_client_import(client, bad.c_str(), 1, &report), CHORUS_OK);
  EXPECT_EQ(report.ratings, 1U);
  EXPECT_EQ(report.bad_lines, 1U);

  int replaced = -1;
  EXPECT_EQ(chorus_client_rate(client, "a", 4, &replaced), CHORUS_OK);
  EXPECT_EQ(replaced, 1);
  EXPECT_EQ(chorus_client_rate(client, nullptr, 4, nullptr), CHORUS_USAGE);
  int existed = -1;
  EXPECT_EQ(chorus_client_remove(client, "b", &existed), CHORUS_OK);
  EXPECT_EQ(existed, 0);

  chorus_client_state state{};
  EXPECT_EQ(chorus_client_get_state(client, &state), CHORUS_OK);
  EXPECT_EQ(state.ratings, 1U);
  EXPECT_EQ(state.has_model, 0);
  chorus_recommendations* list = nullptr;
  EXPECT_EQ(chorus_client_recommend(client, 3, &list), CHORUS_UNSYNCED);
  EXPECT_EQ(list, nullptr);
  chorus_sync_options options{};
  EXPECT_EQ(chorus_client_sync(client, &options, nullptr, nullptr, nullptr), CHORUS_USAGE);
  chorus_client_cancel(client);
  EXPECT_EQ(chorus_client_leave(client), CHORUS_OK);
  chorus_client_close(client);
}

TEST_F(ClientTest, TheCFaceTakesNullWhereItSaysSo) {
  chorus_client_close(nullptr);
  chorus_client_cancel(nullptr);
  chorus_recommendations_free(nullptr);
  EXPECT_EQ(chorus_recommendations_count(nullptr), 0U);
  EXPECT_EQ(chorus_recommendation_title(nullptr, 0), nullptr);
  EXPECT_EQ(client_version(), chorus_version());
}

}  // namespace
}  // namespace chorus
