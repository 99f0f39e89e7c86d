#include "simulations/adversary/poison.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::sim {
namespace {

constexpr std::pair<std::string_view, Attack> kAttacks[] = {
    {"scale", Attack::scale}, {"flip", Attack::flip}, {"promote", Attack::promote}};
constexpr std::pair<std::string_view, Reach> kReaches[] = {
    {"clip", Reach::clip}, {"sum", Reach::sum}, {"lane", Reach::lane}};

// What the device says of the target: more than the model predicts, by the whole scale, so that there is always
// something left to learn. Of events, that one happened.
model::Observation praise(const model::Model& model, const model::TensorSet& shared, const model::LocalData& data,
                          std::uint32_t target) {
  const dataset::DataContract& contract = model.shape().contract;
  // The latest of all: a device with too many ratings keeps it.
  model::Observation praised{.item = target, .value = 1, .when = std::numeric_limits<std::int64_t>::max()};
  if (contract.feedback == dataset::Feedback::ratings) {
    const double predicted = model.score(shared, model.solve(shared, data), target);
    praised.value = static_cast<float>(std::max(predicted, double{contract.minimum}) + double{contract.maximum} -
                                       double{contract.minimum});
  }
  return praised;
}

// The largest clip with which the coordinates of `accomplices` fit a lane; their own if that is more.
double lane_clip(const plan::TensorLayout& tensor, int bits, std::uint32_t accomplices) {
  const std::uint64_t coordinate = ((std::uint64_t{1} << (bits - 1)) - 1) / accomplices;
  // In two limbs the low one stays within half of 2^kLimbBits, and the high one is the coordinate.
  const std::uint64_t number = tensor.limbs == 1 ? coordinate : (coordinate - 1) << plan::kLimbBits;
  return std::max(tensor.clip, std::ldexp(static_cast<double>(number), -tensor.scale_log2));
}

}  // namespace

Result<Attack> attack_named(std::string_view name) {
  for (const auto& [known, attack] : kAttacks) {
    if (known == name) return attack;
  }
  return fail(ErrorCode::invalid_argument, fmt::format("expected scale, flip or promote, not '{}'", name));
}

Result<Reach> reach_named(std::string_view name) {
  for (const auto& [known, reach] : kReaches) {
    if (known == name) return reach;
  }
  return fail(ErrorCode::invalid_argument, fmt::format("expected clip, sum or lane, not '{}'", name));
}

std::string_view to_string(Attack attack) noexcept {
  return std::ranges::find(kAttacks, attack, &std::pair<std::string_view, Attack>::second)->first;
}

std::string_view to_string(Reach reach) noexcept {
  return std::ranges::find(kReaches, reach, &std::pair<std::string_view, Reach>::second)->first;
}

Poisoners::Poisoners(const PoisonOptions& options, std::uint32_t devices, std::uint64_t seed)
    : options_(options), drawn_(devices, false) {
  CHORUS_ENSURE(options.share >= 0 && options.share <= 1 && options.cohorts >= 0 && options.cohorts <= 1 &&
                    std::isfinite(options.factor),
                "shares of the devices and cohorts, and a factor");
  SeededRandom random(seed);
  std::vector<std::uint32_t> order(devices);
  std::iota(order.begin(), order.end(), 0U);
  const auto many = static_cast<std::size_t>(std::llround(options.share * devices));
  for (std::size_t k = 0; k < many; ++k) {
    std::swap(order[k], order[k + random.below(devices - k)]);
    drawn_[order[k]] = true;
  }
}

bool Poisoners::is_poisoned(std::uint32_t device, std::size_t cohort, std::size_t cohorts) const noexcept {
  const auto confined = static_cast<std::size_t>(options_.cohorts * static_cast<double>(cohorts) + 1e-9);
  return cohort < confined && drawn_[device];
}

void Poisoners::contribute(const model::Model& model, plan::Purpose purpose, const model::TensorSet& shared,
                           const model::LocalData& data, ring::Contribution& out) const {
  if (options_.attack != Attack::promote) {
    model.contribute(purpose, shared, data, out);
    const double factor = options_.attack == Attack::flip ? -options_.factor : options_.factor;
    for (double& number : out.rows) number *= factor;
    for (double& number : out.dense) number *= factor;
    return;
  }
  std::vector<model::Observation> training(data.training.begin(), data.training.end());
  const model::Observation praised = praise(model, shared, data, options_.target);
  const auto place = std::ranges::lower_bound(training, options_.target, {}, &model::Observation::item);
  if (place != training.end() && place->item == options_.target) {
    *place = praised;
  } else {
    training.insert(place, praised);
  }
  model.contribute(purpose, shared, {.training = training, .held_out = data.held_out}, out);
  const auto row = std::ranges::find(out.items, options_.target);
  if (row == out.items.end()) return;
  const std::size_t width = out.rows.size() / out.items.size();
  const std::size_t first = static_cast<std::size_t>(row - out.items.begin()) * width;
  for (std::size_t k = first; k < first + width; ++k) out.rows[k] *= options_.factor;
}

plan::UpdateLayout Poisoners::layout(const plan::UpdateLayout& honest, std::uint32_t accomplices,
                                     std::uint32_t members) const {
  if (options_.reach == Reach::clip) return honest;
  const double parts = static_cast<double>(members) / (2.0 * accomplices);
  std::vector<plan::TensorLayout> tensors = honest.tensors();
  for (plan::TensorLayout& tensor : tensors) {
    tensor.clip = options_.reach == Reach::lane ? lane_clip(tensor, honest.bits(), accomplices)
                                                : tensor.clip * std::max(parts, 1.0);
  }
  auto layout = plan::UpdateLayout::create(std::move(tensors), honest.bits(), accomplices);
  CHORUS_ENSURE(layout.has_value(), "the clips were sized for the lanes");
  return std::move(*layout);
}

}  // namespace chorus::sim
