// Generated people for the attacks: a long tail of items, so that some have one rater.
#pragma once

#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

inline AuditInput planted_input(std::uint32_t people = 200, std::uint32_t items = 500) {
  const auto planted =
      dataset::PlantedPopulation::create({.users = people, .items = items, .ratings_per_user = 30}).value();
  return {.ratings = planted.table(),
          .contract = planted.contract(),
          .catalogue = std::make_shared<const dataset::Catalogue>(planted.catalogue())};
}

class Audited : public ::testing::Test {
 protected:
  // A model that the cohort has trained for a round.
  Audited()
      : scene_(Scene::create(planted_input(), {.threads = 2}).value()),
        model_(scene_.plain_model().value()),
        published_(*model_, scene_.users(), Aggregation::plain, 2, 1) {
    EXPECT_TRUE(train(published_, *model_, scene_.cohort(), 1).has_value());
  }

  // Who holds; prints why not.
  static bool holds(const Finding& finding) {
    bool all = true;
    for (const Control& control : finding.controls) {
      all = all && control.holds;
      if (!control.holds) ADD_FAILURE() << finding.id << ": " << control.what << ": " << control.value;
    }
    return all;
  }

  Scene scene_;
  std::unique_ptr<model::Model> model_;
  Training published_;
};

}  // namespace chorus::sim::audit
