// Training under differential privacy in one process: the noise that is drawn once for all devices is the devices' own,
// and a run repeats.
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "common/model/registry.hpp"
#include "common/privacy/discrete_gaussian.hpp"
#include "simulations/support/seeded_random.hpp"
#include "simulations/world/replay.hpp"
#include "simulations/world/training_run.hpp"

namespace chorus::sim {
namespace {

// The two-sample Kolmogorov-Smirnov distance, of sorted samples.
double distance(std::vector<std::int32_t> a, std::vector<std::int32_t> b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  double most = 0;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const std::int32_t at = std::min(a[i], b[j]);
    while (i < a.size() && a[i] == at) ++i;
    while (j < b.size() && b[j] == at) ++j;
    most = std::max(most, std::abs(static_cast<double>(i) / static_cast<double>(a.size()) -
                                   static_cast<double>(j) / static_cast<double>(b.size())));
  }
  return most;
}

TEST(PrivateTraining, NoiseThatIsDrawnOnceHasTheLawOfTheDevicesOwn) {
  constexpr std::size_t kSamples = 20'000;
  for (const int devices : {1, 7, 50}) {
    for (const double sigma : {4.0, 21.5}) {
      SCOPED_TRACE(testing::Message() << devices << " devices, sigma " << sigma);
      SeededRandom random(static_cast<std::uint64_t>(devices));
      const auto own = privacy::DiscreteGaussian::create(sigma).value();
      std::vector<std::int32_t> sum(kSamples, 0);
      std::vector<std::int32_t> one(kSamples);
      for (int device = 0; device < devices; ++device) {
        own.fill(one, random);
        for (std::size_t k = 0; k < kSamples; ++k) sum[k] += one[k];
      }
      privacy::DiscreteGaussian::create(sigma * std::sqrt(static_cast<double>(devices))).value().fill(one, random);
      // 1.95 √(2/n): one in a thousand equal laws is farther apart.
      EXPECT_LT(distance(sum, one), 1.95 * std::sqrt(2.0 / kSamples));
      // Control: a twentieth more is seen.
      privacy::DiscreteGaussian::create(1.1 * sigma * std::sqrt(static_cast<double>(devices)))
          .value()
          .fill(one, random);
      EXPECT_GT(distance(sum, one), 1.95 * std::sqrt(2.0 / kSamples));
    }
  }
}

class PrivateRun : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kUsers = 400;
  static constexpr std::uint32_t kItems = 60;
  PrivateRun()
      : planted_(
            dataset::PlantedPopulation::create({.users = kUsers, .items = kItems, .ratings_per_user = 20}).value()),
        users_(planted_.table()) {
    std::iota(everybody_.begin(), everybody_.end(), 0U);
  }
  std::unique_ptr<model::Model> make(const char* mu) const {
    return model::make_model(
               "mf", {{"update", "dp"}, {"mu", mu}},
               {.items = kItems, .contract = planted_.contract(), .max_contributors = 400, .catalogue = nullptr})
        .value();
  }
  Digest trained(const model::Model& model, Aggregation aggregation, unsigned threads, std::uint64_t seed) const {
    Training training(model, users_, aggregation, threads, seed);
    for (std::uint32_t round = 0; round <= model.preset_rounds(); ++round) {
      const auto made = training.round(round == 0 ? plan::Purpose::survey : plan::Purpose::train, everybody_);
      EXPECT_TRUE(made.has_value()) << made.error().to_string();
    }
    return training.digest();
  }
  dataset::PlantedPopulation planted_;
  evaluation::UserData users_;
  std::vector<std::uint32_t> everybody_ = std::vector<std::uint32_t>(kUsers);
};

TEST_F(PrivateRun, IsTheSameForEverySeedAndOnAnyNumberOfThreadsButNotForAnotherSeed) {
  const auto model = make("1.8481");
  const Digest one = trained(*model, Aggregation::plain, 1, 1);
  EXPECT_EQ(one, trained(*model, Aggregation::plain, 2, 1));
  EXPECT_NE(one, trained(*model, Aggregation::plain, 2, 2)) << "other noise";
}

TEST_F(PrivateRun, DevicesNoiseInTheirMaskedSumsKeepsTheModelNearTheOneWithoutNoise) {
  // A wide budget, so that what is compared is the encoding and not the luck of the noise.
  const auto noisy = make("400");
  const auto exact = make("0");
  const auto counts = [&](const model::Model& model, Aggregation aggregation) {
    Training training(model, users_, aggregation, 2, 3);
    const auto made = training.round(plan::Purpose::survey, std::span(everybody_).first(80));
    EXPECT_TRUE(made.has_value()) << made.error().to_string();
    return training.state().shared.find("popularity")->values;
  };
  const auto wanted = counts(*exact, Aggregation::plain);
  const auto masked = counts(*noisy, Aggregation::masked);
  const auto plain = counts(*noisy, Aggregation::plain);
  double differ = 0;
  for (std::size_t i = 0; i < kItems; ++i) {
    EXPECT_NEAR(masked[i], wanted[i], 0.05 + 0.05 * wanted[i]);
    EXPECT_NEAR(plain[i], wanted[i], 0.05 + 0.05 * wanted[i]);
    differ += std::abs(masked[i] - wanted[i]);
  }
  EXPECT_GT(differ, 0) << "there is noise";
}

TEST_F(PrivateRun, ReportsWhatWasSpentAgainstReadersAndAgainstTheCoordinator) {
  const auto model = make("1.8481");
  const Population population(planted_.table());
  std::vector<RoundReport> rounds;
  TrainingOptions options{.rounds = model->preset_rounds(), .cohort_size = 100, .delta = 1e-6};
  const dataset::RatingTable none{};
  ASSERT_TRUE(
      run_training(*model, population, none, options, [&](const RoundReport& r) { rounds.push_back(r); }).has_value());
  ASSERT_TRUE(rounds.back().spent.has_value());
  EXPECT_NEAR(rounds.back().spent->epsilon_readers, 10, 1e-3);
  // Four cohorts: each sum holds a quarter of the noise's variance.
  EXPECT_GT(rounds.back().spent->epsilon_coordinator, 2 * rounds.back().spent->epsilon_readers);
  for (std::size_t r = 1; r < rounds.size(); ++r) {
    EXPECT_GT(rounds[r].spent->epsilon_readers, rounds[r - 1].spent->epsilon_readers);
  }
}

TEST_F(PrivateRun, IsRepeatedFromTheSumsThatItReleasedAndNotFromOthers) {
  const auto model = make("1.8481");
  const Population population(planted_.table());
  const TraceOfTraining traced(*model, population);
  std::string trace = traced.header("town");
  const dataset::RatingTable none{};
  const TrainingOptions options{.rounds = 3, .cohort_size = 400, .delta = 1e-6};
  ASSERT_TRUE(run_training(*model, population, none, options, [&](const RoundReport& r) {
                trace += traced.line(r);
              }).has_value());
  const auto repeated = replay(trace, population, {}, 2);
  ASSERT_TRUE(repeated.has_value()) << repeated.error().to_string();
  EXPECT_EQ(repeated->versions, 5U);

  const auto refusal = [&](std::string_view from, std::string_view to) {
    std::string changed = trace;
    const std::size_t at = changed.find(from);
    changed.replace(at, from.size(), to);
    const auto result = replay(changed, population, {}, 2);
    return result ? ErrorCode::aborted : result.error().code();
  };
  EXPECT_EQ(refusal("\"sum\":[", "\"sum\":[9"), ErrorCode::corrupt) << "another number";
  EXPECT_EQ(refusal("\"sum\":[", "\"sum\":[9,"), ErrorCode::malformed) << "one number more";
  EXPECT_EQ(refusal("\"contributors\":400", "\"contributors\":399"), ErrorCode::malformed);
}

}  // namespace
}  // namespace chorus::sim
