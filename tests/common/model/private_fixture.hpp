// Planted people of a model with differential privacy, for every family that has one.
#pragma once

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "common/model/registry.hpp"

namespace chorus::model::testing_private {

using plan::Purpose;

inline constexpr std::uint32_t kUsers = 300;
inline constexpr std::uint32_t kItems = 80;

class PrivateModelTest : public ::testing::Test {
 protected:
  PrivateModelTest(std::string_view family, dataset::Feedback feedback) : family_(family) {
    const auto planted =
        dataset::PlantedPopulation::create({.users = kUsers, .items = kItems, .ratings_per_user = 25}).value();
    contract_ = planted.contract();
    contract_.feedback = feedback;
    catalogue_ = std::make_shared<const dataset::Catalogue>(planted.catalogue());
    for (std::uint32_t u = 0; u < kUsers; ++u) {
      std::vector<Observation> training;
      std::vector<Observation> held_out;
      for (const dataset::Entry& entry : planted.ratings_of(u)) {
        auto& half = (training.size() + held_out.size()) % 5 == 4 ? held_out : training;
        half.push_back({.item = entry.item, .value = entry.value, .when = entry.when});
      }
      std::ranges::sort(training, {}, &Observation::item);
      training_.push_back(std::move(training));
      held_out_.push_back(std::move(held_out));
    }
  }

  std::unique_ptr<Model> make(Settings settings = {}, std::uint32_t items = kItems) const {
    settings.try_emplace("update", "dp");
    auto model = make_model(family_, settings,
                            {.items = items, .contract = contract_, .max_contributors = 512, .catalogue = catalogue_});
    EXPECT_TRUE(model.has_value()) << model.error().to_string();
    return std::move(model).value();
  }

  static Purpose purpose_of(std::size_t round) { return round == 0 ? Purpose::survey : Purpose::train; }

  // Exact sums of everybody's contributions; calls visit(layout, contribution) for each.
  template <typename Visit>
  std::vector<std::vector<double>> sums(const Model& model, Purpose purpose, const ServerState& state,
                                        Visit&& visit) const {
    const plan::UpdateLayout layout = model.layout(purpose, model.training_rounds(state.shared));
    std::vector<std::vector<double>> total;
    for (const auto& tensor : layout.tensors()) total.emplace_back(tensor.numbers(), 0.0);
    for (const auto& ratings : training_) {
      ring::Contribution c;
      model.contribute(purpose, state.shared, {.training = ratings, .held_out = {}}, c);
      visit(layout, c);
      std::size_t column = 0;
      std::size_t dense = 0;
      for (std::size_t t = 0; t < total.size(); ++t) {
        const auto& tensor = layout.tensors()[t];
        for (std::size_t k = 0; k < tensor.columns; ++k) {
          if (!tensor.per_item) {
            total[t][k] += c.dense[dense + k];
            continue;
          }
          for (std::size_t i = 0; i < c.items.size(); ++i) {
            total[t][c.items[i] * tensor.columns + k] += c.rows[i * layout.row_width() + column + k];
          }
        }
        (tensor.per_item ? column : dense) += tensor.columns;
      }
    }
    return total;
  }
  void learn(const Model& model, ServerState& state) const {
    for (std::size_t round = 0; round <= model.preset_rounds(); ++round) {
      const auto total = sums(model, purpose_of(round), state, [](const auto&, const auto&) {});
      const Status stepped = model.step(purpose_of(round), state, total, kUsers);
      ASSERT_TRUE(stepped.has_value()) << stepped.error().to_string();
    }
  }
  std::string_view family_;
  dataset::DataContract contract_;
  std::shared_ptr<const dataset::Catalogue> catalogue_;
  std::vector<std::vector<Observation>> training_;
  std::vector<std::vector<Observation>> held_out_;
};

// A group's largest norm, in sensitivities before rounding.
inline void expect_within_groups(const plan::UpdateLayout& layout, const ring::Contribution& c,
                                 const std::vector<plan::ClipGroup>& groups, std::vector<double>& largest) {
  std::size_t t = 0;
  std::size_t column = 0;
  std::size_t dense = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    double squares = 0;
    for (const std::size_t end = t + groups[g].tensors; t < end; ++t) {
      const auto& tensor = layout.tensors()[t];
      const auto add = [&](double x) {
        EXPECT_LE(std::abs(x), tensor.clip) << tensor.name;
        squares += std::pow(std::ldexp(x, tensor.scale_log2), 2);
      };
      for (std::size_t k = 0; k < tensor.columns; ++k) {
        if (!tensor.per_item) add(c.dense[dense + k]);
        for (std::size_t i = 0; tensor.per_item && i < c.items.size(); ++i) {
          add(c.rows[i * layout.row_width() + column + k]);
        }
      }
      (tensor.per_item ? column : dense) += tensor.columns;
    }
    const double norm = std::sqrt(squares) / groups[g].norm;
    EXPECT_LE(norm, 1 + 1e-9);
    largest[g] = std::max(largest[g], norm);
  }
}

}  // namespace chorus::model::testing_private
