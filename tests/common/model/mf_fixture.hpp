// A model and a few dozen people for the tests of `mf`.
#pragma once

#include <cmath>
#include <limits>
#include <numeric>

#include <Eigen/Dense>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/crypto/hash.hpp"
#include "common/dataset/planted.hpp"
#include "common/model/mf/mf.hpp"
#include "common/ring/fixed_point.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::model::testing_mf {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using plan::Purpose;
using ::testing::HasSubstr;

inline constexpr std::uint32_t kItems = 40;

// A few dozen people of a planted population.
class MfTest : public ::testing::Test {
 protected:
  MfTest() {
    dataset::PlantedOptions options;
    options.users = 60;
    options.items = kItems;
    options.ratings_per_user = 12;
    const auto population = dataset::PlantedPopulation::create(options).value();
    contract_ = population.contract();
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

  std::unique_ptr<Model> make(Settings settings, std::uint32_t items = kItems) const {
    settings.try_emplace("rank", "5");
    settings.try_emplace("lambda", "3");
    settings.try_emplace("lambda_bias", "1.5");
    settings.try_emplace("trial", "off");
    auto model = make_model("mf", settings, {.items = items, .contract = contract_, .max_contributors = 512});
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

  void advance(const Model& model, ServerState& state, Purpose purpose) const {
    const Status stepped = model.step(purpose, state, sums(model, purpose, state), training_.size());
    ASSERT_TRUE(stepped.has_value()) << stepped.error().to_string();
  }

  // After the survey and `rounds` of training.
  ServerState trained(const Model& model, int rounds) const {
    ServerState state = model.initial();
    advance(model, state, Purpose::survey);
    for (int r = 0; r < rounds; ++r) advance(model, state, Purpose::train);
    return state;
  }

  dataset::DataContract contract_;
  std::vector<std::vector<Observation>> training_;
  std::vector<std::vector<Observation>> held_out_;
  std::unique_ptr<Model> model_;
};

inline const std::vector<float>& factors(const ServerState& state) {
  return state.shared.tensors[0].values;
}
inline const std::vector<float>& scale(const ServerState& state) {
  return state.shared.tensors[1].values;
}

}  // namespace chorus::model::testing_mf
