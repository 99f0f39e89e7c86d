// A trained model of a generated population, and the store of one of its devices.
#pragma once

#include <memory>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/recommend/recommender.hpp"
#include "client/store/store.hpp"
#include "common/crypto/hash.hpp"
#include "common/dataset/planted.hpp"
#include "common/evaluation/user_data.hpp"
#include "common/model/registry.hpp"
#include "common/protocol/job_description.hpp"
#include "simulations/world/training.hpp"

namespace chorus::client {

class TrainedTown : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kUsers = 80;
  static constexpr std::uint32_t kItems = 90;

  TrainedTown() {
    dataset::PlantedOptions options;
    options.users = kUsers;
    options.items = kItems;
    options.ratings_per_user = 20;
    const auto population = dataset::PlantedPopulation::create(options).value();
    table_ = population.table();
    catalogue_ = population.catalogue();
    job_ = {.name = "town", .family = "mf", .settings = {}, .contract = population.contract(), .max_contributors = 512};
    job_.settings =
        model::make_model("mf", {{"lambda", "5"}, {"trial", "off"}}, {.items = kItems, .contract = job_.contract})
            .value()
            ->settings();
    model_ = job_.make_model(kItems).value();
    const evaluation::UserData users(table_);
    sim::Training training(*model_, users, sim::Aggregation::floating, 1);
    std::vector<std::uint32_t> everybody(kUsers);
    std::iota(everybody.begin(), everybody.end(), 0U);
    untrained_ = training.state().shared;
    EXPECT_TRUE(training.round(plan::Purpose::survey, everybody));
    for (int round = 0; round < 4; ++round) EXPECT_TRUE(training.round(plan::Purpose::train, everybody));
    trained_ = training.state().shared;
  }

  [[nodiscard]] StoredRatings ratings_of(std::uint32_t user) const {
    StoredRatings rows;
    for (const dataset::Entry& entry : table_.entries) {
      if (entry.user != user) continue;
      rows.push_back({.item = SecretText((*table_.items)[entry.item]), .value = double{entry.value}});
    }
    return rows;
  }

  // A store that was synced, with these ratings in it.
  [[nodiscard]] std::unique_ptr<Store> store_with(const StoredRatings& ratings, const model::TensorSet& shared,
                                                  std::uint32_t items = kItems) const {
    auto store = open_memory_store().value();
    EXPECT_TRUE(store->put_ratings(ratings));
    EXPECT_TRUE(store->join({}, {.document = job_.encode(), .signature = {}}));
    EXPECT_TRUE(store->put_catalogue({.header = {}, .bytes = catalogue_.encode()}));
    const Bytes tensors = shared.encode();
    protocol::ModelHeader header;
    header.job = job_.id();
    header.size = tensors.size();
    header.tensors = crypto::sha256(tensors);
    EXPECT_TRUE(store->put_model(
        {.header = {.document = header.encode(), .signature = {}}, .items = items, .tensors = tensors}));
    return store;
  }
  [[nodiscard]] Recommender recommender_of(std::uint32_t user) const {
    const auto store = store_with(ratings_of(user), trained_);
    return Recommender::of(*store).value();
  }

  dataset::RatingTable table_;
  dataset::Catalogue catalogue_;
  protocol::JobDescription job_;
  std::unique_ptr<model::Model> model_;
  model::TensorSet untrained_;
  model::TensorSet trained_;
};

}  // namespace chorus::client
