// Settings, layouts and shared tensors: what coordinator and device agree on.
#include "common/model/ials/ials.hpp"

#include <cmath>

#include <fmt/format.h>

#include "common/model/event_sums.hpp"
#include "common/model/expected_tensors.hpp"
#include "common/model/ials/private.hpp"
#include "common/model/ials/trial.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::ials {
namespace {

// Clip of a number of the gradient. pᵀq is about 1 at its largest and both sides are shrunk alike, so a factor's
// numbers are below about 2; at 24 bits and 512 contributors (a coordinate is below 2^14) 3.99·2^12 = 16,343.
constexpr double kGradientClip = 3.99;
// Of p pᵀ, in two limbs.
constexpr double kGramClip = 63;
constexpr std::uint32_t kMaxRank = 512;
// Coarser than this a gradient would be noise: 1/64.
constexpr int kCoarsestGradient = 6;

const std::vector<SettingDescription>& descriptions() {
  static const std::vector<SettingDescription> all = {
      {"update", "sums",
       "what devices upload and how the coordinator steps: sums, or dp, which is private and has settings of its own"},
      {"rank", "64", "numbers of a factor"},
      {"lambda", "auto", "ridge of a factor for each event; auto: from how the events spread over people and items"},
      {"alpha0", "0.3", "weight of what did not happen, an event's being 1"},
      {"nu", "1", "power of the events in the ridge: 0, 0.5 or 1"},
      {"rate", "1", "server learning rate"},
      {"momentum", "0.2", "server momentum"},
      {"participation", "1", "share of the devices in a round; below 1 decayed sums of earlier rounds are kept"},
      {"rounds", "8", "training rounds of the preset"},
      {"seed", "1", "seed of the initial item factors"},
      {"initial_scale", "0.3", "length of an initial item factor, about"},
      {"bits", "24", "bits of an uploaded number: 24 or 32"},
  };
  return all;
}

constexpr std::string_view kUpdates[] = {"sums"};
constexpr std::string_view kBits[] = {"24", "32"};
constexpr std::string_view kExponents[] = {"0", "0.5", "1"};

Exponent exponent_of(std::string_view text) {
  if (text == kExponents[0]) return Exponent::zero;
  return text == kExponents[1] ? Exponent::half : Exponent::one;
}

}  // namespace

Family family() {
  return {.name = "ials", .settings = descriptions(), .make = &Ials::make, .feedback = dataset::Feedback::events};
}

Result<std::unique_ptr<Model>> Ials::make(const Settings& given, const ModelShape& shape) {
  if (const auto update = given.find("update"); update != given.end() && update->second == "dp") {
    return Private::make(given, shape);
  }
  SettingsReader reader("ials", descriptions(), given);
  Parameters parameters;
  static_cast<void>(reader.choice("update", kUpdates));
  parameters.rank = static_cast<std::uint32_t>(reader.integer("rank", 1, kMaxRank));
  parameters.lambda = reader.number_or_auto("lambda", 1e-6, 1e6);
  parameters.alpha = reader.number("alpha0", 1e-6, 1e3);
  parameters.exponent = exponent_of(reader.choice("nu", kExponents));
  parameters.rate = reader.number("rate", 1e-3, 2);
  parameters.momentum = reader.number("momentum", 0, 0.99);
  parameters.participation = reader.number("participation", 1e-6, 1);
  parameters.rounds = static_cast<std::uint32_t>(reader.integer("rounds", 1, 100'000));
  parameters.seed = reader.integer("seed", 0, ~std::uint64_t{0});
  parameters.initial_scale = reader.number("initial_scale", 1e-4, 10);
  parameters.bits = reader.choice("bits", kBits) == kBits[0] ? 24 : 32;
  CHORUS_TRY(Settings settings, std::move(reader).finish());

  CHORUS_TRY_DO(check_shape("ials", dataset::Feedback::events, shape));

  const auto cap = static_cast<double>(shape.contract.max_items_per_user);
  const std::size_t d = parameters.rank;
  LayoutMaker survey(shape, parameters.bits);
  survey.once("totals", total::kSize, 2, cap, LayoutMaker::Numbers::whole);
  survey.once("squares", 1, 2, cap);  // n_u² / cap
  survey.per_item("count", 1, 1, 1, LayoutMaker::Numbers::whole);
  LayoutMaker train(shape, parameters.bits);
  train.per_item("gradient", d, 1, kGradientClip);
  train.per_item("count", 1, 1, 1, LayoutMaker::Numbers::whole);
  train.once("gram", d * (d + 1) / 2, 2, kGramClip);
  train.once("trial", trial::kSize, 2, 1);
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
      new Ials(std::move(settings), parameters, shape,
               {std::move(survey_layout), std::move(train_layout), std::move(measure_layout)}));
}

Ials::Ials(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts)
    : settings_(std::move(settings)), parameters_(parameters), shape_(shape), layouts_(std::move(layouts)) {}

plan::UpdateLayout Ials::layout(plan::Purpose purpose, std::uint64_t /*training_rounds*/) const {
  return layouts_.of(purpose);
}

Status Ials::check_shared(const TensorSet& shared) const {
  const auto d = static_cast<std::uint32_t>(dimension());
  const ExpectedTensor expected[] = {{"item_factors", shape_.items, d},
                                     {"gram", d, d},
                                     {"scale", 1, scale::kSize, false},
                                     {"popularity", shape_.items, 1, false}};
  CHORUS_TRY_DO(check_tensors("ials", shared, expected));
  const std::vector<float>& said = shared.tensors[shared_tensor::kScale].values;
  if (!(said[scale::kLambda] > 0)) {
    return fail(ErrorCode::wrong_model, "the shared tensor 'scale' needs a ridge above zero");
  }
  const float mode = said[scale::kMode];
  if (mode != static_cast<float>(Mode::model) && mode != static_cast<float>(Mode::trial) &&
      mode != static_cast<float>(Mode::popularity)) {
    return fail(ErrorCode::wrong_model, fmt::format("the shared tensor 'scale' has the mode {}, not 0, 1 or 2", mode));
  }
  return {};
}

double Ials::weighted(double lambda, double events, double others) const noexcept {
  const double base = events + parameters_.alpha * others;
  switch (parameters_.exponent) {
    case Exponent::zero:
      return lambda;
    case Exponent::half:
      return lambda * std::sqrt(base);
    case Exponent::one:
      break;
  }
  return lambda * base;
}

std::uint64_t Ials::training_rounds(const TensorSet& shared) const noexcept {
  return static_cast<std::uint64_t>(shared.tensors[shared_tensor::kScale].values[scale::kRounds]);
}

Mode Ials::mode_of(const TensorSet& shared) noexcept {
  return static_cast<Mode>(shared.tensors[shared_tensor::kScale].values[scale::kMode]);
}

std::span<const float> Ials::popularity(const TensorSet& shared) const noexcept {
  if (training_rounds(shared) == 0) return {};
  return shared.tensors[shared_tensor::kPopularity].values;
}

}  // namespace chorus::model::ials
