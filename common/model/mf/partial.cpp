#include "common/model/mf/partial.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/model/layout_maker.hpp"

namespace chorus::model::mf {
namespace {

constexpr double kDecay = 0.95;
// |e z + h w|: a gradient and, at the diagonal's clip, factors up to one.
constexpr double kTargetClip = kGradientClip + kCurvatureClip;
constexpr std::size_t kTarget = 0, kDiagonal = 1;
constexpr std::string_view kTargets = "targets";
constexpr std::string_view kDiagonals = "diagonals";
constexpr std::string_view kWeight = "weight";

}  // namespace

Result<std::unique_ptr<Model>> Partial::make(Settings settings, const Parameters& parameters, const ModelShape& shape,
                                             Layouts layouts) {
  const std::size_t d = std::size_t{parameters.rank} + 1;
  LayoutMaker train(shape, parameters.bits);
  train.per_item("target", d, 1, kTargetClip);
  train.per_item("diagonal", d, 1, kCurvatureClip);
  train.once("metrics", metric::kSize, 2, static_cast<double>(shape.contract.max_items_per_user));
  CHORUS_TRY(layouts.train, std::move(train).make());
  return std::unique_ptr<Model>(new Partial(std::move(settings), parameters, shape, std::move(layouts)));
}

ServerState Partial::initial() const {
  ServerState state = Mf::initial();
  grow(state);
  return state;
}

void Partial::grow(ServerState& state) const {
  Mf::grow(state);
  for (const std::string_view sum : {kTargets, kDiagonals}) {
    state.hidden[std::string(sum)].resize(std::size_t{shape_.items} * dimension(), 0.0);
  }
  state.hidden[std::string(kWeight)].resize(1, 0.0);
}

void Partial::train(const TensorSet& tensors, const LocalData& data, ring::Contribution& out) const {
  const std::size_t d = dimension();
  const Shared shared = view(tensors);
  Ridge solved = rows_of(shared, data.training);
  solved.factorise(prior_);
  const crypto::ZeroizingVector<double> x = solved.solution();
  crypto::ZeroizingVector<double> z = x;
  z[0] = 1;
  const crypto::ZeroizingVector<double> e = residuals(solved, x);
  for (std::size_t r = 0; r < data.training.size(); ++r) {
    out.items[r] = data.training[r].item;
    const float* const w = shared.factors + std::size_t{data.training[r].item} * d;
    double* const row = out.rows.data() + r * 2 * d;
    for (std::size_t k = 0; k < d; ++k) {
      row[d + k] = z[k] * z[k];
      row[k] = e[r] * z[k] + row[d + k] * double{w[k]};
    }
  }
  write_metrics(data, training_error(shared, data.training, e), squared_errors(shared, x, data.held_out), out.dense);
}

Status Partial::apply_training(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  const std::size_t numbers = std::size_t{shape_.items} * d;
  std::vector<double> targets = state.hidden[std::string(kTargets)];
  std::vector<double> diagonals = state.hidden[std::string(kDiagonals)];
  if (targets.size() != numbers || diagonals.size() != numbers || state.hidden[std::string(kWeight)].size() != 1) {
    return fail(ErrorCode::wrong_model, "the server state has not the decayed sums of every number of the factors");
  }
  const double weight = kDecay * state.hidden[std::string(kWeight)][0] + parameters_.participation;
  std::vector<float> factors = state.shared.tensors[0].values;
  std::vector<double> counts(shape_.items);
  for (std::size_t k = 0; k < numbers; ++k) {
    if (k % d == 0) counts[k / d] = sums[kDiagonal][k];
    targets[k] = kDecay * targets[k] + sums[kTarget][k];
    diagonals[k] = kDecay * diagonals[k] + std::max(0.0, sums[kDiagonal][k]);
    const double ridge = weight * prior_[k % d];
    const double w = double{factors[k]};
    const double step = (targets[k] - diagonals[k] * w - ridge * w) / (diagonals[k] + ridge);
    factors[k] = static_cast<float>(w + parameters_.rate * step);
    if (!std::isfinite(factors[k]) || !std::isfinite(targets[k]) || !std::isfinite(diagonals[k])) {
      return fail(ErrorCode::non_finite, "the step of an item is not finite: its sums are too large",
                  fmt::format("item {}", k / d));
    }
  }
  state.shared.tensors[0].values = std::move(factors);
  state.hidden[std::string(kTargets)] = std::move(targets);
  state.hidden[std::string(kDiagonals)] = std::move(diagonals);
  state.hidden[std::string(kWeight)][0] = weight;
  count_round(state, counts);
  return {};
}

}  // namespace chorus::model::mf
