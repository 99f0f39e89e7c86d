// The coordinator's side: initial factors, server step, metrics.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/bpr/bpr.hpp"
#include "common/model/event_sums.hpp"
#include "common/model/initial_factors.hpp"
#include "common/model/layout_maker.hpp"

namespace chorus::model::bpr {
namespace {

constexpr std::string_view kMomentum = "momentum";

}  // namespace

ServerState Bpr::initial() const {
  ServerState state;
  state.shared.tensors = {
      {.name = "item_factors", .rows = 0, .columns = static_cast<std::uint32_t>(width()), .values = {}},
      {.name = "progress", .rows = 1, .columns = 1, .values = {0}},
      {.name = "popularity", .rows = 0, .columns = 1, .values = {}}};
  append_rows(state, 0);
  return state;
}

void Bpr::grow(ServerState& state) const {
  const Tensor* factors = state.shared.find("item_factors");
  CHORUS_ENSURE(factors != nullptr && factors->columns == width() && factors->rows <= shape_.items,
                "a state grows under the model that made it");
  append_rows(state, factors->rows);
}

void Bpr::append_rows(ServerState& state, std::uint32_t from) const {
  Tensor& factors = state.shared.tensors[shared_tensor::kFactors];
  Tensor& popularity = state.shared.tensors[shared_tensor::kPopularity];
  factors.rows = popularity.rows = shape_.items;
  factors.values.resize(std::size_t{shape_.items} * width(), 0.0F);
  popularity.values.resize(shape_.items, 0.0F);
  state.hidden[std::string(kMomentum)].resize(std::size_t{shape_.items} * width(), 0.0);
  fill_initial_factors("bpr", parameters_.seed, parameters_.initial_scale / std::sqrt(static_cast<double>(rank())),
                       {.from = from,
                        .rows = shape_.items,
                        .stride = static_cast<std::uint32_t>(width()),
                        .first = 1,
                        .columns = parameters_.rank},
                       factors.values);
}

Status Bpr::step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                 std::uint64_t /*contributors*/) const {
  CHORUS_ENSURE(purpose != plan::Purpose::measure, "a measuring round has no server step");
  CHORUS_TRY_DO(check_shared(state.shared));
  CHORUS_TRY_DO(check_sums(purpose == plan::Purpose::survey ? layouts_.survey : layouts_.train, sums));
  if (purpose == plan::Purpose::train) return apply_training(state, sums);
  return {};
}

Status Bpr::apply_training(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t n = width();
  std::vector<double>& momentum = state.hidden[std::string(kMomentum)];
  if (momentum.size() != std::size_t{shape_.items} * n) {
    return fail(ErrorCode::wrong_model, fmt::format("the server state has {} numbers of momentum, not {}",
                                                    momentum.size(), std::size_t{shape_.items} * n));
  }
  const double weight = sums[tensor::kWeight][0];
  if (!(weight > 0)) {  // nobody had a pair: nothing is known about any item
    state.shared.tensors[shared_tensor::kProgress].values[0] += 1;
    return {};
  }
  // C, the upper triangle
  std::vector<double> curvature(n * n, 0.0);
  for (std::size_t row = 0, at = 0; row < n; ++row) {
    for (std::size_t column = 0; column <= row; ++column, ++at) {
      curvature[column * n + row] = sums[tensor::kGram][at] / weight;
    }
  }
  double events = 0;
  for (const double count : sums[tensor::kCount]) events += std::max(0.0, count);
  const double root = std::sqrt(events / static_cast<double>(shape_.items));
  std::vector<double> prior(n, parameters_.lambda * root);
  prior[0] = parameters_.lambda_bias * root;

  TensorSet shared = state.shared;
  std::vector<float>& factors = shared.tensors[shared_tensor::kFactors].values;
  std::vector<double> next = momentum;
  std::vector<double> metric(n * n);
  std::vector<double> step(n);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const double v = std::max(0.0, sums[tensor::kCurvature][i]);
    const double count = std::max(0.0, sums[tensor::kCount][i]);
    const double* const gradient = sums[tensor::kGradient].data() + std::size_t{i} * n;
    float* const w = factors.data() + std::size_t{i} * n;
    double* const m = next.data() + std::size_t{i} * n;
    for (std::size_t k = 0; k < n; ++k) step[k] = gradient[k] - prior[k] * double{w[k]};
    for (std::size_t k = 0; k < n * n; ++k) metric[k] = v * curvature[k];
    for (std::size_t k = 0; k < n; ++k) metric[k * n + k] += prior[k];
    bool finite = cholesky(metric.data(), n, n);
    if (finite) cholesky_solve(metric.data(), n, n, step.data());
    for (std::size_t k = 0; k < n && finite; ++k) {
      m[k] = parameters_.momentum * m[k] + step[k];
      w[k] = static_cast<float>(double{w[k]} + parameters_.rate * m[k]);
      finite = std::isfinite(m[k]) && std::isfinite(w[k]);
    }
    if (!finite) {
      return fail(ErrorCode::non_finite, "the step of an item is not finite: its sums are too large",
                  fmt::format("item {}", i));
    }
    shared.tensors[shared_tensor::kPopularity].values[i] = static_cast<float>(count);
  }
  shared.tensors[shared_tensor::kProgress].values[0] += 1;
  state.shared = std::move(shared);
  momentum = std::move(next);
  return {};
}

Quality Bpr::quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const {
  if (purpose == plan::Purpose::survey) return {};
  return read_event_quality(sums[purpose == plan::Purpose::train ? tensor::kTrainMetrics : tensor::kMeasureMetrics]);
}

}  // namespace chorus::model::bpr
