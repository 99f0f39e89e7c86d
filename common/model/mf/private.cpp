// Settings, questions with their layouts and noise, and shared tensors: what coordinator and device agree on.
#include "common/model/mf/private.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/expected_tensors.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::mf {
namespace {

// Of the roster: what the noise is sized for when a cohort loses members and some of the others lie (δ = .15, γ = .05).
constexpr double kHonest = 0.8;

const std::vector<SettingDescription>& descriptions() {
  static const std::vector<SettingDescription> all = {
      {"update", "dp", "what devices upload and how the coordinator steps: dp is private, the others are not"},
      {"mu", "1.848",
       "the privacy budget of all rounds together as Gaussian privacy, a user's whole data; 0: no noise"},
      {"people", "6040", "about how many take part: the more, the finer the questions"},
      {"against", "readers", "whom the budget is against: readers of the model, or the coordinator, who sees more"},
      {"cohort", "512", "members of one secure sum; the more, the less noise against the coordinator"},
      {"features", "on", "on: learn from the catalogue's genres, years and titles"},
      {"clip", "auto", "norm of a person's residuals"},
  };
  return all;
}

constexpr std::string_view kUpdates[] = {"dp"};
constexpr std::string_view kAgainst[] = {"readers", "coordinator"};
constexpr std::string_view kSwitch[] = {"on", "off"};

std::size_t triangle(std::size_t n) {
  return n * (n + 1) / 2;
}

}  // namespace

Result<std::unique_ptr<Model>> Private::make(const Settings& given, const ModelShape& shape) {
  SettingsReader reader("mf", descriptions(), given);
  Options options;
  PrivateQuestions::Terms terms;
  static_cast<void>(reader.choice("update", kUpdates));
  terms.mu = reader.number("mu", 0, 1e3);
  const double people = reader.number("people", 1, 1e12);
  terms.per_cohort = reader.choice("against", kAgainst) == kAgainst[1];
  terms.cohort = static_cast<std::uint32_t>(reader.integer("cohort", 1, 1'000'000));
  options.features = reader.choice("features", kSwitch) == "on";
  const std::optional<double> clip = reader.number_or_auto("clip", 1e-3, 1e3);
  CHORUS_TRY(Settings settings, std::move(reader).finish());
  CHORUS_TRY_DO(check_shape("mf", dataset::Feedback::ratings, shape));

  Recipe recipe = recipe_for(terms.mu, people);
  if (clip) recipe.residual_clip = *clip;
  PrivateQuestions questions(shape, terms);
  for (const Step& step : steps_of(recipe)) {
    const bool residuals = step.question == Question::residuals;
    const double z = questions.multiplier(step.share + (residuals ? kCurvatureShare : 0));
    std::vector<plan::TensorLayout> tensors;
    std::vector<plan::ClipGroup> groups;
    const auto group = [&](double norm, int scale, std::size_t count) {
      groups.push_back({.tensors = count, .norm = std::ldexp(norm, scale)});
    };
    switch (step.question) {
      case Question::counts: {
        const int scale = questions.scale_for(1, 1.1, z);
        tensors.push_back(noisy_tensor("share", shape.items, 1, true, 1, scale));
        tensors.push_back(noisy_tensor("devices", 1, 1, false, kDeviceMark, scale));
        group(std::sqrt(1 + kDeviceMark * kDeviceMark), scale, 2);
        break;
      }
      case Question::means: {
        const int scale = questions.scale_for(1, 1, z);
        tensors.push_back(noisy_tensor("means", shape.items, 2, true, 1, scale));
        group(1, scale, 1);
        break;
      }
      case Question::taste: {
        const int scale = questions.scale_for(recipe.taste_clip, recipe.taste_clip, z);
        tensors.push_back(noisy_tensor("taste", 1, triangle(kPrivateFeatures), false, recipe.taste_clip, scale));
        group(recipe.taste_clip, scale, 1);
        break;
      }
      case Question::residuals: {
        const double clip_of_curvature = curvature_clip(recipe);
        const int scale = questions.scale_for(recipe.residual_clip, recipe.residual_clip, z);
        // The curvature's scale gives it about its small share: shares are as the squares of Δ in ring units.
        const double wanted =
            recipe.residual_clip / clip_of_curvature * std::sqrt(kCurvatureShare / step.share) * std::ldexp(1, scale);
        int coarse = scale;
        while (std::ldexp(1, coarse) > wanted * 1.42 && coarse > -8) --coarse;
        tensors.push_back(noisy_tensor("residuals", shape.items, recipe.rank + 1, true, recipe.residual_clip, scale));
        tensors.push_back(noisy_tensor("curvature", 1, triangle(recipe.rank + 1), false, clip_of_curvature, coarse));
        group(recipe.residual_clip, scale, 1);
        group(clip_of_curvature, coarse, 1);
        break;
      }
    }
    CHORUS_TRY_DO(questions.ask(std::move(tensors), std::move(groups), z));
  }
  return std::unique_ptr<Model>(new Private(std::move(settings), options, recipe, shape, std::move(questions)));
}

Private::Private(Settings settings, const Options& options, const Recipe& recipe, const ModelShape& shape,
                 PrivateQuestions questions)
    : settings_(std::move(settings)),
      options_(options),
      recipe_(recipe),
      shape_(shape),
      steps_(steps_of(recipe)),
      questions_(std::move(questions)) {}

plan::UpdateLayout Private::layout(plan::Purpose purpose, std::uint64_t training_rounds) const {
  return questions_.layout(purpose, training_rounds);
}

std::optional<PrivateQuestion> Private::privacy(plan::Purpose purpose, std::uint64_t training_rounds) const {
  return questions_.privacy(purpose, training_rounds);
}

Status Private::check_shared(const TensorSet& shared) const {
  const ExpectedTensor expected[] = {{"item_factors", shape_.items, static_cast<std::uint32_t>(kPrivateFeatures + 1)},
                                     {"scale", 1, 3},
                                     {"popularity", shape_.items, 1, false},
                                     {"weight", shape_.items, 1, false},
                                     {"uncertainty", shape_.items, 1, false},
                                     {"emphasis", 1, static_cast<std::uint32_t>(recipe_.rank + 1), false}};
  CHORUS_TRY_DO(check_tensors("mf", shared, expected));
  const std::vector<float>& scale = shared.tensors[private_tensor::kScale].values;
  if (!(scale[1] > 0) || scale[2] < 0) {
    return fail(ErrorCode::wrong_model, "the shared tensor 'scale' needs a unit above zero and a number of rounds");
  }
  for (const std::size_t t : {private_tensor::kWeight, private_tensor::kUncertainty, private_tensor::kEmphasis}) {
    const Tensor& tensor = shared.tensors[t];
    const auto zero = std::ranges::find_if(tensor.values, [](float x) { return !(x > 0); });
    if (zero == tensor.values.end()) continue;
    return fail(ErrorCode::wrong_model, fmt::format("the shared tensor '{}' needs numbers above zero", tensor.name),
                fmt::format("row {}", zero - tensor.values.begin()));
  }
  return {};
}

std::uint64_t Private::training_rounds(const TensorSet& shared) const noexcept {
  return static_cast<std::uint64_t>(shared.tensors[private_tensor::kScale].values[2]);
}

std::span<const float> Private::popularity(const TensorSet& shared) const noexcept {
  if (training_rounds(shared) == 0) return {};
  return shared.tensors[private_tensor::kPopularity].values;
}

Quality Private::quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const {
  return PrivateQuestions::quality(purpose, sums);
}

}  // namespace chorus::model::mf
