#include "common/model/mf/gradient.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/model/layout_maker.hpp"

namespace chorus::model::mf {
namespace {

constexpr double kSecondDecay = 0.99;  // β₂
constexpr double kAdaptivity = 1e-3;   // τ
constexpr std::string_view kSecondMoment = "second_moment";

// One number's moments and its step.
struct Step {
  Optimizer optimizer;
  double rate;
  double momentum;

  double operator()(double delta, double& m, double& v) const {
    if (optimizer == Optimizer::fedavg) return rate * delta;
    if (optimizer == Optimizer::momentum) {
      m = momentum * m + delta;
      return rate * m;
    }
    m = momentum * m + (1 - momentum) * delta;
    const double square = delta * delta;
    if (optimizer == Optimizer::fedadagrad) {
      v += square;
    } else if (optimizer == Optimizer::fedadam) {
      v = kSecondDecay * v + (1 - kSecondDecay) * square;
    } else if (v != square) {
      v -= (1 - kSecondDecay) * square * (v > square ? 1 : -1);
    }
    return rate * m / (std::sqrt(v) + kAdaptivity);
  }
};

}  // namespace

Result<std::unique_ptr<Model>> Gradient::make(Settings settings, const Parameters& parameters, const ModelShape& shape,
                                              Layouts layouts) {
  LayoutMaker train(shape, parameters.bits);
  train.per_item("gradient", std::size_t{parameters.rank} + 1, 1, kGradientClip);
  train.per_item("count", 1, 1, 1, LayoutMaker::Numbers::whole);
  train.once("metrics", metric::kSize, 2, static_cast<double>(shape.contract.max_items_per_user));
  CHORUS_TRY(layouts.train, std::move(train).make());
  return std::unique_ptr<Model>(new Gradient(std::move(settings), parameters, shape, std::move(layouts)));
}

ServerState Gradient::initial() const {
  ServerState state = Mf::initial();
  state.hidden[std::string(kSecondMoment)].resize(std::size_t{shape_.items} * dimension(), 0.0);
  return state;
}

void Gradient::grow(ServerState& state) const {
  Mf::grow(state);
  state.hidden[std::string(kSecondMoment)].resize(std::size_t{shape_.items} * dimension(), 0.0);
}

void Gradient::train(const TensorSet& tensors, const LocalData& data, ring::Contribution& out) const {
  const std::size_t d = dimension();
  const Shared shared = view(tensors);
  Ridge solved = rows_of(shared, data.training);
  solved.factorise(prior_);
  const crypto::ZeroizingVector<double> x = solved.solution();
  const crypto::ZeroizingVector<double> e = residuals(solved, x);
  for (std::size_t r = 0; r < data.training.size(); ++r) {
    out.items[r] = data.training[r].item;
    double* const row = out.rows.data() + r * (d + 1);
    row[0] = e[r];
    for (std::size_t k = 1; k < d; ++k) row[k] = e[r] * x[k];
    row[d] = 1;
  }
  write_metrics(data, training_error(shared, data.training, e), squared_errors(shared, x, data.held_out), out.dense);
}

Status Gradient::apply_training(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  const std::size_t numbers = std::size_t{shape_.items} * d;
  std::vector<double> momentum = state.hidden["momentum"];
  std::vector<double> second = state.hidden[std::string(kSecondMoment)];
  if (momentum.size() != numbers || second.size() != numbers) {
    return fail(ErrorCode::wrong_model, "the server state has not the moments of every number of the factors");
  }
  std::vector<float> factors = state.shared.tensors[0].values;
  const Step step{.optimizer = parameters_.optimizer, .rate = parameters_.rate, .momentum = parameters_.momentum};
  for (std::size_t k = 0; k < numbers; ++k) {
    const double n = std::max(0.0, sums[tensor::kCount][k / d]);
    const double w = double{factors[k]};
    const double delta = (sums[tensor::kGradient][k] - prior_[k % d] * w) / (n + 1);
    factors[k] = static_cast<float>(w + step(delta, momentum[k], second[k]));
    if (!std::isfinite(factors[k]) || !std::isfinite(momentum[k]) || !std::isfinite(second[k])) {
      return fail(ErrorCode::non_finite, "the step of an item is not finite: its sums are too large",
                  fmt::format("item {}", k / d));
    }
  }
  state.shared.tensors[0].values = std::move(factors);
  state.hidden["momentum"] = std::move(momentum);
  state.hidden[std::string(kSecondMoment)] = std::move(second);
  count_round(state, sums[tensor::kCount]);
  return {};
}

}  // namespace chorus::model::mf
