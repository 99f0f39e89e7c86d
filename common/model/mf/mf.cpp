// Settings, layouts and shared tensors: what coordinator and device agree on.
#include "common/model/mf/mf.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/model/layout_maker.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::mf {
namespace {

// The clips, and why real people stay below them. A standardised residual is at most a few units (a rating scale spans
// about four deviations, and the fit takes part of it), and the ridge keeps λ|p_u|² below a device's squared residuals.
// Largest over all rounds of the preset on public sets of 10^5 to 10^6 ratings: |e z_k| 6.6, |z_k z_l| 4.6.
// Headroom, as UpdateLayout checks it, at 24 bits and 512 contributors (a coordinate is below 2^14): the gradient has
// 7.75·2^11 = 15,872 at its clip; the curvature, n_u |z_k z_l| ≤ 8 · max_items_per_user = 80,000, travels in two limbs
// (below 2^26) at 2^9.
constexpr double kGradientClip = 7.75;
constexpr double kCurvatureClip = 8;

constexpr std::uint32_t kMaxRank = 127;
// Coarser than this a gradient would be noise: 1/16 of a deviation.
constexpr int kCoarsestGradient = 4;

const std::vector<SettingDescription>& descriptions() {
  static const std::vector<SettingDescription> all = {
      {"update", "newton", "what devices upload and how the coordinator steps"},
      {"rank", "15", "numbers of a factor; with the bias a multiple of 16 is fastest"},
      {"lambda", "13", "ridge of the factors, in ratings"},
      {"lambda_bias", "3", "ridge of the biases, in ratings"},
      {"rate", "0.8", "share of the Newton step that a round takes"},
      {"momentum", "0.3", "share of the last step that is repeated"},
      {"rounds", "9", "training rounds of the preset"},
      {"seed", "1", "seed of the initial item factors"},
      {"initial_scale", "0.1", "standard deviation of the initial item factors"},
      {"bits", "24", "bits of an uploaded number: 24 or 32"},
  };
  return all;
}

constexpr std::string_view kUpdates[] = {"newton"};
constexpr std::string_view kBits[] = {"24", "32"};

}  // namespace

Family family() {
  return {.name = "mf", .settings = descriptions(), .make = &Mf::make};
}

Result<std::unique_ptr<Model>> Mf::make(const Settings& given, const ModelShape& shape) {
  SettingsReader reader("mf", descriptions(), given);
  Parameters parameters;
  static_cast<void>(reader.choice("update", kUpdates));
  parameters.rank = static_cast<std::uint32_t>(reader.integer("rank", 1, kMaxRank));
  parameters.lambda = reader.number("lambda", 1e-3, 1e6);
  parameters.lambda_bias = reader.number("lambda_bias", 1e-3, 1e6);
  parameters.rate = reader.number("rate", 1e-3, 2);
  parameters.momentum = reader.number("momentum", 0, 0.99);
  parameters.rounds = static_cast<std::uint32_t>(reader.integer("rounds", 1, 100'000));
  parameters.seed = reader.integer("seed", 0, ~std::uint64_t{0});
  parameters.initial_scale = reader.number("initial_scale", 1e-6, 10);
  parameters.bits = reader.choice("bits", kBits) == kBits[0] ? 24 : 32;
  CHORUS_TRY(Settings settings, std::move(reader).finish());

  CHORUS_TRY_DO(shape.contract.validate());
  if (shape.contract.feedback != dataset::Feedback::ratings) {
    return fail(ErrorCode::invalid_argument, "the model 'mf' learns from ratings; the data contract says 'events'");
  }
  if (shape.items == 0) return fail(ErrorCode::invalid_argument, "the model 'mf' needs a catalogue with items");
  if (shape.max_contributors == 0) return fail(ErrorCode::invalid_argument, "a cohort has at least one contributor");

  const auto cap = static_cast<double>(shape.contract.max_items_per_user);
  const std::size_t d = std::size_t{parameters.rank} + 1;
  LayoutMaker survey(shape, parameters.bits);
  survey.once("moments", moment::kSize, 2, cap);
  LayoutMaker train(shape, parameters.bits);
  train.per_item("gradient", d, 1, kGradientClip);
  train.per_item("count", 1, 1, 1, LayoutMaker::Numbers::whole);
  train.once("curvature", d * (d + 1) / 2, 2, kCurvatureClip * cap);
  train.once("weight", 1, 2, cap, LayoutMaker::Numbers::whole);
  train.once("metrics", metric::kSize, 2, cap);
  LayoutMaker measure(shape, parameters.bits);
  measure.once("metrics", metric::kSize, 2, cap);
  CHORUS_TRY(plan::UpdateLayout survey_layout, std::move(survey).make());
  CHORUS_TRY(plan::UpdateLayout train_layout, std::move(train).make());
  CHORUS_TRY(plan::UpdateLayout measure_layout, std::move(measure).make());
  // Counts travel in the same tensors as the sums that they belong to: whole numbers need a scale of at least one.
  if (train_layout.tensors()[tensor::kGradient].scale_log2 < kCoarsestGradient ||
      measure_layout.tensors()[tensor::kMeasureMetrics].scale_log2 < 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} bits leave too few for the updates of {} contributors; set bits to 32 or make cohorts "
                            "smaller",
                            parameters.bits, shape.max_contributors));
  }
  return std::unique_ptr<Model>(new Mf(std::move(settings), parameters, shape, std::move(survey_layout),
                                       std::move(train_layout), std::move(measure_layout)));
}

Mf::Mf(Settings settings, const Parameters& parameters, const ModelShape& shape, plan::UpdateLayout survey,
       plan::UpdateLayout train, plan::UpdateLayout measure)
    : settings_(std::move(settings)),
      parameters_(parameters),
      shape_(shape),
      prior_(dimension(), parameters.lambda),
      survey_layout_(std::move(survey)),
      train_layout_(std::move(train)),
      measure_layout_(std::move(measure)) {
  prior_[0] = parameters.lambda_bias;
}

plan::UpdateLayout Mf::layout(plan::Purpose purpose, std::uint64_t /*training_rounds*/) const {
  switch (purpose) {
    case plan::Purpose::survey:
      return survey_layout_;
    case plan::Purpose::measure:
      return measure_layout_;
    case plan::Purpose::train:
      break;
  }
  return train_layout_;
}

Status Mf::check_shared(const TensorSet& shared) const {
  struct Expected {
    std::string_view name;
    std::uint32_t rows;
    std::uint32_t columns;
  };
  const Expected expected[] = {{"item_factors", shape_.items, static_cast<std::uint32_t>(dimension())},
                               {"scale", 1, 3},
                               {"popularity", shape_.items, 1}};
  const auto wrong = [](std::string sentence) { return fail(ErrorCode::wrong_model, std::move(sentence)); };
  if (shared.tensors.size() != std::size(expected)) {
    return wrong(
        fmt::format("the model 'mf' has {} shared tensors, not {}", std::size(expected), shared.tensors.size()));
  }
  for (std::size_t t = 0; t < std::size(expected); ++t) {
    const Tensor& tensor = shared.tensors[t];
    const Expected& e = expected[t];
    if (tensor.name != e.name || tensor.rows != e.rows || tensor.columns != e.columns ||
        tensor.values.size() != std::size_t{e.rows} * e.columns) {
      return wrong(fmt::format("expected the shared tensor '{}' of {} x {}, found '{}' of {} x {}", e.name, e.rows,
                               e.columns, tensor.name, tensor.rows, tensor.columns));
    }
    const auto bad = std::ranges::find_if(tensor.values, [](float x) { return !std::isfinite(x); });
    if (bad != tensor.values.end()) {
      return fail(ErrorCode::non_finite, fmt::format("the shared tensor '{}' has a number that is not finite", e.name),
                  fmt::format("item {}", static_cast<std::size_t>(bad - tensor.values.begin()) / e.columns));
    }
  }
  const std::vector<float>& scale = shared.tensors[1].values;
  if (!(scale[1] > 0) || scale[2] < 0) {
    return wrong("the shared tensor 'scale' needs a deviation above zero and a number of rounds");
  }
  if (std::ranges::any_of(shared.tensors[2].values, [](float x) { return x < 0; })) {
    return wrong("the shared tensor 'popularity' has a negative count");
  }
  return {};
}

Mf::Shared Mf::view(const TensorSet& shared) const noexcept {
  const std::vector<float>& scale = shared.tensors[1].values;
  return {.factors = shared.tensors[0].values.data(), .mean = double{scale[0]}, .deviation = double{scale[1]}};
}

std::uint64_t Mf::training_rounds(const TensorSet& shared) const noexcept {
  return static_cast<std::uint64_t>(shared.tensors[1].values[2]);
}

std::span<const float> Mf::popularity(const TensorSet& shared) const noexcept {
  if (shared.tensors[1].values[2] == 0) return {};
  return shared.tensors[2].values;
}

}  // namespace chorus::model::mf
