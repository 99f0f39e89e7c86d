// Settings, layouts and shared tensors: what coordinator and device agree on.
#include "common/model/mf/mf.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/model/expected_tensors.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/mf/als.hpp"
#include "common/model/mf/gradient.hpp"
#include "common/model/mf/partial.hpp"
#include "common/model/mf/private.hpp"
#include "common/model/mf/trial.hpp"
#include "common/model/mf/variational.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::mf {
namespace {

// The clips (mf.hpp), and why real people stay below them. A standardised residual is at most a few units (a rating
// scale spans about four deviations, and the fit takes part of it), and the ridge keeps λ|p_u|² below a device's
// squared residuals. Largest over all rounds of the preset on public sets of 10^5 to 10^6 ratings: |e z_k| 6.6, |z_k
// z_l| 4.6. Headroom, as UpdateLayout checks it, at 24 bits and 512 contributors (a coordinate is below 2^14): the
// gradient has 7.75·2^11 = 15,872 at its clip; the curvature, n_u |z_k z_l| ≤ 8 · max_items_per_user = 80,000, travels
// in two limbs (below 2^26) at 2^9.
constexpr std::uint32_t kMaxRank = 127;
// Coarser than this a gradient would be noise: 1/16 of a deviation.
constexpr int kCoarsestGradient = 4;

// The presets are scale-free (ratings are standardised) and differ by update.
struct Preset {
  std::string_view lambda;
  std::string_view lambda_bias;
  std::string_view rate;
  std::string_view momentum;
  std::string_view rounds;
  std::string_view twin;
  std::string_view trial;
};

std::vector<SettingDescription> describe(const Preset& preset) {
  return {
      {"update", "newton",
       "what devices upload and how the coordinator steps: newton, gradient, als, vb, or dp, which has settings of its "
       "own; auto: vb where every device is in every round, else newton"},
      {"rank", "15", "numbers of a factor; with the bias a multiple of 16 is fastest"},
      {"lambda", preset.lambda, "ridge of the factors, in ratings; vb learns it from the third round on"},
      {"lambda_bias", preset.lambda_bias, "ridge of the biases, in ratings; vb learns it from the third round on"},
      {"noise", "0.6", "vb: variance of a standardised rating; learned from the third round on"},
      {"rate", preset.rate, "share of its step that a round takes; the learning rate of a gradient"},
      {"momentum", preset.momentum, "share of the last step that is repeated"},
      {"optimizer", "fedadam", "gradient: fedavg, momentum, fedadagrad, fedadam or fedyogi"},
      {"participation", "1", "share of the devices in a round; below 1, newton keeps decayed sums of earlier rounds"},
      {"rounds", preset.rounds, "training rounds of the preset"},
      {"twin", preset.twin, "on: prior means of the factors, learned from who rated what; newton and vb"},
      {"twin_rank", "16", "numbers of a factor of the twin"},
      {"features", "off",
       "on: prior means of the items also from the catalogue's genres, years and titles; with the twin"},
      {"twin_rounds", "6", "in so many rounds, from the first, the twin learns too"},
      {"trial", preset.trial,
       "on: in the first rounds some ratings are held out, and biases alone are served where they predict them better; "
       "newton with every device"},
      {"least_raters", "1", "an item that fewer people rated in a round keeps what was published of it"},
      {"seed", "1", "seed of the initial item factors"},
      {"initial_scale", "0.1", "standard deviation of the initial item factors"},
      {"bits", "24", "bits of an uploaded number: 24 or 32"},
  };
}

// newton's, unless the settings ask for another update or for a part of the devices.
const std::vector<SettingDescription>& descriptions(const Settings& given = {}) {
  static const std::vector<SettingDescription> newton = describe({"13", "3", "0.8", "0.3", "9", "off", "on"});
  static const std::vector<SettingDescription> twin = describe({"13", "3", "0.8", "0.3", "9", "off", "off"});
  static const std::vector<SettingDescription> partial = describe({"12", "3", "0.7", "0", "22", "off", "off"});
  static const std::vector<SettingDescription> gradient = describe({"13", "3", "0.1", "0.9", "30", "off", "off"});
  static const std::vector<SettingDescription> als = describe({"12", "3", "1", "0", "9", "off", "off"});
  static const std::vector<SettingDescription> vb = describe({"7", "3", "0.8", "0.3", "14", "on", "off"});
  const auto value = [&given](std::string_view name) {
    const auto found = given.find(name);
    return found == given.end() ? std::string_view() : std::string_view(found->second);
  };
  const std::string_view update = value("update");
  if (update == "vb") return vb;
  if (update == "gradient") return gradient;
  if (update == "als") return als;
  if (value("twin") == "on") return twin;
  const std::string_view participation = value("participation");
  return participation.empty() || participation == "1" || participation == "auto" ? newton : partial;
}

// The settings with the update that "auto" stands for: the best one that works with the devices of a round.
Settings with_update(Settings settings) {
  const auto update = settings.find("update");
  if (update == settings.end() || update->second != "auto") return settings;
  const auto share = settings.find("participation");
  const bool everybody = share == settings.end() || share->second == "1" || share->second == "auto";
  update->second = everybody ? "vb" : "newton";
  return settings;
}

constexpr std::string_view kUpdates[] = {"newton", "gradient", "als", "vb"};
constexpr Update kUpdateOf[] = {Update::newton, Update::gradient, Update::als, Update::vb};
constexpr std::string_view kOptimizers[] = {"fedavg", "momentum", "fedadagrad", "fedadam", "fedyogi"};
constexpr std::string_view kSwitch[] = {"on", "off"};
constexpr std::string_view kBits[] = {"24", "32"};

Parameters read(SettingsReader& reader) {
  Parameters parameters;
  const auto place = [](std::string_view value, std::span<const std::string_view> choices) {
    return std::ranges::find(choices, value) - choices.begin();
  };
  parameters.update = kUpdateOf[place(reader.choice("update", kUpdates), kUpdates)];
  parameters.rank = static_cast<std::uint32_t>(reader.integer("rank", 1, kMaxRank));
  parameters.lambda = reader.number("lambda", 1e-3, 1e6);
  parameters.lambda_bias = reader.number("lambda_bias", 1e-3, 1e6);
  parameters.noise = reader.number("noise", 1e-3, 1e3);
  parameters.rate = reader.number("rate", 1e-3, 2);
  parameters.momentum = reader.number("momentum", 0, 0.99);
  parameters.optimizer = static_cast<Optimizer>(place(reader.choice("optimizer", kOptimizers), kOptimizers));
  parameters.participation = reader.number("participation", 1e-6, 1);
  parameters.rounds = static_cast<std::uint32_t>(reader.integer("rounds", 1, 100'000));
  parameters.twin = reader.choice("twin", kSwitch) == "on";
  parameters.twin_rank = static_cast<std::uint32_t>(reader.integer("twin_rank", 1, kMaxRank));
  parameters.features = reader.choice("features", kSwitch) == "on";
  parameters.twin_rounds = static_cast<std::uint32_t>(reader.integer("twin_rounds", 1, 1000));
  parameters.trial = reader.choice("trial", kSwitch) == "on";
  parameters.least_raters = static_cast<std::uint32_t>(reader.integer("least_raters", 1, 1'000'000));
  parameters.seed = reader.integer("seed", 0, ~std::uint64_t{0});
  parameters.initial_scale = reader.number("initial_scale", 1e-6, 10);
  parameters.bits = reader.choice("bits", kBits) == kBits[0] ? 24 : 32;
  return parameters;
}

}  // namespace

Family family() {
  return {.name = "mf", .settings = descriptions(), .make = &Mf::make};
}

Result<std::unique_ptr<Model>> Mf::make(const Settings& asked, const ModelShape& shape) {
  const Settings given = with_update(asked);
  if (const auto update = given.find("update"); update != given.end() && update->second == "dp") {
    return Private::make(given, shape);
  }
  SettingsReader reader("mf", descriptions(given), given);
  const Parameters parameters = read(reader);
  CHORUS_TRY(Settings settings, std::move(reader).finish());

  CHORUS_TRY_DO(check_shape("mf", dataset::Feedback::ratings, shape));

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
    return too_few_bits(parameters.bits, shape);
  }
  Layouts layouts{std::move(survey_layout), std::move(train_layout), std::move(measure_layout)};
  const auto refuse = [](std::string sentence) { return fail(ErrorCode::invalid_argument, std::move(sentence)); };
  if (parameters.participation < 1 && (parameters.update == Update::als || parameters.update == Update::vb)) {
    return refuse(
        fmt::format("the update '{}' of the model 'mf' needs every device in every round; with a "
                    "participation below 1 use newton or gradient",
                    settings.at("update")));
  }
  if (parameters.twin &&
      (parameters.update == Update::als || parameters.update == Update::gradient || parameters.participation < 1)) {
    return refuse("the twin of the model 'mf' needs the update newton or vb, and every device in every round");
  }
  if (parameters.features && !parameters.twin) {
    return refuse("the features of the model 'mf' join those of the twin: set model.twin to on");
  }
  if (parameters.trial && (parameters.update != Update::newton || parameters.twin || parameters.participation < 1)) {
    return refuse(
        "the trial of the model 'mf' needs the update newton without the twin, and every device in every round");
  }
  if (parameters.trial) return Tried::make(std::move(settings), parameters, shape, std::move(layouts));
  if (parameters.update == Update::vb || parameters.twin) {
    return Variational::make(std::move(settings), parameters, shape, std::move(layouts));
  }
  if (parameters.update == Update::gradient) {
    return Gradient::make(std::move(settings), parameters, shape, std::move(layouts));
  }
  if (parameters.update == Update::als) {
    return Als::make(std::move(settings), parameters, shape, std::move(layouts));
  }
  if (parameters.participation < 1) {
    return Partial::make(std::move(settings), parameters, shape, std::move(layouts));
  }
  return std::unique_ptr<Model>(new Mf(std::move(settings), parameters, shape, std::move(layouts)));
}

Mf::Mf(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts)
    : settings_(std::move(settings)),
      parameters_(parameters),
      shape_(shape),
      prior_(dimension(), parameters.lambda),
      layouts_(std::move(layouts)) {
  prior_[0] = parameters.lambda_bias;
}

plan::UpdateLayout Mf::layout(plan::Purpose purpose, std::uint64_t /*training_rounds*/) const {
  return layouts_.of(purpose);
}

Status Mf::check_shared(const TensorSet& shared) const {
  const ExpectedTensor expected[] = {{"item_factors", shape_.items, static_cast<std::uint32_t>(dimension())},
                                     {"scale", 1, 3},
                                     {"popularity", shape_.items, 1, false}};
  CHORUS_TRY_DO(check_tensors("mf", shared, expected));
  return check_scale(shared);
}

Status Mf::check_scale(const TensorSet& shared) {
  const std::vector<float>& scale = shared.tensors[1].values;
  if (!(scale[1] > 0) || scale[2] < 0) {
    return fail(ErrorCode::wrong_model,
                "the shared tensor 'scale' needs a deviation above zero and a number of rounds");
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
