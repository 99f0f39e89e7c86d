// The control of the twin: with features of the wrong items its gain is gone.
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include "common/dataset/reader.hpp"
#include "common/dataset/split.hpp"
#include "common/evaluation/rating_test.hpp"
#include "common/model/registry.hpp"
#include "simulations/support/seeded_random.hpp"
#include "simulations/world/population.hpp"
#include "simulations/world/training.hpp"

namespace chorus::sim {
namespace {

// Trains on a population whose items have this state's twin, from a fresh start of everything else.
class TwinRun {
 public:
  TwinRun(const model::Model& model, const evaluation::UserData& users) : model_(model), users_(users) {}

  void rounds(model::ServerState& state, int count) const {
    for (int round = 0; round < count; ++round) step(state, plan::Purpose::train);
  }
  void step(model::ServerState& state, plan::Purpose purpose) const {
    ring::RoundSum sum(model_.layout(purpose, model_.training_rounds(state.shared)));
    ring::EncodeCounts counts;
    for (std::uint32_t user = 0; user < users_.size(); ++user) {
      ring::Contribution contribution;
      model_.contribute(purpose, state.shared, users_[user], contribution);
      ASSERT_TRUE(sum.add(contribution, counts).has_value());
    }
    std::vector<std::vector<double>> numbers;
    for (std::size_t t = 0; t < sum.layout().tensors().size(); ++t) numbers.push_back(sum.numbers(t));
    ASSERT_TRUE(model_.step(purpose, state, numbers, sum.contributors()).has_value());
  }

 private:
  const model::Model& model_;
  const evaluation::UserData& users_;
};

TEST(TwinControl, FeaturesOfTheWrongItemsLoseTheGain) {
  const char* const sets = std::getenv("CHORUS_DATA");
  if (sets == nullptr) GTEST_SKIP() << "set CHORUS_DATA to a folder with ml-100k";
  const std::filesystem::path folder = std::filesystem::path(sets) / "ml-100k";
  if (!std::filesystem::exists(folder / "u1.base")) GTEST_SKIP() << folder << " has no u1.base";
  const auto data = dataset::read_ratings(folder / "u1.base", {}).value();
  const auto spec = dataset::SplitSpec::parse("test:" + (folder / "u1.test").string()).value();
  const auto split = dataset::make_split(data.ratings, spec, 1).value();
  const dataset::ByUser tests(split.test);
  const Population population(split.train);
  const model::ModelShape shape{.items = static_cast<std::uint32_t>(split.train.item_count()),
                                .contract = data.contract(),
                                .max_contributors = 512};
  const auto rmse = [&](const model::Model& model, const model::ServerState& state) {
    return evaluation::test_ratings(model, state.shared, population.data(), tests, 0, population.size()).value().rmse();
  };
  const auto alone = model::make_model("mf", {{"update", "vb"}, {"twin", "off"}}, shape).value();
  const auto model = model::make_model("mf", {{"update", "vb"}}, shape).value();

  model::ServerState without = alone->initial();
  const TwinRun run_alone(*alone, population.data());
  run_alone.step(without, plan::Purpose::survey);
  run_alone.rounds(without, 14);

  const TwinRun run(*model, population.data());
  model::ServerState learned = model->initial();
  run.step(learned, plan::Purpose::survey);
  run.rounds(learned, 6);
  // Everything but the twin starts anew; the training rounds stay, so that the twin learns no more.
  model::ServerState fresh = model->initial();
  for (const char* kept : {"scale", "popularity", "twin_factors", "twin_gram", "twin_scale"}) {
    *fresh.shared.find(kept) = *learned.shared.find(kept);
  }
  model::ServerState permuted = fresh;
  SeededRandom random(9);
  std::vector<std::uint32_t> place(shape.items);
  std::iota(place.begin(), place.end(), 0U);
  for (std::size_t k = 0; k < place.size(); ++k) std::swap(place[k], place[k + random.below(place.size() - k)]);
  model::Tensor& twin = *permuted.shared.find("twin_factors");
  for (std::size_t i = 0; i < place.size(); ++i) {
    for (std::size_t k = 0; k < twin.columns; ++k) {
      twin.values[place[i] * twin.columns + k] = fresh.shared.find("twin_factors")->values[i * twin.columns + k];
    }
  }
  run.rounds(fresh, 14);
  run.rounds(permuted, 14);

  const double gain = rmse(*alone, without) - rmse(*model, fresh);
  const double control = rmse(*alone, without) - rmse(*model, permuted);
  EXPECT_GT(gain, 0.02);
  EXPECT_LT(control, 0.3 * gain) << "gain " << gain << ", with the wrong items " << control;
}

}  // namespace
}  // namespace chorus::sim
