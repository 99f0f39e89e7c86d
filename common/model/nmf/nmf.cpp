// Settings, layouts and shared tensors: what coordinator and device agree on.
#include "common/model/nmf/nmf.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/model/expected_tensors.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::nmf {
namespace {

// Clips of an upload, in scaled ratings. A scaled mean is at most 8, so a factor's square is about 8/d, and a residual
// is a few units. At 24 bits and 512 contributors (a coordinate is below 2^14) the gradient has 15.5·2^10 = 15,872 at
// its clip, the energy 31·2^9; sums that grow with a person's ratings travel in two limbs.
constexpr double kGradientClip = 15.5;
constexpr double kEnergyClip = 31;
constexpr double kFactorClip = 16;
constexpr double kLeastUnit = 1.0 / 8;  // of the mean
constexpr std::uint32_t kMaxRank = 127;
// Coarser than this a gradient would be noise: 1/16 of a deviation.
constexpr int kCoarsestGradient = 4;

// Scale-free: ratings are in units of their deviation.
const std::vector<SettingDescription>& descriptions() {
  static const std::vector<SettingDescription> all = {
      {"rank", "16", "numbers of a factor"},
      {"lambda", "7", "ridge towards the mean factor, in ratings"},
      {"noise", "0.6", "variance of a rating around its prediction, in squared deviations of all ratings"},
      {"rate", "1", "share of a step that a round takes"},
      {"rounds", "16", "training rounds of the preset"},
      {"seed", "1", "seed of the initial item factors"},
      {"initial_spread", "0.4", "standard deviation of the initial item factors, in units of their mean"},
      {"bits", "24", "bits of an uploaded number: 24 or 32"},
  };
  return all;
}

constexpr std::string_view kBits[] = {"24", "32"};

}  // namespace

Family family() {
  return {.name = "nmf", .settings = descriptions(), .make = &Nmf::make};
}

Result<std::unique_ptr<Model>> Nmf::make(const Settings& given, const ModelShape& shape) {
  SettingsReader reader("nmf", descriptions(), given);
  Parameters parameters;
  parameters.rank = static_cast<std::uint32_t>(reader.integer("rank", 1, kMaxRank));
  parameters.lambda = reader.number("lambda", 1e-3, 1e6);
  parameters.noise = reader.number("noise", 0, 1e3);
  parameters.rate = reader.number("rate", 1e-3, 1);
  parameters.rounds = static_cast<std::uint32_t>(reader.integer("rounds", 1, 100'000));
  parameters.seed = reader.integer("seed", 0, ~std::uint64_t{0});
  parameters.initial_spread = reader.number("initial_spread", 0, 1);
  parameters.bits = reader.choice("bits", kBits) == kBits[0] ? 24 : 32;
  CHORUS_TRY(Settings settings, std::move(reader).finish());

  CHORUS_TRY_DO(check_shape("nmf", dataset::Feedback::ratings, shape));

  const auto cap = static_cast<double>(shape.contract.max_items_per_user);
  const std::size_t d = parameters.rank;
  LayoutMaker survey(shape, parameters.bits);
  survey.once("moments", moment::kSize, 2, cap);
  LayoutMaker train(shape, parameters.bits);
  train.per_item("gradient", d, 1, kGradientClip);
  train.per_item("energy", d, 1, kEnergyClip);
  train.per_item("count", 1, 1, 1, LayoutMaker::Numbers::whole);
  train.once("curvature", d * (d + 1) / 2, 2, kEnergyClip * cap);
  train.once("weight", 1, 2, cap, LayoutMaker::Numbers::whole);
  train.once("factors", d, 2, kFactorClip);
  train.once("metrics", metric::kSize, 2, cap);
  LayoutMaker measure(shape, parameters.bits);
  measure.once("metrics", metric::kSize, 2, cap);
  CHORUS_TRY(plan::UpdateLayout survey_layout, std::move(survey).make());
  CHORUS_TRY(plan::UpdateLayout train_layout, std::move(train).make());
  CHORUS_TRY(plan::UpdateLayout measure_layout, std::move(measure).make());
  // Counts travel in the same tensors as the sums that they belong to: whole numbers need a scale of at least one.
  if (train_layout.tensors()[tensor::kGradient].scale_log2 < kCoarsestGradient ||
      measure_layout.tensors()[tensor::kMeasureMetrics].scale_log2 < 0) {
    return too_few_bits(parameters.bits, shape);
  }
  return std::unique_ptr<Model>(
      new Nmf(std::move(settings), parameters, shape,
              {std::move(survey_layout), std::move(train_layout), std::move(measure_layout)}));
}

Nmf::Nmf(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts)
    : settings_(std::move(settings)), parameters_(parameters), shape_(shape), layouts_(std::move(layouts)) {}

plan::UpdateLayout Nmf::layout(plan::Purpose purpose, std::uint64_t /*training_rounds*/) const {
  return layouts_.of(purpose);
}

Status Nmf::check_shared(const TensorSet& shared) const {
  const auto d = static_cast<std::uint32_t>(dimension());
  const ExpectedTensor expected[] = {{"item_factors", shape_.items, d, false},
                                     {"item_variances", shape_.items, d, false},
                                     {"means", 2, d, false},
                                     {"scale", 1, 3},
                                     {"popularity", shape_.items, 1, false}};
  CHORUS_TRY_DO(check_tensors("nmf", shared, expected));
  const std::vector<float>& scale = shared.tensors[shared_tensor::kScale].values;
  if (double{scale[0]} < origin() || !(scale[1] > 0) || scale[2] < 0) {
    return fail(ErrorCode::wrong_model,
                "the shared tensor 'scale' needs a mean on the scale, a deviation above zero and a number of rounds");
  }
  return {};
}

double Nmf::origin() const noexcept {
  return std::min(0.0, double{shape_.contract.minimum});
}

double Nmf::unit_of(double mean, double deviation) const noexcept {
  return std::max(deviation, kLeastUnit * (mean - origin()));
}

double Nmf::level_of(double mean, double deviation) const noexcept {
  // A mean of zero says nothing about the next rating: factors need to be above zero to learn.
  const double scaled = std::max((mean - origin()) / unit_of(mean, deviation), kLeastUnit);
  return std::sqrt(scaled / static_cast<double>(dimension()));
}

Nmf::Shared Nmf::view(const TensorSet& shared) const noexcept {
  const std::vector<float>& scale = shared.tensors[shared_tensor::kScale].values;
  return {.factors = shared.tensors[shared_tensor::kFactors].values.data(),
          .variances = shared.tensors[shared_tensor::kVariances].values.data(),
          .user_mean = shared.tensors[shared_tensor::kMeans].values.data(),
          .unit = unit_of(double{scale[0]}, double{scale[1]})};
}

std::uint64_t Nmf::training_rounds(const TensorSet& shared) const noexcept {
  return static_cast<std::uint64_t>(shared.tensors[shared_tensor::kScale].values[2]);
}

std::span<const float> Nmf::popularity(const TensorSet& shared) const noexcept {
  if (training_rounds(shared) == 0) return {};
  return shared.tensors[shared_tensor::kPopularity].values;
}

}  // namespace chorus::model::nmf
