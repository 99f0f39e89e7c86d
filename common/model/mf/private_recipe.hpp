// The recipe's defaults for a privacy budget: which questions are asked, what each costs, and the constants of the
// answers' use. They were chosen on public film ratings with the budget against the readers of the model, and are
// shipped as fixed defaults: a search on private ratings would cost privacy itself. Values; stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace chorus::model::mf {

enum class Question : std::uint8_t {
  counts,     // how often each item is rated, weighted by who rates
  means,      // each item's mean residual
  taste,      // second moments of the users' factors: the prior of the tastes
  residuals,  // each item's residuals against the users' factors
};

struct Recipe {
  double mu = 0;          // the budget that it was made for
  std::size_t taste = 0;  // passes of each kind
  std::size_t residuals = 0;
  std::size_t rank = 0;     // d: directions of taste that residuals are asked for
  double weight_power = 0;  // a: an item's weight falls with its count to this power
  double count_share = 0;   // of μ²
  double mean_share = 0;
  double taste_share = 0;      // each
  double count_part = 0;       // α: of a mean's answer that goes to the count
  double mean_clip = 0;        // C1
  double taste_clip = 0;       // C_F
  double taste_rate = 0;       // η
  double taste_threshold = 0;  // nl: of the noise's spectrum
  double residual_clip = 0;    // C_Q
  double bias_emphasis = 0;    // s
  double emphasis_power = 0;   // of a direction's spread over the items
  double noise = 0;            // σ², in units of a quarter of the scale, squared
  double prior = 0;            // p0
  double excess = 0;           // exs
  double weight_noise = 0;     // κ
  double prior_widening = 0;   // ρ
};

// The recipes were made for so many people. Noise is the same for any crowd and a sum grows with it: so many times more
// people are like so many times the budget.
inline constexpr double kRecipePeople = 6040;
// The one made for the nearest budget; the widest for 0, which is without noise.
[[nodiscard]] const Recipe& recipe_for(double mu, double people) noexcept;

struct Step {
  Question question = Question::counts;
  double share = 0;  // of μ²; of residuals without their curvature
};
inline constexpr double kCurvatureShare = 0.005;  // of each question for residuals

// All questions in their order; the shares, with the curvature's, add up to 1.
[[nodiscard]] std::vector<Step> steps_of(const Recipe& recipe);

}  // namespace chorus::model::mf
