#include <numeric>

#include "common/model/event_sums.hpp"
#include "common/model/ials/trial.hpp"
#include "tests/common/model/ials_fixture.hpp"

namespace chorus::model::testing_ratings {
namespace {

TEST_F(IalsTest, EveryStepIsTheCentralOne) {
  ServerState state = model_->initial();
  advance(*model_, state, Purpose::survey);
  Central central(training_);
  central.q = matrix(state, "item_factors");
  MatrixXd momentum = MatrixXd::Zero(central.q.rows(), central.q.cols());
  for (int round = 0; round < 5; ++round) {
    central.solve_users();
    const MatrixXd gram = central.p.transpose() * central.p;
    MatrixXd next = central.q;
    for (Index i = 0; i < central.q.rows(); ++i) {
      const double share = central.events.col(i).sum() / static_cast<double>(training_.size());
      const MatrixXd metric =
          (kAlpha + share) * gram + central.item_ridge(i) * MatrixXd::Identity(gram.rows(), gram.cols());
      momentum.row(i) = kMomentum * momentum.row(i) + metric.ldlt().solve(central.descent(i)).transpose();
      next.row(i) += kRate * momentum.row(i);
    }
    central.q = next;
    advance(*model_, state, Purpose::train);
    ASSERT_LT((matrix(state, "item_factors") - central.q).cwiseAbs().maxCoeff(), 1e-6) << "round " << round;
    ASSERT_LT((matrix(state, "gram") - central.q.transpose() * central.q).cwiseAbs().maxCoeff(), 1e-4);
    central.q = matrix(state, "item_factors");  // as published: 32-bit floats
  }
}

TEST_F(IalsTest, TheUploadedGradientIsTheObjectives) {
  const ServerState state = trained(*model_, 2);
  Central central(training_);
  central.q = matrix(state, "item_factors");
  central.solve_users();
  const auto total = sums(*model_, Purpose::train, state);
  const Index d = central.q.cols();
  MatrixXd gram(d, d);
  for (Index row = 0, k = 0; row < d; ++row) {
    for (Index column = 0; column <= row; ++column, ++k) {
      gram(row, column) = gram(column, row) = total[2][static_cast<std::size_t>(k)];
    }
  }
  constexpr double kStep = 1e-4;
  for (const Index i : {Index{0}, Index{7}, Index{kItems} - 1}) {
    ASSERT_EQ(total[1][static_cast<std::size_t>(i)], central.events.col(i).sum());
    for (Index k = 0; k < d; ++k) {
      double descent = total[0][static_cast<std::size_t>(i * d + k)];
      descent -= kAlpha * gram.row(k).dot(central.q.row(i)) + central.item_ridge(i) * central.q(i, k);
      Central above = central;
      Central below = central;
      above.q(i, k) += kStep;
      below.q(i, k) -= kStep;
      EXPECT_NEAR(-2 * descent, (above.objective() - below.objective()) / (2 * kStep), 1e-6) << i << ", " << k;
    }
  }
}

TEST_F(IalsTest, EveryRoundBringsTheObjectiveDown) {
  ServerState state = model_->initial();
  advance(*model_, state, Purpose::survey);
  double before = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 6; ++round) {
    Central central(training_);
    central.q = matrix(state, "item_factors");
    central.solve_users();
    const double now = central.objective();
    EXPECT_LT(now, before) << "round " << round;
    before = now;
    advance(*model_, state, Purpose::train);
  }
}

TEST_F(IalsTest, TheRidgeComesFromHowEventsSpread) {
  const auto model = make({{"lambda", "auto"}});
  ServerState state = model->initial();
  advance(*model, state, Purpose::survey);
  double events = 0;
  double of_users = 0;
  std::vector<double> counts(kItems, 0.0);
  for (const auto& own : training_) {
    const auto n = static_cast<double>(own.size());
    events += n;
    of_users += n * n;
    for (const Observation& event : own) counts[event.item] += 1;
  }
  double of_items = 0;
  for (const double n : counts) of_items += n * n;
  const double lambda = 0.65 * (std::sqrt(of_users / events) + std::sqrt(of_items / events)) /
                        std::sqrt(static_cast<double>(training_.size()) * kItems);
  EXPECT_NEAR(double{state.shared.find("scale")->values[0]}, lambda, 1e-6);
  // A quarter of the people that were asked: four times as many, each item with four times as many events, but for what
  // drawing the quarter adds.
  const auto partial = make({{"lambda", "auto"}, {"participation", "0.25"}});
  ServerState quarter = partial->initial();
  advance(*partial, quarter, Purpose::survey);
  const double of_all = 0.65 * (std::sqrt(of_users / events) + std::sqrt((of_items / events - 0.75) / 0.25)) /
                        std::sqrt(4 * static_cast<double>(training_.size()) * kItems);
  EXPECT_NEAR(double{quarter.shared.find("scale")->values[0]}, of_all, 1e-6);
  // One that is set stays.
  EXPECT_EQ(trained(*model_, 1).shared.find("scale")->values[0], static_cast<float>(kLambda));
}

TEST_F(IalsTest, ExplanationsAddUpToTheScore) {
  expect_exact_explanations(*model_, trained(*model_, 3));
}

TEST_F(IalsTest, NonFiniteSumsAreRefusedWithTheirItem) {
  expect_refusal_of_non_finite_sums(*model_);
}

TEST_F(IalsTest, NothingIsClippedAndLittleIsRounded) {
  ServerState exact = trained(*model_, 3);
  ServerState encoded = exact;
  ring::EncodeCounts counts;
  advance(*model_, exact, Purpose::train);
  const Status stepped =
      model_->step(Purpose::train, encoded, ring_sums(*model_, Purpose::train, encoded, counts), training_.size());
  ASSERT_TRUE(stepped.has_value());
  EXPECT_EQ(counts.clipped, 0U);
  EXPECT_LT((matrix(exact, "item_factors") - matrix(encoded, "item_factors")).cwiseAbs().maxCoeff(), 1e-3);
}

TEST_F(IalsTest, HowOftenSomethingHappenedDoesNotCount) {
  const ServerState state = trained(*model_, 2);
  std::vector<Observation> often = training_[0];
  for (Observation& event : often) event.value = 400;
  EXPECT_EQ(model_->solve(state.shared, {.training = often, .held_out = {}}).factor,
            model_->solve(state.shared, data(0)).factor);
}

TEST_F(IalsTest, HeldOutEventsAreRankedOnTheDevice) {
  const ServerState state = trained(*model_, 4);
  for (const Purpose purpose : {Purpose::train, Purpose::measure}) {
    const Quality quality = model_->quality(purpose, sums(*model_, purpose, state));
    double hits = 0;
    double ndcg = 0;
    std::uint64_t people = 0;
    for (std::size_t u = 0; u < training_.size(); ++u) {
      if (held_out_[u].empty()) continue;
      ++people;
      const PrivateState mine = model_->solve(state.shared, data(u));
      bool hit = false;
      double gain = 0;
      double best = 0;
      for (std::size_t k = 0; k < held_out_[u].size(); ++k) {
        const std::uint32_t item = held_out_[u][k].item;
        std::size_t rank = 1;
        for (std::uint32_t i = 0; i < kItems; ++i) {
          const bool known = std::ranges::find(training_[u], i, &Observation::item) != training_[u].end();
          if (!known && i != item && model_->score(state.shared, mine, i) >= model_->score(state.shared, mine, item)) {
            ++rank;
          }
        }
        best += 1 / std::log2(2.0 + static_cast<double>(k));
        if (rank > 10) continue;
        hit = true;
        gain += 1 / std::log2(1.0 + static_cast<double>(rank));
      }
      hits += hit ? 1 : 0;
      ndcg += gain / best;
    }
    ASSERT_GT(people, 0U);
    EXPECT_EQ(quality.ranked_devices, people);
    EXPECT_EQ(quality.devices, training_.size());
    EXPECT_NEAR(quality.hit_at_10, hits / static_cast<double>(people), 1e-12);
    EXPECT_NEAR(quality.ndcg_at_10, ndcg / static_cast<double>(people), 1e-12);
    EXPECT_GT(quality.hit_at_10, 0.3);
  }
}

TEST(EventSums, EqualScoresCountAgainstTheModel) {
  const std::vector<Observation> training = {{.item = 0, .value = 1}};
  const std::vector<Observation> held_out = {{.item = 5, .value = 1}};
  const auto hits = [&](float others) {
    std::vector<double> metrics(event_metric::kSize, 0.0);
    write_event_metrics(
        {.training = training, .held_out = held_out}, 12,
        [others](std::span<float> scores) {
          std::ranges::fill(scores, others);
          scores[5] = 1;
        },
        metrics);
    return metrics[event_metric::kHits];
  };
  EXPECT_EQ(hits(0.5F), 1);
  EXPECT_EQ(hits(1.0F), 0);  // ten others are as good
  EXPECT_EQ(hits(std::numeric_limits<float>::quiet_NaN()), 0);
}

// Of sparse events, with the ridge left to the model: after the survey, its first rounds are a trial.
class IalsTrialTest : public IalsTest {
 protected:
  enum Mode { kModel = 0, kTrial = 1, kPopularity = 2 };

  IalsTrialTest() : sparse_(make({{"lambda", "auto"}})) {}

  static float mode(const ServerState& state) { return state.shared.find("scale")->values[2]; }
  static float lambda(const ServerState& state) { return state.shared.find("scale")->values[0]; }
  // After the trial, whose last sums were these.
  ServerState decided(const std::vector<double>& gains) const {
    ServerState state = trained(*sparse_, static_cast<int>(ials::trial::kRounds) - 1);
    EXPECT_EQ(mode(state), kTrial);
    auto total = sums(*sparse_, Purpose::train, state);
    total[3] = gains;
    EXPECT_TRUE(sparse_->step(Purpose::train, state, total, training_.size()).has_value());
    return state;
  }

  std::unique_ptr<Model> sparse_;
};

TEST_F(IalsTrialTest, OnlySparseEventsAreTriedAndOnlyIfTheRidgeIsTheModels) {
  EXPECT_EQ(mode(trained(*sparse_, 0)), kTrial);
  EXPECT_EQ(mode(trained(*model_, 0)), kModel);
  for (auto& own : training_) {
    own.clear();
    for (std::uint32_t i = 0; i < 12; ++i) own.push_back({.item = 2 * i, .value = 1});
  }
  EXPECT_EQ(mode(trained(*sparse_, 0)), kModel);
}

TEST_F(IalsTrialTest, TheHeldOutEventIsTheLatestAndDoesNotTrain) {
  const ServerState state = trained(*sparse_, 1);
  ring::Contribution out;
  for (std::size_t u = 0; u < training_.size(); ++u) {
    sparse_->contribute(Purpose::train, state.shared, data(u), out);
    if (training_[u].size() < 2) {
      EXPECT_EQ(out.items.size(), training_[u].size());
      continue;
    }
    ASSERT_EQ(out.items.size(), training_[u].size() - 1);
    const auto latest = std::ranges::max_element(training_[u], {}, &Observation::when);
    EXPECT_FALSE(std::ranges::binary_search(out.items, latest->item));
  }
}

TEST_F(IalsTrialTest, WithoutTimesTheHeldOutEventDiffersFromPersonToPerson) {
  std::vector<std::size_t> places(4, 0);
  for (std::uint32_t first = 0; first < 1000; ++first) {
    std::vector<Observation> own;
    for (std::uint32_t i = 0; i < 4; ++i) own.push_back({.item = first + i, .value = 1});
    ++places[ials::trial::held_out_place(own)];
  }
  for (const std::size_t count : places) EXPECT_NEAR(static_cast<double>(count), 250, 60);
}

TEST_F(IalsTrialTest, EveryCandidateRanksTheHeldOutEvent) {
  const ServerState state = trained(*sparse_, 2);
  std::vector<double> gains(ials::trial::kSize, 0.0);
  const auto add = [](double own, std::span<const double> others) {
    const auto rank = 1 + std::ranges::count_if(others, [own](double other) { return other >= own; });
    return rank <= 10 ? 1 / std::log2(1.0 + static_cast<double>(rank)) : 0.0;
  };
  for (const auto& own : training_) {
    const std::size_t place = ials::trial::held_out_place(own);
    if (place == own.size()) continue;
    std::vector<Observation> rest = own;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(place));
    for (std::size_t c = 0; c < ials::trial::kSize; ++c) {
      // Another ridge is a model of its own.
      ServerState other = state;
      if (c < ials::trial::kPopularity) {
        other.shared.find("scale")->values[0] *= static_cast<float>(ials::trial::kMultiples[c]);
      }
      const PrivateState mine = sparse_->solve(other.shared, {.training = rest, .held_out = {}});
      const auto score = [&](std::uint32_t i) {
        return c == ials::trial::kPopularity ? double{state.shared.find("popularity")->values[i]}
                                             : sparse_->score(other.shared, mine, i);
      };
      std::vector<double> others;
      for (std::uint32_t i = 0; i < kItems; ++i) {
        if (std::ranges::find(own, i, &Observation::item) == own.end()) others.push_back(score(i));
      }
      gains[c] += add(score(own[place].item), others);
    }
  }
  const auto total = sums(*sparse_, Purpose::train, state);
  for (std::size_t c = 0; c < ials::trial::kSize; ++c) {
    EXPECT_GT(gains[c], 0);
    EXPECT_NEAR(total[3][c], gains[c], 1e-9) << c;
  }
}

TEST_F(IalsTrialTest, TheBestRidgeIsKeptAndThenEverythingTrains) {
  const float before = lambda(trained(*sparse_, 0));
  ServerState state = decided({5, 7, 6, 6.5});
  EXPECT_EQ(mode(state), kModel);
  EXPECT_FLOAT_EQ(lambda(state), 2 * before);
  const auto total = sums(*sparse_, Purpose::train, state);
  EXPECT_EQ(std::accumulate(total[1].begin(), total[1].end(), 0.0), total[4][event_metric::kTraining]);
  advance(*sparse_, state, Purpose::train);
  EXPECT_EQ(mode(state), kModel);
}

TEST_F(IalsTrialTest, WherePopularityIsAsGoodItIsServed) {
  ServerState state = decided({5, 7, 6, 7});
  EXPECT_EQ(mode(state), kPopularity);
  advance(*sparse_, state, Purpose::train);  // counts all events
  EXPECT_EQ(mode(state), kPopularity);
  std::vector<double> counts(kItems, 0.0);
  for (const auto& own : training_) {
    for (const Observation& event : own) counts[event.item] += 1;
  }
  std::vector<float> scores(kItems);
  const PrivateState mine = sparse_->solve(state.shared, data(0));
  sparse_->score_all(state.shared, mine, scores);
  for (std::uint32_t i = 0; i < kItems; ++i) {
    const double share = counts[i] / static_cast<double>(training_.size());
    EXPECT_NEAR(double{scores[i]}, share, 1e-6);
    EXPECT_NEAR(sparse_->score(state.shared, mine, i), share, 1e-6);
    const Explanation explanation = sparse_->explain(state.shared, data(0), i);
    ASSERT_EQ(explanation.parts.size(), 1U);
    EXPECT_EQ(explanation.parts[0].kind, ScorePart::Kind::item);
    EXPECT_NEAR(explanation.score, share, 1e-6);
    EXPECT_EQ(explanation.parts[0].amount, explanation.score);
  }
  // What devices measure is what is served.
  const Quality quality = sparse_->quality(Purpose::measure, sums(*sparse_, Purpose::measure, state));
  std::ranges::fill(state.shared.find("item_factors")->values, 0.0F);
  EXPECT_EQ(sparse_->quality(Purpose::measure, sums(*sparse_, Purpose::measure, state)).ndcg_at_10, quality.ndcg_at_10);
  EXPECT_GT(quality.ndcg_at_10, 0);
}

TEST_F(IalsTest, PeopleWithoutEventsContributeNothingAndScoreZero) {
  const ServerState state = trained(*model_, 2);
  ring::Contribution contribution;
  for (const Purpose purpose : {Purpose::survey, Purpose::train, Purpose::measure}) {
    model_->contribute(purpose, state.shared, {}, contribution);
    EXPECT_TRUE(contribution.items.empty());
    EXPECT_EQ(std::ranges::count(contribution.dense, 0.0), std::ssize(contribution.dense));
  }
  std::vector<float> scores(kItems, 7);
  model_->score_all(state.shared, model_->solve(state.shared, {}), scores);
  EXPECT_EQ(std::ranges::count(scores, 0.0F), kItems);
  EXPECT_TRUE(model_->explain(state.shared, {}, 3).parts.empty());
}

TEST_F(IalsTest, DegeneratePeopleLeaveEverythingFinite) {
  // Everybody has the same one event, and most items none; the rank is above all of that.
  const auto wide = make({{"rank", "30"}, {"lambda", "auto"}});
  for (auto& own : training_) own = {{.item = 3, .value = 1}};
  for (auto& own : held_out_) own.clear();
  const ServerState state = trained(*wide, 6);
  expect_finite_scores(*wide, state);
  const PrivateState mine = wide->solve(state.shared, data(0));
  for (std::uint32_t i = 0; i < kItems; ++i) {
    if (i == 3) continue;
    EXPECT_LT(wide->score(state.shared, mine, i), wide->score(state.shared, mine, 3));
  }
  EXPECT_EQ(wide->quality(Purpose::train, sums(*wide, Purpose::train, state)).ranked_devices, 0U);
}

TEST_F(IalsTest, ARoundOfNobodyChangesNoFactor) {
  ServerState state = trained(*model_, 2);
  const std::vector<float> before = state.shared.find("item_factors")->values;
  for (auto& own : training_) own.clear();
  advance(*model_, state, Purpose::survey);
  advance(*model_, state, Purpose::train);
  EXPECT_EQ(state.shared.find("item_factors")->values, before);
  EXPECT_EQ(model_->training_rounds(state.shared), 3U);
}

TEST_F(IalsTest, AHostileGramMatrixStillGivesFiniteScores) {
  for (const float entry : {-1e30F, 1e30F}) {
    ServerState state = trained(*model_, 1);
    std::ranges::fill(state.shared.find("gram")->values, entry);
    ASSERT_TRUE(model_->check_shared(state.shared).has_value());
    expect_finite_scores(*model_, state);
  }
}

TEST_F(IalsTest, ALongerCatalogueKeepsItsFactorsAndCountsTheNewOnes) {
  ServerState state = trained(*model_, 2);
  const MatrixXd before = matrix(state, "item_factors");
  const auto longer = make({}, kItems + 5);
  longer->grow(state);
  ASSERT_TRUE(longer->check_shared(state.shared).has_value());
  const MatrixXd after = matrix(state, "item_factors");
  EXPECT_EQ(after.topRows(kItems), before);
  EXPECT_LT((matrix(state, "gram") - after.transpose() * after).cwiseAbs().maxCoeff(), 1e-4);
  advance(*longer, state, Purpose::train);
}

TEST_F(IalsTest, WhatItCannotLearnFromIsRefused) {
  contract_.feedback = dataset::Feedback::ratings;
  EXPECT_THAT(try_make({}).error().to_string(), HasSubstr("learns from events"));
  contract_.feedback = dataset::Feedback::events;
  EXPECT_THAT(try_make({{"nu", "0.7"}}).error().to_string(), HasSubstr("one of: 0, 0.5, 1"));
  EXPECT_THAT(try_make({{"lambda", "much"}}).error().to_string(), HasSubstr("lambda"));
  EXPECT_THAT(try_make({{"lamda", "1"}}).error().to_string(), HasSubstr("it has: update, rank, lambda"));
  EXPECT_FALSE(try_make({}, 0).has_value());
  ServerState state = model_->initial();
  state.shared.find("scale")->values[0] = 0;
  EXPECT_EQ(model_->check_shared(state.shared).error().code(), ErrorCode::wrong_model);
  state = model_->initial();
  state.shared.find("scale")->values[2] = 3;
  EXPECT_THAT(model_->check_shared(state.shared).error().to_string(), HasSubstr("mode"));
}

}  // namespace
}  // namespace chorus::model::testing_ratings
