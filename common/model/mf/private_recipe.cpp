#include "common/model/mf/private_recipe.hpp"

#include <algorithm>
#include <iterator>

namespace chorus::model::mf {
namespace {

constexpr Recipe recipe(double mu, std::size_t residuals, double count_share, double mean_share, double taste_share) {
  return {.mu = mu,
          .taste = 2,
          .residuals = residuals,
          .rank = 6,
          .weight_power = 0.15,
          .count_share = count_share,
          .mean_share = mean_share,
          .taste_share = taste_share,
          .count_part = 0.5,
          .mean_clip = 1.2,
          .taste_clip = 16,
          .taste_rate = 3,
          .taste_threshold = 0.5,
          .residual_clip = 1.2,
          .bias_emphasis = 1,
          .emphasis_power = 0,
          .noise = 0.66,
          .prior = 0.13,
          .excess = 1,
          .weight_noise = 0.04,
          .prior_widening = 2};
}

constexpr Recipe wide() {
  Recipe r = recipe(3.2354, 5, 0.08, 0.15, 0.04);
  r.taste_threshold = 0.2;
  return r;
}
// Of crowds so large that the noise is nearly nothing: more directions.
constexpr Recipe widest() {
  Recipe r = recipe(30, 5, 0.08, 0.15, 0.04);
  r.taste_threshold = 0.2;
  r.rank = 12;
  return r;
}
constexpr Recipe middle() {
  Recipe r = recipe(1.0204, 4, 0.08, 0.15, 0.04);
  r.count_part = 0.3;
  r.mean_clip = 1;
  r.taste_clip = 12;
  r.bias_emphasis = 1.4;
  r.prior_widening = 1;
  return r;
}
constexpr Recipe narrow(double mu, double taste_share, double count_part, double rate) {
  Recipe r = recipe(mu, 4, 0.12, 0.28, taste_share);
  r.rank = 3;
  r.weight_power = 0.25;
  r.count_part = count_part;
  r.mean_clip = 1;
  r.taste_clip = 8;
  r.taste_rate = rate;
  r.residual_clip = 0.5;
  r.bias_emphasis = 2.8;
  r.emphasis_power = 0.75;
  r.noise = 0.72;
  r.prior = 0.08;
  r.excess = 0.5;
  r.weight_noise = 0.06;
  r.prior_widening = 0.5;
  return r;
}

// For ε = 1, 2, 5, 10 and 20 at δ = 1e-6.
constexpr Recipe kRecipes[] = {narrow(0.2367, 0.02, 0.4, 1.5),
                               narrow(0.4483, 0.03, 0.3, 2),
                               middle(),
                               recipe(1.8481, 5, 0.12, 0.15, 0.04),
                               wide(),
                               widest()};
// Later passes know more and ask more.
constexpr double kGrowth = 1.5;

}  // namespace

const Recipe& recipe_for(double mu, double people) noexcept {
  if (!(mu > 0)) return *std::rbegin(kRecipes);
  const double like = mu * people / kRecipePeople;
  return *std::ranges::min_element(kRecipes, {},
                                   [like](const Recipe& r) { return std::max(like / r.mu, r.mu / like); });
}

std::vector<Step> steps_of(const Recipe& r) {
  std::vector<Step> steps = {{Question::counts, r.count_share}, {Question::means, r.mean_share}};
  for (std::size_t k = 0; k < r.taste; ++k) steps.push_back({Question::taste, r.taste_share});
  const auto passes = static_cast<double>(r.residuals);
  double left = 1 - r.count_share - r.mean_share - r.taste_share * static_cast<double>(r.taste);
  left -= kCurvatureShare * passes;
  double sum = 0;
  double weight = 1;
  for (std::size_t k = 0; k < r.residuals; ++k, weight *= kGrowth) sum += weight;
  weight = 1;
  for (std::size_t k = 0; k < r.residuals; ++k, weight *= kGrowth) {
    steps.push_back({Question::residuals, left * weight / sum});
  }
  return steps;
}

}  // namespace chorus::model::mf
