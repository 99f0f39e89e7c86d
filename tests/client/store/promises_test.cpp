// What a device promises of its rounds, and that a promise outlives the process: a file is opened again after each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/store/store.hpp"
#include "tests/client/store/temporary_folder.hpp"

namespace chorus::client {
namespace {

using ::testing::ElementsAre;

Digest digest(std::uint8_t fill) {
  Digest out;
  out.fill(fill);
  return out;
}

Participation round(std::uint64_t number, std::uint8_t model = 1) {
  return {.round = RoundId(number),
          .cohort = CohortId(3),
          .model_version = ModelVersion(7),
          .model_id = digest(model),
          .when = WallTime(std::chrono::seconds(1'700'000'000)),
          .bytes_up = 360'000,
          .bytes_down = 240'000};
}

class Promises : public ::testing::Test {
 protected:
  Promises() { reopen(); }
  // As a new process would.
  void reopen() {
    store.reset();
    auto opened = open_store(folder_.path() / "device.db");
    EXPECT_TRUE(opened) << opened.error().to_string();
    store = std::move(opened).value();
  }
  Ending latest() const { return (*store->history(1))[0].ending; }
  std::uint32_t attempts(std::uint8_t model, plan::Purpose purpose = plan::Purpose::train) const {
    return *store->attempts(digest(model), purpose);
  }
  TemporaryFolder folder_;
  std::unique_ptr<Store> store;
};

TEST_F(Promises, ARoundIsReservedOnceAndNoneBelowIt) {
  ASSERT_TRUE(store->reserve(round(5)));
  reopen();
  EXPECT_EQ(store->reserve(round(5)).error().code(), ErrorCode::stale_round);
  EXPECT_EQ(store->reserve(round(4)).error().code(), ErrorCode::stale_round);
  EXPECT_EQ(*store->highest_round(), RoundId(5));
  EXPECT_EQ(store->history(10)->size(), 1U);
}

TEST_F(Promises, AReservedRoundIsWithheldUntilItIsChargedAndLostUntilItsResultComes) {
  ASSERT_TRUE(store->reserve(round(5)));
  reopen();
  EXPECT_EQ(latest(), Ending::withheld) << "whatever the caller's line says";
  ASSERT_TRUE(store->charge(RoundId(5), kWithoutNoise));
  reopen();
  EXPECT_EQ(latest(), Ending::lost);
  Participation ended = round(5);
  ended.ending = Ending::aborted;
  ended.reason = "below_threshold: 3 of 5";
  ASSERT_TRUE(store->finish(ended));
  reopen();
  EXPECT_THAT(*store->history(10), ElementsAre(ended));
  EXPECT_EQ(store->finish(round(6)).error().code(), ErrorCode::not_found);
}

TEST_F(Promises, ARoundIsChargedOnce) {
  ASSERT_TRUE(store->reserve(round(5)));
  ASSERT_TRUE(store->charge(RoundId(5), kWithoutNoise));
  EXPECT_EQ(store->charge(RoundId(5), kWithoutNoise).error().code(), ErrorCode::duplicate);
  reopen();
  EXPECT_EQ(store->charge(RoundId(5), kWithoutNoise).error().code(), ErrorCode::duplicate);
  EXPECT_EQ(attempts(1), 1U);
  // Nor after its result came.
  Participation ended = round(5);
  ended.ending = Ending::published;
  ASSERT_TRUE(store->finish(ended));
  EXPECT_EQ(store->charge(RoundId(5), kWithoutNoise).error().code(), ErrorCode::duplicate);
  EXPECT_EQ(attempts(1), 1U);
  EXPECT_EQ(latest(), Ending::published);
}

TEST_F(Promises, ARoundThatWasNeverReservedIsNotCharged) {
  EXPECT_EQ(store->charge(RoundId(5), kWithoutNoise).error().code(), ErrorCode::duplicate);
  ASSERT_TRUE(store->reserve(round(5)));
  EXPECT_EQ(store->charge(RoundId(6), kWithoutNoise).error().code(), ErrorCode::duplicate);
  EXPECT_EQ(attempts(1), 0U);
}

TEST_F(Promises, AttemptsAreWhatWasChargedForEachModelAndPurpose) {
  ASSERT_TRUE(store->reserve(round(1, 1)));
  EXPECT_EQ(attempts(1), 0U) << "nothing has left yet";
  ASSERT_TRUE(store->charge(RoundId(1), kWithoutNoise));
  ASSERT_TRUE(store->reserve(round(2, 1)));  // the device left this one early
  ASSERT_TRUE(store->reserve(round(3, 1)));
  ASSERT_TRUE(store->charge(RoundId(3), kWithoutNoise));
  ASSERT_TRUE(store->reserve(round(4, 2)));
  ASSERT_TRUE(store->charge(RoundId(4), kWithoutNoise));
  Participation survey = round(5, 1);
  survey.purpose = plan::Purpose::survey;
  ASSERT_TRUE(store->reserve(survey));
  ASSERT_TRUE(store->charge(RoundId(5), kWithoutNoise));
  reopen();
  EXPECT_EQ(attempts(1), 2U);
  EXPECT_EQ(attempts(2), 1U);
  EXPECT_EQ(attempts(1, plan::Purpose::survey), 1U);
  EXPECT_EQ(attempts(1, plan::Purpose::measure), 0U);
}

TEST_F(Promises, OneSetOfSurvivorsIsVotedForEver) {
  ASSERT_TRUE(store->reserve(round(5)));
  ASSERT_TRUE(store->charge(RoundId(5), kWithoutNoise));
  ASSERT_TRUE(store->vote(RoundId(5), digest(1)));
  EXPECT_TRUE(store->vote(RoundId(5), digest(1))) << "the same again says nothing new";
  EXPECT_EQ(store->vote(RoundId(5), digest(2)).error().code(), ErrorCode::already_signed);
  reopen();
  EXPECT_EQ(store->vote(RoundId(5), digest(2)).error().code(), ErrorCode::already_signed);
  EXPECT_TRUE(store->vote(RoundId(5), digest(1))) << "the refused vote has left no trace";
  Participation ended = round(5);
  ended.ending = Ending::published;
  ASSERT_TRUE(store->finish(ended));
  EXPECT_EQ(store->vote(RoundId(5), digest(2)).error().code(), ErrorCode::already_signed);
}

TEST_F(Promises, EachRoundHasItsOwnVoteAndAnUnknownOneHasNone) {
  EXPECT_EQ(store->vote(RoundId(5), digest(1)).error().code(), ErrorCode::not_found);
  ASSERT_TRUE(store->reserve(round(5)));
  ASSERT_TRUE(store->reserve(round(6)));
  EXPECT_TRUE(store->vote(RoundId(5), digest(1)));
  EXPECT_TRUE(store->vote(RoundId(6), digest(2)));
  EXPECT_EQ(store->vote(RoundId(7), digest(1)).error().code(), ErrorCode::not_found);
}

}  // namespace
}  // namespace chorus::client
