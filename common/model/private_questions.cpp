#include "common/model/private_questions.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/layout_maker.hpp"

namespace chorus::model {

int noisy_scale(int bits, double clip, double noise, std::uint32_t contributors) noexcept {
  const double room = std::ldexp(1, bits - 2);
  const double unit = contributors * clip + 6 * noise;
  int scale = 20;
  while (scale > -8 && std::ldexp(unit, scale) + contributors > room) --scale;
  return scale;
}

plan::TensorLayout noisy_tensor(std::string name, std::uint32_t rows, std::size_t columns, bool per_item, double clip,
                                int scale_log2) {
  return {.name = std::move(name),
          .rows = rows,
          .columns = static_cast<std::uint32_t>(columns),
          .per_item = per_item,
          .limbs = 1,
          .scale_log2 = static_cast<std::int8_t>(scale_log2),
          .clip = std::ldexp(std::ceil(std::ldexp(clip, scale_log2)), -scale_log2)};
}

PrivateQuestions::PrivateQuestions(const ModelShape& shape, const Terms& terms) : shape_(shape), terms_(terms) {}

double PrivateQuestions::multiplier(double share) const noexcept {
  return terms_.mu > 0 ? 1 / (terms_.mu * std::sqrt(share)) : 0;
}

int PrivateQuestions::scale_for(double clip, double sensitivity, double multiplier) const noexcept {
  return noisy_scale(kBits, clip, multiplier * sensitivity / std::sqrt(kHonest), shape_.max_contributors);
}

Status PrivateQuestions::ask(std::vector<plan::TensorLayout> tensors, std::vector<plan::ClipGroup> groups,
                             double multiplier) {
  CHORUS_TRY(auto layout, plan::UpdateLayout::create(std::move(tensors), kBits, shape_.max_contributors));
  const std::uint32_t most_items = shape_.contract.max_items_per_user;
  const std::uint64_t squared = plan::squared_sensitivity(layout, groups, most_items);
  asked_.push_back({.number = asked_.size(),
                    .layout = std::move(layout),
                    .privacy = {.groups = std::move(groups),
                                .most_items = most_items,
                                .noise_multiplier = multiplier,
                                .cohort = terms_.per_cohort ? terms_.cohort : 0},
                    .sensitivity = std::sqrt(static_cast<double>(squared))});
  return {};
}

const AskedQuestion* PrivateQuestions::of(plan::Purpose purpose, std::uint64_t training_rounds) const noexcept {
  if (purpose == plan::Purpose::measure) return nullptr;
  const std::uint64_t place = purpose == plan::Purpose::survey ? 0 : training_rounds + 1;
  return place < asked_.size() ? &asked_[place] : nullptr;
}

plan::UpdateLayout PrivateQuestions::layout(plan::Purpose purpose, std::uint64_t training_rounds) const {
  if (const AskedQuestion* const asked = of(purpose, training_rounds)) return asked->layout;
  LayoutMaker measure(shape_, kBits);
  measure.once("devices", 1, 1, 1, LayoutMaker::Numbers::whole);
  auto layout = std::move(measure).make();
  CHORUS_ENSURE(layout.has_value(), "one count fits wherever the questions fit");
  return std::move(*layout);
}

std::optional<PrivateQuestion> PrivateQuestions::privacy(plan::Purpose purpose, std::uint64_t training_rounds) const {
  const AskedQuestion* const asked = of(purpose, training_rounds);
  if (asked == nullptr || !(asked->privacy.noise_multiplier > 0)) return std::nullopt;
  return asked->privacy;
}

Quality PrivateQuestions::quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) {
  Quality quality;
  if (purpose == plan::Purpose::measure && sums[0][0] > 0) {
    quality.devices = static_cast<std::uint64_t>(std::lround(sums[0][0]));
  }
  return quality;
}

double PrivateQuestions::deviation(const AskedQuestion& asked, std::size_t t,
                                   std::uint64_t contributors) const noexcept {
  // Each device's σ is z Δ / √N for N honest ones among those that the budget counts on; `contributors` add it up.
  const auto all = static_cast<double>(contributors);
  const double counted = kHonest * (terms_.per_cohort ? std::min<double>(terms_.cohort, all) : all);
  const double one = asked.privacy.noise_multiplier * asked.sensitivity / std::sqrt(std::max(counted, 1.0));
  return std::ldexp(one * std::sqrt(all), -asked.layout.tensors()[t].scale_log2);
}

std::unexpected<Error> PrivateQuestions::all_asked() const {
  return fail(ErrorCode::budget_exhausted,
              fmt::format("all {} questions that the privacy budget pays for have been asked", asked_.size()));
}

}  // namespace chorus::model
