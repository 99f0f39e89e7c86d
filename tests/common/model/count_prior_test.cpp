// Counts under noise: the prior that explains them best pulls each to where it must have been.
#include "common/model/count_prior.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace chorus::model {
namespace {

TEST(CountPrior, WithoutNoiseCountsComeBack) {
  const std::vector<double> counts = {0, 1.5, 700};
  const Denoised found = denoise_counts(counts, 0);
  EXPECT_EQ(found.mean, counts);
  EXPECT_EQ(found.variance, std::vector<double>(3, 0));
}

TEST(CountPrior, HalvesTheErrorOfCountsThatAreFewOrMany) {
  // Nine in ten items are rare: a noisy count alone says little, all of them together say what is likely.
  std::mt19937_64 random(7);  // NOLINT(cert-msc51-cpp): a test repeats
  std::normal_distribution<double> noise(0, 5);
  std::vector<double> truth(2000);
  std::vector<double> observed(truth.size());
  for (std::size_t i = 0; i < truth.size(); ++i) {
    truth[i] = i % 10 == 0 ? 40.0 + static_cast<double>(i % 400) / 4 : static_cast<double>(i % 7);
    observed[i] = truth[i] + noise(random);
  }
  const Denoised found = denoise_counts(observed, 5);
  double before = 0;
  double after = 0;
  double said = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    before += std::pow(observed[i] - truth[i], 2);
    after += std::pow(found.mean[i] - truth[i], 2);
    said += found.variance[i];
    EXPECT_GE(found.mean[i], 0);
  }
  EXPECT_LT(after, 0.5 * before);
  EXPECT_NEAR(said / after, 1, 0.5) << "the posterior variance is the error that is left";
}

TEST(CountPrior, NothingObservedAndNegativeCountsAreDefined) {
  EXPECT_TRUE(denoise_counts({}, 1).mean.empty());
  const Denoised found = denoise_counts(std::vector<double>{-50, -40, -60}, 1);
  for (const double mean : found.mean) {
    EXPECT_TRUE(std::isfinite(mean));
    EXPECT_GE(mean, 0);
  }
}

}  // namespace
}  // namespace chorus::model
