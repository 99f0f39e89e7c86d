#include "common/model/mf/trial.hpp"

#include <algorithm>
#include <cmath>

#include "common/dataset/seeded_generator.hpp"
#include "common/model/expected_tensors.hpp"

namespace chorus::model::mf {
namespace trial {

Halves halves_of(std::span<const Observation> training) {
  // The ratings of the least hashes are held out: any, but the same ones for the same items.
  std::uint64_t all = training.size();
  for (const Observation& rating : training) {
    all ^= rating.item;
    all = dataset::split_mix(all);
  }
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  order.reserve(training.size());
  for (std::size_t r = 0; r < training.size(); ++r) {
    std::uint64_t state = all ^ training[r].item;
    order.emplace_back(dataset::split_mix(state), r);
  }
  std::ranges::sort(order);
  const std::size_t out = training.size() < 2 ? 0 : (training.size() + kShare - 1) / kShare;
  std::vector<bool> is_out(training.size(), false);
  for (std::size_t k = 0; k < out; ++k) is_out[order[k].second] = true;
  Halves halves;
  halves.training.reserve(training.size() - out);
  halves.held_out.reserve(out);
  for (std::size_t r = 0; r < training.size(); ++r) {
    (is_out[r] ? halves.held_out : halves.training).push_back(training[r]);
  }
  return halves;
}

std::size_t best_candidate(std::span<const double> sums) noexcept {
  std::size_t best = kBiases;
  for (std::size_t c = kBiases + 1; c < kSize; ++c) {
    if (sums[c] < sums[best]) best = c;
  }
  return sums[kModel] < sums[best] ? kModel : best;
}

}  // namespace trial

namespace {

constexpr std::string_view kTrialSums = "trial";
constexpr std::size_t kTrialTensor = 5;  // of a training round's layout
constexpr std::size_t kWinner = 3;       // of the shared tensors

}  // namespace

Result<std::unique_ptr<Model>> Tried::make(Settings settings, const Parameters& parameters, const ModelShape& shape,
                                           Layouts layouts) {
  const auto cap = static_cast<double>(shape.contract.max_items_per_user);
  LayoutMaker added(shape, parameters.bits);
  added.once(std::string(kTrialSums), trial::kSize, 2, cap);
  CHORUS_TRY(const plan::UpdateLayout sums, std::move(added).make());
  std::vector<plan::TensorLayout> tensors(layouts.train.tensors().begin(), layouts.train.tensors().end());
  tensors.push_back(sums.tensors().front());
  CHORUS_TRY(layouts.train, plan::UpdateLayout::create(std::move(tensors), parameters.bits, shape.max_contributors));
  return std::unique_ptr<Model>(new Tried(std::move(settings), parameters, shape, std::move(layouts)));
}

Tried::Tried(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts)
    : Mf(std::move(settings), parameters, shape, std::move(layouts)) {
  for (std::size_t m = 0; m < biases_.size(); ++m) {
    biases_[m] = prior_;
    biases_[m][0] *= trial::kMultiples[m];
  }
}

ServerState Tried::initial() const {
  ServerState state = Mf::initial();
  state.shared.tensors.push_back({.name = "trial", .rows = 1, .columns = 1, .values = {0.0F}});
  return state;
}

void Tried::grow(ServerState& state) const {
  const std::uint32_t from = state.shared.tensors[0].rows;
  Mf::grow(state);
  if (winner_of(state.shared) != trial::kModel) drop_factors(state, dimension(), from);
}

Status Tried::check_shared(const TensorSet& shared) const {
  const ExpectedTensor expected[] = {{"item_factors", shape_.items, static_cast<std::uint32_t>(dimension())},
                                     {"scale", 1, 3},
                                     {"popularity", shape_.items, 1, false},
                                     {"trial", 1, 1}};
  CHORUS_TRY_DO(check_tensors("mf", shared, expected));
  const float winner = shared.tensors[kWinner].values[0];
  if (!(winner >= 0 && winner < static_cast<float>(trial::kSize)) || winner != std::floor(winner)) {
    return fail(ErrorCode::wrong_model, "the shared tensor 'trial' names a candidate that there is not");
  }
  return check_scale(shared);
}

std::size_t Tried::winner_of(const TensorSet& shared) noexcept {
  return static_cast<std::size_t>(shared.tensors[kWinner].values[0]);
}

std::span<const double> Tried::prior_of(const TensorSet& shared) const {
  const std::size_t winner = winner_of(shared);
  return winner == trial::kModel ? std::span<const double>(prior_) : biases_[winner - trial::kBiases];
}

void Tried::train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const {
  if (training_rounds(shared) >= trial::kRounds) {
    write_newton(shared, data, out);
    return;
  }
  const trial::Halves halves = trial::halves_of(data.training);
  out.reset(layouts_.train, halves.training.size());
  const auto x = write_newton(shared, {.training = halves.training, .held_out = data.held_out}, out);
  write_trial(shared, halves, x, std::span(out.dense).last(trial::kSize));
}

void Tried::write_trial(const TensorSet& tensors, const trial::Halves& halves, std::span<const double> x,
                        std::span<double> errors) const {
  const Shared shared = view(tensors);
  const std::size_t d = dimension();
  const std::span<const float> counts = tensors.tensors[2].values;
  errors[trial::kModel] = squared_errors(shared, x, halves.held_out);
  for (std::size_t m = 0; m < biases_.size(); ++m) {
    const double ridge = biases_[m][0];
    const auto item_bias = [&](std::uint32_t item) {
      const double n = double{counts[item]};
      return double{shared.factors[std::size_t{item} * d]} * (n + prior_[0]) / (n + ridge);
    };
    double sum = 0;
    for (const Observation& rating : halves.training) {
      sum += (double{rating.value} - shared.mean) / shared.deviation - item_bias(rating.item);
    }
    const double own = sum / (static_cast<double>(halves.training.size()) + ridge);
    for (const Observation& rating : halves.held_out) {
      const double prediction = shared.mean + shared.deviation * (own + item_bias(rating.item));
      errors[trial::kBiases + m] += squared_error(shape_.contract, double{rating.value}, prediction);
    }
  }
}

Status Tried::step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                   std::uint64_t contributors) const {
  CHORUS_TRY_DO(Mf::step(purpose, state, sums, contributors));
  if (purpose != plan::Purpose::train || training_rounds(state.shared) != trial::kRounds) return {};
  const std::size_t winner = trial::best_candidate(sums[kTrialTensor]);
  state.shared.tensors[kWinner].values[0] = static_cast<float>(winner);
  if (winner != trial::kModel) drop_factors(state, dimension(), 0);
  return {};
}

void Tried::drop_factors(ServerState& state, std::size_t dimension, std::uint32_t from) {
  std::vector<float>& factors = state.shared.tensors[0].values;
  std::vector<double>& momentum = state.hidden["momentum"];
  for (std::size_t at = std::size_t{from} * dimension; at < factors.size(); ++at) {
    if (at % dimension == 0) continue;
    factors[at] = 0;
    momentum[at] = 0;
  }
}

}  // namespace chorus::model::mf
