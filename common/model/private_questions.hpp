// The questions of a model with differential privacy: their layouts, how far a person moves each, and the noise that
// hides that (design: privacy, section 2). A survey asks the first, training rounds the others in turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/model/model.hpp"
#include "common/plan/update_layout.hpp"

namespace chorus::model {

// Of the roster: what the noise is sized for when a cohort loses members and some of the others lie (δ = .15, γ = .05).
inline constexpr double kHonest = 0.8;

// n c s + 6 σ s √n ≤ 2^(bits − 2), the rest of the ring's half for rounding, for numbers of at most `clip` of
// `contributors` whose noise has the standard deviation `noise` a sum.
[[nodiscard]] int noisy_scale(int bits, double clip, double noise, std::uint32_t contributors) noexcept;

// One limb: a high one would multiply the noise. The clip becomes a whole number of ring units.
[[nodiscard]] plan::TensorLayout noisy_tensor(std::string name, std::uint32_t rows, std::size_t columns, bool per_item,
                                              double clip, int scale_log2);

// One question with its layout and its noise.
struct AskedQuestion {
  std::size_t number = 0;  // from 0, the survey's
  plan::UpdateLayout layout;
  PrivateQuestion privacy;  // the multiplier is 0 without a budget
  double sensitivity = 0;   // Δ of the whole contribution, in ring units
};

// Not thread-safe while questions are added; immutable afterwards.
class PrivateQuestions {
 public:
  // The budget of all questions together.
  struct Terms {
    double mu = 0;             // as Gaussian privacy; 0: no noise
    bool per_cohort = false;   // against the coordinator, who sees every cohort's sum
    std::uint32_t cohort = 0;  // members of one
  };
  static constexpr int kBits = 24;  // of a ring coordinate

  PrivateQuestions(const ModelShape& shape, const Terms& terms);

  // z of a question that spends this share of μ²; 0 without a budget.
  [[nodiscard]] double multiplier(double share) const noexcept;
  // The finest scale for numbers of at most `clip` in a question of this sensitivity and multiplier.
  [[nodiscard]] int scale_for(double clip, double sensitivity, double multiplier) const noexcept;
  // The next question. Errors: those of plan::UpdateLayout::create.
  [[nodiscard]] Status ask(std::vector<plan::TensorLayout> tensors, std::vector<plan::ClipGroup> groups,
                           double multiplier);

  [[nodiscard]] std::size_t size() const noexcept { return asked_.size(); }
  // The question of a round; nothing for measuring, or after the last.
  [[nodiscard]] const AskedQuestion* of(plan::Purpose purpose, std::uint64_t training_rounds) const noexcept;
  // Of the round's question; where there is none, of a round that counts the devices and no more.
  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const;
  // As Model::privacy().
  [[nodiscard]] std::optional<PrivateQuestion> privacy(plan::Purpose purpose, std::uint64_t training_rounds) const;
  // As Model::quality(): metrics would cost privacy, so the devices are all there is.
  [[nodiscard]] static Quality quality(plan::Purpose purpose, std::span<const std::vector<double>> sums);
  // The standard deviation of the noise in a number of tensor t of a round's sum over so many contributors.
  [[nodiscard]] double deviation(const AskedQuestion& asked, std::size_t t, std::uint64_t contributors) const noexcept;
  // The error of a step beyond the last question: budget_exhausted.
  [[nodiscard]] std::unexpected<Error> all_asked() const;

 private:
  ModelShape shape_;
  Terms terms_;
  std::vector<AskedQuestion> asked_;
};

}  // namespace chorus::model
