// Settings, layouts and shared tensors: what coordinator and device agree on.
#include "common/model/ease/ease.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "common/model/ease/digits.hpp"
#include "common/model/expected_tensors.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::ease {
namespace {

// What the diagonal of P lies within, and far: 1 / (λ + people) up to 1 / λ. It bounds a weight, and so a score.
constexpr float kLeastPrecision = 1e-12F;
constexpr float kMostPrecision = 1e6F;
constexpr double kRounding = 1.001;

const std::vector<SettingDescription>& descriptions() {
  static const std::vector<SettingDescription> all = {
      {"lambda", "auto", "ridge of the weights; auto: from how the events spread over people and items"},
      {"rounds", "1", "training rounds of the preset; each starts from its own sum alone"},
      {"bits", "16", "bits of an uploaded number: 16, 24 or 32"},
  };
  return all;
}

constexpr std::string_view kBits[] = {"16", "24", "32"};
constexpr int kBitsOf[] = {16, 24, 32};

void add_metrics(LayoutMaker& layout) {
  layout.once("metrics", kMetricNumbers, 1, kGreatestDigit, LayoutMaker::Numbers::whole);
}

}  // namespace

Family family() {
  return {.name = "ease", .settings = descriptions(), .make = &Ease::make, .feedback = dataset::Feedback::events};
}

Result<std::unique_ptr<Model>> Ease::make(const Settings& given, const ModelShape& shape) {
  SettingsReader reader("ease", descriptions(), given);
  Parameters parameters;
  parameters.lambda = reader.number_or_auto("lambda", 1e-3, 1e9);
  parameters.rounds = static_cast<std::uint32_t>(reader.integer("rounds", 1, 100'000));
  parameters.bits = kBitsOf[std::ranges::find(kBits, reader.choice("bits", kBits)) - std::begin(kBits)];
  CHORUS_TRY(Settings settings, std::move(reader).finish());

  CHORUS_TRY_DO(check_shape("ease", dataset::Feedback::events, shape));
  if (shape.items > kMostItems) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the model 'ease' has a weight for every pair of items: up to {} items, and the catalogue "
                            "has {}; the model 'ials' has no such limit",
                            kMostItems, shape.items));
  }
  LayoutMaker train(shape, parameters.bits);
  train.per_item("together", Pairs(shape.items).width(), 1, 1, LayoutMaker::Numbers::whole);
  add_metrics(train);
  LayoutMaker measure(shape, parameters.bits);
  add_metrics(measure);
  const auto train_layout = std::move(train).make();
  const auto measure_layout = std::move(measure).make();
  if (!train_layout || !measure_layout) return too_few_bits(parameters.bits, shape);
  return std::unique_ptr<Model>(
      new Ease(std::move(settings), parameters, shape, {*measure_layout, *train_layout, *measure_layout}));
}

Ease::Ease(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts)
    : settings_(std::move(settings)),
      parameters_(parameters),
      shape_(shape),
      layouts_(std::move(layouts)),
      pairs_(shape.items) {}

plan::UpdateLayout Ease::layout(plan::Purpose purpose, std::uint64_t /*training_rounds*/) const {
  return layouts_.of(purpose);
}

Status Ease::check_shared(const TensorSet& shared) const {
  const auto width = static_cast<std::uint32_t>(pairs_.width());
  const ExpectedTensor expected[] = {
      {"precision", shape_.items, width}, {"scale", 1, 2, false}, {"popularity", shape_.items, 1, false}};
  CHORUS_TRY_DO(check_tensors("ease", shared, expected));
  const std::vector<float>& precision = shared.tensors[shared_tensor::kPrecision].values;
  const auto wrong = [](std::string sentence, std::size_t item) {
    return fail(ErrorCode::wrong_model, std::move(sentence), fmt::format("item {}", item));
  };
  for (std::size_t i = 0; i < shape_.items; ++i) {
    const float own = precision[pairs_.index(i, i)];
    if (!(own >= kLeastPrecision && own <= kMostPrecision)) {
      return wrong(fmt::format("the precision {} of an item is outside what a ridge leaves it", own), i);
    }
  }
  // P is positive definite, so that P_ij² < P_ii P_jj.
  for (std::size_t i = 0; i < shape_.items; ++i) {
    const double own = double{precision[i * width]};
    for (std::size_t c = 1; c < width; ++c) {
      const double entry = double{precision[i * width + c]};
      const std::size_t j = i + c < shape_.items ? i + c : i + c - shape_.items;
      if (entry * entry > kRounding * own * double{precision[j * width]}) {
        return wrong(fmt::format("the precision of the pair with item {} is above what both items have", j), i);
      }
    }
  }
  return {};
}

std::uint64_t Ease::training_rounds(const TensorSet& shared) const noexcept {
  return static_cast<std::uint64_t>(shared.tensors[shared_tensor::kScale].values[1]);
}

std::span<const float> Ease::popularity(const TensorSet& shared) const noexcept {
  if (training_rounds(shared) == 0) return {};
  return shared.tensors[shared_tensor::kPopularity].values;
}

}  // namespace chorus::model::ease
