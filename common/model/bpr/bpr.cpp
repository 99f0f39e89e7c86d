// Settings, layouts and shared tensors: what coordinator and device agree on.
#include "common/model/bpr/bpr.hpp"

#include "common/model/event_sums.hpp"
#include "common/model/expected_tensors.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::bpr {
namespace {

// Clip of a number of the gradient: |a| <= 1 for an item that the person has, and a factor's numbers are below about 2;
// at 24 bits and 512 contributors (a coordinate is below 2^14) 7.99·2^11 = 16,363.
constexpr double kGradientClip = 7.99;
// Of 1/K Σ h: ¼ for an item that the person has, as many quarters as draws for another.
constexpr double kCurvatureClip = 3.99;
// Of w z zᵀ / cap and w / cap, in two limbs: w is at most half of the events.
constexpr double kGramClip = 15;
constexpr double kWeightClip = 1;
constexpr std::uint32_t kMaxRank = 511;
// Coarser than this a gradient would be noise: 1/64.
constexpr int kCoarsestGradient = 6;

const std::vector<SettingDescription>& descriptions() {
  static const std::vector<SettingDescription> all = {
      {"rank", "31", "numbers of a factor beside the bias"},
      {"lambda_user", "0.12", "ridge of a person's factor, times the root of the person's events"},
      {"lambda", "0.5", "ridge of an item's factor, times the root of the mean events of an item"},
      {"lambda_bias", "5", "ridge of an item's bias, alike"},
      {"negatives", "4", "items drawn against each event; people with few events draw more"},
      {"passes", "3", "passes of the local solve"},
      {"rate", "0.7", "server learning rate"},
      {"momentum", "0.3", "server momentum"},
      {"rounds", "12", "training rounds of the preset"},
      {"seed", "1", "seed of the initial item factors and of the drawn items"},
      {"initial_scale", "0.3", "length of an initial item factor, about"},
      {"bits", "24", "bits of an uploaded number: 24 or 32"},
  };
  return all;
}

constexpr std::string_view kBits[] = {"24", "32"};

}  // namespace

Family family() {
  return {.name = "bpr", .settings = descriptions(), .make = &Bpr::make, .feedback = dataset::Feedback::events};
}

Result<std::unique_ptr<Model>> Bpr::make(const Settings& given, const ModelShape& shape) {
  SettingsReader reader("bpr", descriptions(), given);
  Parameters parameters;
  parameters.rank = static_cast<std::uint32_t>(reader.integer("rank", 1, kMaxRank));
  parameters.lambda_user = reader.number("lambda_user", 1e-6, 1e6);
  parameters.lambda = reader.number("lambda", 1e-6, 1e6);
  parameters.lambda_bias = reader.number("lambda_bias", 1e-6, 1e6);
  parameters.negatives = static_cast<std::uint32_t>(reader.integer("negatives", 1, 64));
  parameters.passes = static_cast<std::uint32_t>(reader.integer("passes", 1, 20));
  parameters.rate = reader.number("rate", 1e-3, 2);
  parameters.momentum = reader.number("momentum", 0, 0.99);
  parameters.rounds = static_cast<std::uint32_t>(reader.integer("rounds", 1, 100'000));
  parameters.seed = reader.integer("seed", 0, ~std::uint64_t{0});
  parameters.initial_scale = reader.number("initial_scale", 1e-4, 10);
  parameters.bits = reader.choice("bits", kBits) == kBits[0] ? 24 : 32;
  CHORUS_TRY(Settings settings, std::move(reader).finish());

  CHORUS_TRY_DO(check_shape("bpr", dataset::Feedback::events, shape));

  const auto cap = static_cast<double>(shape.contract.max_items_per_user);
  const std::size_t width = std::size_t{parameters.rank} + 1;
  LayoutMaker survey(shape, parameters.bits);
  survey.once("devices", 1, 1, 1, LayoutMaker::Numbers::whole);
  LayoutMaker train(shape, parameters.bits);
  train.per_item("gradient", width, 1, kGradientClip);
  train.per_item("curvature", 1, 1, kCurvatureClip);
  train.per_item("count", 1, 1, 1, LayoutMaker::Numbers::whole);
  train.once("gram", width * (width + 1) / 2, 2, kGramClip);
  train.once("weight", 1, 2, kWeightClip);
  train.once("metrics", event_metric::kSize, 2, cap);
  LayoutMaker measure(shape, parameters.bits);
  measure.once("metrics", event_metric::kSize, 2, cap);
  CHORUS_TRY(plan::UpdateLayout survey_layout, std::move(survey).make());
  CHORUS_TRY(plan::UpdateLayout train_layout, std::move(train).make());
  CHORUS_TRY(plan::UpdateLayout measure_layout, std::move(measure).make());
  // Counts travel in the same tensors as the sums that they belong to: whole numbers need a scale of at least one.
  if (train_layout.tensors()[tensor::kGradient].scale_log2 < kCoarsestGradient ||
      measure_layout.tensors()[tensor::kMeasureMetrics].scale_log2 < 0) {
    return too_few_bits(parameters.bits, shape);
  }
  return std::unique_ptr<Model>(
      new Bpr(std::move(settings), parameters, shape,
              {std::move(survey_layout), std::move(train_layout), std::move(measure_layout)}));
}

Bpr::Bpr(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts)
    : settings_(std::move(settings)), parameters_(parameters), shape_(shape), layouts_(std::move(layouts)) {}

plan::UpdateLayout Bpr::layout(plan::Purpose purpose, std::uint64_t /*training_rounds*/) const {
  return layouts_.of(purpose);
}

Status Bpr::check_shared(const TensorSet& shared) const {
  const ExpectedTensor expected[] = {{"item_factors", shape_.items, static_cast<std::uint32_t>(width())},
                                     {"progress", 1, 1, false},
                                     {"popularity", shape_.items, 1, false}};
  return check_tensors("bpr", shared, expected);
}

std::uint64_t Bpr::training_rounds(const TensorSet& shared) const noexcept {
  return static_cast<std::uint64_t>(shared.tensors[shared_tensor::kProgress].values[0]);
}

std::span<const float> Bpr::popularity(const TensorSet& shared) const noexcept {
  if (training_rounds(shared) == 0) return {};
  return shared.tensors[shared_tensor::kPopularity].values;
}

}  // namespace chorus::model::bpr
