// Settings, layouts and shared tensors: what coordinator and device agree on.
#include "common/model/svd/svd.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/model/expected_tensors.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::svd {
namespace {

// Clips of an upload, in standardised ratings. |t_u| is at most the length of x̃_u, the root of a person's number of
// ratings times a few units: 124 is out of reach of people with a thousand ratings. At 24 bits and 512 contributors (a
// coordinate is below 2^14) a product has 124·2^7 = 15,872 at its clip; its rounding error is small beside the sums,
// e_k times an entry of a column of length one.
constexpr double kProductClip = 124;
constexpr double kResidualClip = 15.5;  // a scale of few distinct ratings can span more deviations than most
constexpr double kImputedClip = 124.0 * 124.0;
constexpr double kSpreadClip = 8;  // x², a rating
constexpr std::uint32_t kMaxRank = 127;
constexpr int kCoarsestProduct = 2;

// Scale-free: ratings are standardised, and the spectrum says how much to shrink.
const std::vector<SettingDescription>& descriptions() {
  static const std::vector<SettingDescription> all = {
      {"rank", "16", "singular vectors"},
      {"lambda_bias", "5", "ridge of the biases, in ratings"},
      {"rounds", "16", "passes over the matrix"},
      {"seed", "1", "seed of the initial subspace"},
      {"bits", "24", "bits of an uploaded number: 24 or 32"},
  };
  return all;
}

constexpr std::string_view kBits[] = {"24", "32"};

}  // namespace

Family family() {
  return {.name = "svd", .settings = descriptions(), .make = &Svd::make};
}

Result<std::unique_ptr<Model>> Svd::make(const Settings& given, const ModelShape& shape) {
  SettingsReader reader("svd", descriptions(), given);
  Parameters parameters;
  parameters.rank = static_cast<std::uint32_t>(reader.integer("rank", 1, kMaxRank));
  parameters.lambda_bias = reader.number("lambda_bias", 1e-3, 1e6);
  parameters.rounds = static_cast<std::uint32_t>(reader.integer("rounds", 1, 100'000));
  parameters.seed = reader.integer("seed", 0, ~std::uint64_t{0});
  parameters.bits = reader.choice("bits", kBits) == kBits[0] ? 24 : 32;
  CHORUS_TRY(Settings settings, std::move(reader).finish());

  CHORUS_TRY_DO(check_shape("svd", dataset::Feedback::ratings, shape));

  const auto cap = static_cast<double>(shape.contract.max_items_per_user);
  const std::size_t d = parameters.rank;
  LayoutMaker survey(shape, parameters.bits);
  survey.per_item("ratings", 1, 1, 1);
  survey.per_item("counts", 1, 1, 1, LayoutMaker::Numbers::whole);
  survey.once("moments", moment::kSize, 2, cap);
  LayoutMaker train(shape, parameters.bits);
  train.per_item("residuals", 1, 1, kResidualClip);
  train.per_item("counts", 1, 1, 1, LayoutMaker::Numbers::whole);
  train.per_item("product", d, 1, kProductClip);
  train.once("imputed", d * d, 2, kImputedClip);
  train.once("spread", 1, 2, kSpreadClip * cap);
  train.once("metrics", metric::kSize, 2, cap);
  LayoutMaker measure(shape, parameters.bits);
  measure.once("metrics", metric::kSize, 2, cap);
  CHORUS_TRY(plan::UpdateLayout survey_layout, std::move(survey).make());
  CHORUS_TRY(plan::UpdateLayout train_layout, std::move(train).make());
  CHORUS_TRY(plan::UpdateLayout measure_layout, std::move(measure).make());
  // Counts travel in the same tensors as the sums that they belong to: whole numbers need a scale of at least one.
  if (train_layout.tensors()[tensor::kProduct].scale_log2 < kCoarsestProduct ||
      measure_layout.tensors()[tensor::kMeasureMetrics].scale_log2 < 0) {
    return too_few_bits(parameters.bits, shape);
  }
  return std::unique_ptr<Model>(
      new Svd(std::move(settings), parameters, shape,
              {std::move(survey_layout), std::move(train_layout), std::move(measure_layout)}));
}

Svd::Svd(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts)
    : settings_(std::move(settings)), parameters_(parameters), shape_(shape), layouts_(std::move(layouts)) {}

plan::UpdateLayout Svd::layout(plan::Purpose purpose, std::uint64_t /*training_rounds*/) const {
  return layouts_.of(purpose);
}

Status Svd::check_shared(const TensorSet& shared) const {
  const auto d = static_cast<std::uint32_t>(dimension());
  const ExpectedTensor expected[] = {{"item_factors", shape_.items, d},
                                     {"item_biases", shape_.items, 1},
                                     {"weights", 1, d},
                                     {"scale", 1, 3},
                                     {"popularity", shape_.items, 1, false}};
  CHORUS_TRY_DO(check_tensors("svd", shared, expected));
  const std::vector<float>& scale = shared.tensors[shared_tensor::kScale].values;
  if (!(scale[1] > 0) || scale[2] < 0) {
    return fail(ErrorCode::wrong_model,
                "the shared tensor 'scale' needs a deviation above zero and a number of rounds");
  }
  if (std::ranges::any_of(shared.tensors[shared_tensor::kWeights].values, [](float x) { return !(x > 0); })) {
    return fail(ErrorCode::wrong_model, "the shared tensor 'weights' needs numbers above zero");
  }
  return {};
}

Svd::Shared Svd::view(const TensorSet& shared) const noexcept {
  const std::vector<float>& scale = shared.tensors[shared_tensor::kScale].values;
  return {.factors = shared.tensors[shared_tensor::kFactors].values.data(),
          .biases = shared.tensors[shared_tensor::kBiases].values.data(),
          .weights = shared.tensors[shared_tensor::kWeights].values.data(),
          .mean = double{scale[0]},
          .deviation = double{scale[1]},
          .trained = scale[2] > 0};
}

std::uint64_t Svd::training_rounds(const TensorSet& shared) const noexcept {
  return static_cast<std::uint64_t>(shared.tensors[shared_tensor::kScale].values[2]);
}

std::span<const float> Svd::popularity(const TensorSet& shared) const noexcept {
  if (training_rounds(shared) == 0) return {};
  return shared.tensors[shared_tensor::kPopularity].values;
}

}  // namespace chorus::model::svd
