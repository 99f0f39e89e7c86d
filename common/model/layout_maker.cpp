#include "common/model/layout_maker.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::model {
namespace {

constexpr int kFinestScale = 20;

}  // namespace

int finest_scale(double clip, int limbs, int bits, std::uint32_t contributors) {
  const std::uint64_t coordinate = ((std::uint64_t{1} << (bits - 1)) - 1) / contributors;
  const std::uint64_t number = limbs == 1 ? coordinate : (coordinate << plan::kLimbBits) + 2047;
  int scale = kFinestScale;
  while (scale > -kFinestScale && std::nearbyint(std::ldexp(clip, scale)) > static_cast<double>(number)) --scale;
  return scale;
}

const plan::UpdateLayout& Layouts::of(plan::Purpose purpose) const noexcept {
  switch (purpose) {
    case plan::Purpose::survey:
      return survey;
    case plan::Purpose::measure:
      return measure;
    case plan::Purpose::train:
      break;
  }
  return train;
}

Status check_shape(std::string_view family, dataset::Feedback learns_from, const ModelShape& shape) {
  CHORUS_TRY_DO(shape.contract.validate());
  const auto refuse = [](std::string sentence) { return fail(ErrorCode::invalid_argument, std::move(sentence)); };
  if (shape.contract.feedback != learns_from) {
    return refuse(fmt::format("the model '{}' learns from {}; the data contract says '{}'", family,
                              dataset::to_string(learns_from), dataset::to_string(shape.contract.feedback)));
  }
  if (shape.items == 0) return refuse(fmt::format("the model '{}' needs a catalogue with items", family));
  if (shape.max_contributors == 0) return refuse("a cohort has at least one contributor");
  return {};
}

std::unexpected<Error> too_few_bits(int bits, const ModelShape& shape) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("{} bits leave too few for the updates of {} contributors; set bits to 32 or make cohorts "
                          "smaller",
                          bits, shape.max_contributors));
}

void LayoutMaker::add(std::string name, std::uint32_t rows, std::size_t columns, bool per_item, int limbs, double clip,
                      Numbers numbers) {
  const int scale = numbers == Numbers::whole ? 0 : finest_scale(clip, limbs, bits_, shape_.max_contributors);
  tensors_.push_back({.name = std::move(name),
                      .rows = rows,
                      .columns = static_cast<std::uint32_t>(columns),
                      .per_item = per_item,
                      .limbs = static_cast<std::uint8_t>(limbs),
                      .scale_log2 = static_cast<std::int8_t>(scale),
                      .clip = clip});
}

Result<plan::UpdateLayout> LayoutMaker::make() && {
  auto layout = plan::UpdateLayout::create(std::move(tensors_), bits_, shape_.max_contributors);
  if (layout) return layout;
  return fail(ErrorCode::invalid_argument, layout.error().sentence());
}

Status check_sums(const plan::UpdateLayout& layout, std::span<const std::vector<double>> sums) {
  CHORUS_ENSURE(sums.size() == layout.tensors().size(), "a sum has the tensors of its layout");
  for (std::size_t t = 0; t < sums.size(); ++t) {
    const plan::TensorLayout& tensor = layout.tensors()[t];
    CHORUS_ENSURE(sums[t].size() == tensor.numbers(), "a summed tensor has the size of its layout");
    const auto bad = std::ranges::find_if(sums[t], [](double x) { return !std::isfinite(x); });
    if (bad == sums[t].end()) continue;
    const auto row = static_cast<std::size_t>(bad - sums[t].begin()) / tensor.columns;
    return fail(ErrorCode::non_finite, fmt::format("the sum of '{}' is not finite", tensor.name),
                tensor.per_item ? fmt::format("item {}", row) : std::string());
  }
  return {};
}

}  // namespace chorus::model
