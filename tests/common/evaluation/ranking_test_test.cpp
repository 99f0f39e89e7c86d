#include "common/evaluation/ranking_test.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "common/dataset/split.hpp"
#include "common/metrics/diversity.hpp"
#include "common/metrics/ranking.hpp"
#include "common/model/registry.hpp"

namespace chorus::evaluation {
namespace {

constexpr std::uint32_t kItems = 30;

dataset::RatingTable planted() {
  dataset::PlantedOptions options;
  options.users = 20;
  options.items = kItems;
  options.ratings_per_user = 8;
  const auto population = dataset::PlantedPopulation::create(options).value();
  std::vector<dataset::Rating> rows;
  for (std::uint32_t u = 0; u < options.users; ++u) {
    for (const dataset::Entry& entry : population.ratings_of(u)) {
      rows.push_back({std::to_string(u), std::to_string(entry.item), 1, entry.when});
    }
  }
  return dataset::make_table(rows).value();
}

class RankingTestTest : public ::testing::Test {
 protected:
  dataset::Split split_of(std::string_view spec) const {
    return dataset::make_split(table_, dataset::SplitSpec::parse(spec).value(), 1).value();
  }
  std::unique_ptr<model::Model> model() const {
    dataset::DataContract contract;
    contract.feedback = dataset::Feedback::events;
    contract.minimum = 0;
    return model::make_model("ials", {{"rank", "4"}},
                             {.items = static_cast<std::uint32_t>(table_.item_count()), .contract = contract})
        .value();
  }

  dataset::RatingTable table_ = planted();
};

TEST_F(RankingTestTest, EveryoneIsRankedAmongWhatTheyDoNotKnow) {
  const dataset::Split split = split_of("random:0.7");
  const UserData users(split.train);
  const RankingTest test(split.train, split.test);
  EXPECT_FALSE(test.sampled());
  const auto model = this->model();
  const model::ServerState state = model->initial();
  const auto quality = test_ranking(*model, state.shared, users, test, 0, static_cast<std::uint32_t>(users.size()));
  ASSERT_TRUE(quality.has_value());

  double hits = 0;
  double ndcg = 0;
  double recall = 0;
  double auc = 0;
  double people = 0;
  std::vector<metrics::ItemList> lists;
  std::vector<metrics::ItemList> histories;
  const dataset::ByUser tests(split.test);
  for (std::uint32_t u = 0; u < users.size(); ++u) {
    if (tests[u].empty()) continue;
    ++people;
    const auto mine = model->solve(state.shared, users[u]);
    std::vector<float> scores(table_.item_count());
    model->score_all(state.shared, mine, scores);
    std::vector<bool> known(table_.item_count(), false);
    std::vector<bool> wanted = known;
    for (const auto& event : users[u].training) known[event.item] = true;
    for (const auto& entry : tests[u]) wanted[entry.item] = true;
    std::vector<std::size_t> ranks;
    double won = 0;
    double pairs = 0;
    for (const auto& entry : tests[u]) {
      std::size_t rank = 1;
      for (std::uint32_t i = 0; i < scores.size(); ++i) {
        if (known[i] || i == entry.item) continue;
        if (scores[i] >= scores[entry.item]) ++rank;
        if (wanted[i]) continue;
        pairs += 1;
        won += scores[i] < scores[entry.item] ? 1 : 0;
      }
      ranks.push_back(rank);
    }
    hits += metrics::hit_at(ranks, 10);
    ndcg += metrics::ndcg_at(ranks, 10);
    recall += metrics::recall_at(ranks, 20);
    auc += won / pairs;
    metrics::ItemList best;
    for (std::uint32_t i = 0; i < scores.size(); ++i) {
      if (!known[i]) best.push_back(i);
    }
    std::ranges::sort(best, [&](std::uint32_t a, std::uint32_t b) { return scores[a] > scores[b]; });
    best.resize(10);
    lists.push_back(best);
    metrics::ItemList own;
    for (const auto& event : users[u].training) own.push_back(event.item);
    histories.push_back(own);
  }
  EXPECT_EQ(quality->tasks(), static_cast<std::size_t>(people));
  EXPECT_NEAR(quality->hit_at_10(), hits / people, 1e-12);
  EXPECT_NEAR(quality->ndcg_at_10(), ndcg / people, 1e-12);
  EXPECT_NEAR(quality->recall_at_20(), recall / people, 1e-12);
  EXPECT_NEAR(quality->auc(), auc / people, 1e-12);
  EXPECT_NEAR(quality->coverage(), metrics::coverage(lists, table_.item_count()).value(), 1e-12);
  EXPECT_NEAR(quality->popularity_bias(), metrics::popularity_bias(lists, histories, test.popularity()).value(), 1e-9);
}

TEST_F(RankingTestTest, CandidatesAloneCompeteWhereTheyAreGiven) {
  const dataset::Split split = split_of("loo");
  const UserData users(split.train);
  auto candidates = dataset::draw_candidates(split, 99, 3);
  const auto model = this->model();
  const model::ServerState state = model->initial();
  const auto count = static_cast<std::uint32_t>(users.size());
  const auto all = test_ranking(*model, state.shared, users, RankingTest(split.train, split.test), 0, count).value();
  // As many candidates as there are items: the same ranks.
  const auto drawn =
      test_ranking(*model, state.shared, users, RankingTest(split.train, split.test, candidates), 0, count).value();
  EXPECT_EQ(drawn.tasks(), all.tasks());
  EXPECT_NEAR(drawn.ndcg_at_10(), all.ndcg_at_10(), 1e-12);
  EXPECT_NEAR(drawn.auc(), all.auc(), 1e-12);
  for (auto& each : candidates) each.negatives.resize(9);
  const auto few =
      test_ranking(*model, state.shared, users, RankingTest(split.train, split.test, candidates), 0, count).value();
  EXPECT_EQ(few.hit_at_10(), 1);
  EXPECT_LT(all.hit_at_10(), 1);
}

TEST_F(RankingTestTest, AModelWithoutAnOpinionIsWorthNothing) {
  const dataset::Split split = split_of("loo");
  const UserData users(split.train);
  const RankingTest test(split.train, split.test);
  const auto model = this->model();
  model::ServerState state = model->initial();
  std::ranges::fill(state.shared.find("item_factors")->values, 0.0F);
  const auto quality =
      test_ranking(*model, state.shared, users, test, 0, static_cast<std::uint32_t>(users.size())).value();
  EXPECT_EQ(quality.hit_at_10(), 0);
  EXPECT_EQ(quality.auc(), 0);
}

TEST_F(RankingTestTest, PartsAddUp) {
  const dataset::Split split = split_of("random:0.7");
  const UserData users(split.train);
  const RankingTest test(split.train, split.test);
  const auto model = this->model();
  const model::ServerState state = model->initial();
  const auto count = static_cast<std::uint32_t>(users.size());
  const auto whole = test_ranking(*model, state.shared, users, test, 0, count).value();
  RankingQuality parts = test_ranking(*model, state.shared, users, test, 0, 7).value();
  parts.add(test_ranking(*model, state.shared, users, test, 7, count).value());
  EXPECT_EQ(parts.tasks(), whole.tasks());
  EXPECT_NEAR(parts.ndcg_at_10(), whole.ndcg_at_10(), 1e-12);
  EXPECT_EQ(parts.coverage(), whole.coverage());
  EXPECT_NEAR(parts.popularity_bias(), whole.popularity_bias(), 1e-9);
}

}  // namespace
}  // namespace chorus::evaluation
