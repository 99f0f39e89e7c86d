#include "client/recommend/reasons.hpp"

#include <algorithm>
#include <set>

#include "tests/client/recommend/trained_town.hpp"

namespace chorus::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Kind = model::ScorePart::Kind;

using ReasonsTest = TrainedTown;

void set_amounts(Recommendation& recommendation, Kind kind, double amount) {
  for (auto& part : recommendation.explanation.parts) {
    if (part.kind == kind) part.amount = amount;
  }
}

TEST_F(ReasonsTest, EveryReasonIsOneOfTheUsersRatingsAndAPartOfTheScore) {
  std::size_t said = 0;
  for (std::uint32_t user = 0; user < kUsers; ++user) {
    const Recommender recommender = recommender_of(user);
    const Reasons reasons(recommender);
    for (const auto& next : recommender.best(10)) {
      const auto told = reasons.of(next);
      EXPECT_LE(told.size(), Reasons::kSaid);
      EXPECT_TRUE(std::ranges::is_sorted(told, std::ranges::greater(), &Reason::amount));
      for (const Reason& reason : told) {
        ++said;
        EXPECT_EQ(recommender.rating_of(reason.item), reason.rating);
        EXPECT_GE(reason.amount, Reasons::kVisible);
        const auto part = std::ranges::find_if(
            next.explanation.parts, [&](const auto& p) { return p.kind == Kind::history && p.item == reason.item; });
        ASSERT_NE(part, next.explanation.parts.end());
        EXPECT_EQ(part->amount, reason.amount);
      }
    }
  }
  EXPECT_GT(said, std::size_t{kUsers} * 5);
}

// The largest parts are those that lift all items alike; what is said must tell the items apart.
TEST_F(ReasonsTest, ReasonsTellTheItemsOfOneListApart) {
  std::size_t told = 0;
  std::size_t largest = 0;
  for (std::uint32_t user = 0; user < kUsers; ++user) {
    const Recommender recommender = recommender_of(user);
    const Reasons reasons(recommender);
    std::set<std::uint32_t> first_told;
    std::set<std::uint32_t> first_largest;
    for (const auto& next : recommender.best(10)) {
      const auto one = reasons.of(next, 1);
      if (!one.empty()) first_told.insert(one.front().item);
      auto history = next.explanation.parts;
      std::erase_if(history, [](const auto& part) { return part.kind != Kind::history; });
      first_largest.insert(std::ranges::max(history, {}, &model::ScorePart::amount).item);
    }
    told += first_told.size();
    largest += first_largest.size();
  }
  EXPECT_GT(told, largest);
}

TEST_F(ReasonsTest, WhatLiftsAllItemsAlikeIsNoReasonForOne) {
  const Recommender recommender = recommender_of(6);
  Recommendation average = recommender.best(1).front();
  set_amounts(average, Kind::history, 0);
  for (std::uint32_t item = 0; item < kItems; ++item) {
    const auto explanation = recommender.explain(item);
    for (std::size_t p = 0; p < explanation.parts.size(); ++p) {
      auto& part = average.explanation.parts[p];
      if (part.kind == Kind::history) part.amount += explanation.parts[p].amount / kItems;
    }
  }
  EXPECT_GT(std::ranges::max(average.explanation.parts, {}, &model::ScorePart::amount).amount, 2 * Reasons::kVisible);
  EXPECT_THAT(Reasons(recommender).of(average), IsEmpty());
}

TEST_F(ReasonsTest, TheSentenceNamesTheRatingsAndTheirAmounts) {
  const Recommender recommender = recommender_of(6);
  const Reasons reasons(recommender);
  auto next = recommender.best(1).front();
  set_amounts(next, Kind::item, 0);
  const auto told = reasons.of(next);
  ASSERT_THAT(told, SizeIs(2));
  const auto named = [&](const Reason& reason) {
    char amounts[64];
    std::snprintf(amounts, sizeof amounts, " %g (%+.2f)", double{reason.rating}, reason.amount);
    return shortened(dataset::display_title(catalogue_[ItemIndex(reason.item)]), 40) + amounts;
  };
  EXPECT_EQ(reasons.sentence(next), "because you rated " + named(told[0]) + " and " + named(told[1]));
}

TEST_F(ReasonsTest, WhatWeighsMoreThanTheRatingsIsSaidFirst) {
  const Recommender recommender = recommender_of(6);
  const Reasons reasons(recommender);
  auto next = recommender.best(1).front();
  set_amounts(next, Kind::item, 0.91);
  EXPECT_THAT(reasons.sentence(next), StartsWith("widely liked (+0.91), and because you rated "));
}

TEST_F(ReasonsTest, RatingsWhoseAmountsRoundToNothingAreNoReason) {
  const Recommender recommender = recommender_of(6);
  const Reasons reasons(recommender);
  auto next = recommender.best(1).front();
  set_amounts(next, Kind::history, 0.0049 / 100);
  set_amounts(next, Kind::item, 0.63);
  EXPECT_THAT(reasons.of(next), IsEmpty());
  EXPECT_EQ(reasons.sentence(next), "widely liked (+0.63)");
  // Many small amounts may be the reason together.
  set_amounts(next, Kind::history, 0.004);
  set_amounts(next, Kind::item, -0.2);
  EXPECT_THAT(reasons.sentence(next), StartsWith("all your ratings together (+0.0"));
  set_amounts(next, Kind::history, -0.1);
  EXPECT_THAT(reasons.sentence(next), Not(HasSubstr("+")));
  EXPECT_THAT(reasons.sentence(next), Not(HasSubstr("liked")));
}

TEST_F(ReasonsTest, WithoutRatingsTheSentenceSaysHowManyRatedTheItem) {
  const auto store = store_with({}, trained_);
  const Recommender recommender = Recommender::of(*store).value();
  const auto next = recommender.best(1).front();
  EXPECT_EQ(Reasons(recommender).sentence(next),
            "rated on " + std::to_string(next.rated_by) + " devices in the last round");
}

TEST_F(ReasonsTest, BeforeTheFirstTrainingRoundThereIsNoReasonAndTheSentenceSaysSo) {
  const auto store = store_with(ratings_of(2), untrained_);
  const Recommender recommender = Recommender::of(*store).value();
  const auto next = recommender.best(1).front();
  EXPECT_THAT(Reasons(recommender).of(next), IsEmpty());
  EXPECT_EQ(Reasons(recommender).sentence(next), "nothing has been learned yet");
}

TEST(Shortened, TitlesAreCutBetweenCharacters) {
  EXPECT_EQ(shortened("Amélie", 6), "Amélie");
  EXPECT_EQ(shortened("Amélie", 3), "Amé…");
  EXPECT_EQ(shortened("To be or not", 6), "To be…");
  EXPECT_EQ(shortened("", 3), "");
}

}  // namespace
}  // namespace chorus::client
