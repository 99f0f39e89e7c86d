// A family of ratings and a few dozen people, for the tests that every such family shares.
#pragma once

#include <cmath>
#include <limits>

#include <Eigen/Dense>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "common/model/registry.hpp"
#include "common/ring/fixed_point.hpp"

namespace chorus::model::testing_ratings {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using plan::Purpose;
using ::testing::HasSubstr;

inline constexpr std::uint32_t kItems = 40;

class RatingFamilyTest : public ::testing::Test {
 protected:
  RatingFamilyTest(std::string family, Settings defaults, dataset::Feedback feedback = dataset::Feedback::ratings)
      : family_(std::move(family)), defaults_(std::move(defaults)) {
    dataset::PlantedOptions options;
    options.users = 60;
    options.items = kItems;
    options.ratings_per_user = 12;
    const auto population = dataset::PlantedPopulation::create(options).value();
    contract_ = population.contract();
    contract_.feedback = feedback;
    for (std::uint32_t u = 0; u < options.users; ++u) {
      std::vector<Observation> training;
      std::vector<Observation> held_out;
      for (const dataset::Entry& entry : population.ratings_of(u)) {
        auto& half = (training.size() + held_out.size()) % 5 == 4 ? held_out : training;
        half.push_back({.item = entry.item, .value = entry.value, .when = entry.when});
      }
      std::ranges::sort(training, {}, &Observation::item);
      std::ranges::sort(held_out, {}, &Observation::item);
      training_.push_back(std::move(training));
      held_out_.push_back(std::move(held_out));
    }
    model_ = make({});
  }

  Result<std::unique_ptr<Model>> try_make(Settings settings, std::uint32_t items = kItems) const {
    for (const auto& [name, value] : defaults_) settings.try_emplace(name, value);
    return make_model(family_, settings, {.items = items, .contract = contract_, .max_contributors = 512});
  }
  std::unique_ptr<Model> make(Settings settings, std::uint32_t items = kItems) const {
    auto model = try_make(std::move(settings), items);
    EXPECT_TRUE(model.has_value()) << model.error().to_string();
    return std::move(model).value();
  }

  LocalData data(std::size_t user) const { return {.training = training_[user], .held_out = held_out_[user]}; }
  double range() const { return double{contract_.maximum} - double{contract_.minimum}; }

  // Floating-point sums of everybody's contributions.
  std::vector<std::vector<double>> sums(const Model& model, Purpose purpose, const ServerState& state) const {
    const plan::UpdateLayout layout = model.layout(purpose, model.training_rounds(state.shared));
    std::vector<std::vector<double>> total;
    for (const auto& tensor : layout.tensors()) total.emplace_back(tensor.numbers(), 0.0);
    for (std::size_t u = 0; u < training_.size(); ++u) {
      ring::Contribution c;
      model.contribute(purpose, state.shared, data(u), c);
      std::size_t column = 0;
      std::size_t dense = 0;
      for (std::size_t t = 0; t < total.size(); ++t) {
        const auto& tensor = layout.tensors()[t];
        for (std::size_t k = 0; k < tensor.columns; ++k) {
          if (tensor.per_item) {
            for (std::size_t i = 0; i < c.items.size(); ++i) {
              total[t][c.items[i] * tensor.columns + k] += c.rows[i * layout.row_width() + column + k];
            }
          } else {
            total[t][k] += c.dense[dense + k];
          }
        }
        (tensor.per_item ? column : dense) += tensor.columns;
      }
    }
    return total;
  }

  // The same through the ring, as devices upload it; `clipped` counts what did not fit.
  std::vector<std::vector<double>> ring_sums(const Model& model, Purpose purpose, const ServerState& state,
                                             ring::EncodeCounts& counts) const {
    ring::RoundSum sum(model.layout(purpose, model.training_rounds(state.shared)));
    for (std::size_t u = 0; u < training_.size(); ++u) {
      ring::Contribution contribution;
      model.contribute(purpose, state.shared, data(u), contribution);
      EXPECT_TRUE(sum.add(contribution, counts).has_value());
    }
    std::vector<std::vector<double>> numbers;
    for (std::size_t t = 0; t < sum.layout().tensors().size(); ++t) numbers.push_back(sum.numbers(t));
    return numbers;
  }

  void advance(const Model& model, ServerState& state, Purpose purpose) const {
    const Status stepped = model.step(purpose, state, sums(model, purpose, state), training_.size());
    ASSERT_TRUE(stepped.has_value()) << stepped.error().to_string();
    ASSERT_TRUE(model.check_shared(state.shared).has_value());
  }

  // After the survey, if there is one, and `rounds` of training.
  ServerState trained(const Model& model, int rounds) const {
    ServerState state = model.initial();
    if (model.needs_survey()) advance(model, state, Purpose::survey);
    for (int r = 0; r < rounds; ++r) advance(model, state, Purpose::train);
    return state;
  }

  // Every score of every person is finite.
  void expect_finite_scores(const Model& model, const ServerState& state) const {
    std::vector<float> scores(model.shape().items);
    for (std::size_t u = 0; u < training_.size(); ++u) {
      model.score_all(state.shared, model.solve(state.shared, data(u)), scores);
      for (const float score : scores) ASSERT_TRUE(std::isfinite(score)) << "user " << u;
    }
  }

  // The parts of an explanation add up to the score, which is score()'s and score_all()'s.
  void expect_exact_explanations(const Model& model, const ServerState& state) const {
    std::vector<float> scores(model.shape().items);
    for (std::size_t u = 0; u < training_.size(); ++u) {
      const PrivateState mine = model.solve(state.shared, data(u));
      model.score_all(state.shared, mine, scores);
      for (std::uint32_t i = 0; i < model.shape().items; ++i) {
        const Explanation explanation = model.explain(state.shared, data(u), i);
        double sum = 0;
        std::size_t history = 0;
        for (const ScorePart& part : explanation.parts) {
          sum += part.amount;
          if (part.kind == ScorePart::Kind::history) ++history;
        }
        ASSERT_NEAR(sum, explanation.score, 1e-6) << "user " << u << ", item " << i;
        ASSERT_NEAR(explanation.score, model.score(state.shared, mine, i), 1e-9);
        ASSERT_NEAR(explanation.score, double{scores[i]}, 1e-4);
        ASSERT_EQ(history, training_[u].size());
      }
    }
  }

  // A non-finite sum is refused with the item's index, and leaves the state alone.
  void expect_refusal_of_non_finite_sums(const Model& model) const {
    ServerState state = trained(model, 1);
    const TensorSet before = state.shared;
    const auto hidden = state.hidden;
    const plan::UpdateLayout layout = model.layout(Purpose::train, 1);
    for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
      for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        auto total = sums(model, Purpose::train, state);
        const std::size_t columns = layout.tensors()[t].columns;
        total[t][layout.tensors()[t].per_item ? 7 * columns : 0] = bad;
        const Status stepped = model.step(Purpose::train, state, total, training_.size());
        ASSERT_FALSE(stepped.has_value()) << layout.tensors()[t].name;
        EXPECT_EQ(stepped.error().code(), ErrorCode::non_finite);
        if (layout.tensors()[t].per_item) {
          EXPECT_THAT(stepped.error().to_string(), HasSubstr("item 7"));
        }
        EXPECT_EQ(state.shared, before);
        EXPECT_EQ(state.hidden, hidden);
      }
    }
  }

  // Means over everybody's held-out ratings.
  double held_out_rmse(const Model& model, const ServerState& state) const {
    double squares = 0;
    double n = 0;
    for (std::size_t u = 0; u < training_.size(); ++u) {
      const PrivateState mine = model.solve(state.shared, data(u));
      for (const Observation& rating : held_out_[u]) {
        const double kept = std::clamp(model.score(state.shared, mine, rating.item), double{contract_.minimum},
                                       double{contract_.maximum});
        squares += (kept - double{rating.value}) * (kept - double{rating.value});
        n += 1;
      }
    }
    return std::sqrt(squares / n);
  }

  std::string family_;
  Settings defaults_;
  dataset::DataContract contract_;
  std::vector<std::vector<Observation>> training_;
  std::vector<std::vector<Observation>> held_out_;
  std::unique_ptr<Model> model_;
};

}  // namespace chorus::model::testing_ratings
