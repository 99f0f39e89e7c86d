// The coordinator's side: initial factors, survey, server step, metrics.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/initial_factors.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/nmf/nmf.hpp"
#include "common/model/nmf/nonnegative.hpp"

namespace chorus::model::nmf {
namespace {

// C̃: the summed curvature, [d × d] packed as lower rows, with a unit diagonal; the identity where a factor is unused.
std::vector<double> correlations(std::span<const double> packed, std::size_t d) {
  std::vector<double> c(d * d);
  for (std::size_t row = 0, k = 0; row < d; ++row) {
    for (std::size_t column = 0; column <= row; ++column) c[row * d + column] = c[column * d + row] = packed[k++];
  }
  std::vector<double> inverse(d);
  for (std::size_t k = 0; k < d; ++k) inverse[k] = c[k * d + k] > 0 ? 1 / std::sqrt(c[k * d + k]) : 0;
  for (std::size_t row = 0; row < d; ++row) {
    for (std::size_t column = 0; column < d; ++column) {
      c[row * d + column] =
          row == column ? 1 : std::clamp(c[row * d + column] * inverse[row] * inverse[column], -1.0, 1.0);
    }
  }
  return c;
}

}  // namespace

ServerState Nmf::initial() const {
  const auto d = static_cast<std::uint32_t>(dimension());
  const RatingScale scale = unsurveyed_scale(shape_.contract);
  const auto level = static_cast<float>(level_of(scale.mean, scale.deviation));
  ServerState state;
  state.shared.tensors = {{.name = "item_factors", .rows = 0, .columns = d, .values = {}},
                          {.name = "item_variances", .rows = 0, .columns = d, .values = {}},
                          {.name = "means", .rows = 2, .columns = d, .values = std::vector<float>(2 * d, level)},
                          {.name = "scale",
                           .rows = 1,
                           .columns = 3,
                           .values = {static_cast<float>(scale.mean), static_cast<float>(scale.deviation), 0}},
                          {.name = "popularity", .rows = 0, .columns = 1, .values = {}}};
  append_rows(state, 0);
  return state;
}

void Nmf::grow(ServerState& state) const {
  const Tensor* factors = state.shared.find("item_factors");
  CHORUS_ENSURE(factors != nullptr && factors->columns == dimension() && factors->rows <= shape_.items,
                "a state grows under the model that made it");
  append_rows(state, factors->rows);
}

void Nmf::append_rows(ServerState& state, std::uint32_t from) const {
  const std::size_t d = dimension();
  std::vector<Tensor>& tensors = state.shared.tensors;
  for (const std::size_t t : {shared_tensor::kFactors, shared_tensor::kVariances, shared_tensor::kPopularity}) {
    tensors[t].rows = shape_.items;
    tensors[t].values.resize(std::size_t{shape_.items} * tensors[t].columns, 0.0F);
  }
  // max(0, level (1 + spread · bell))
  std::vector<float>& factors = tensors[shared_tensor::kFactors].values;
  fill_initial_factors(
      "nmf", parameters_.seed, parameters_.initial_spread,
      {.from = from, .rows = shape_.items, .stride = parameters_.rank, .first = 0, .columns = parameters_.rank},
      factors);
  const std::vector<float>& scale = tensors[shared_tensor::kScale].values;
  const double level = level_of(double{scale[0]}, double{scale[1]});
  for (std::size_t k = from * d; k < factors.size(); ++k) {
    factors[k] = static_cast<float>(std::max(0.0, level * (1 + double{factors[k]})));
  }
}

Status Nmf::step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                 std::uint64_t /*contributors*/) const {
  CHORUS_ENSURE(purpose != plan::Purpose::measure, "a measuring round has no server step");
  CHORUS_TRY_DO(check_shared(state.shared));
  CHORUS_TRY_DO(check_sums(purpose == plan::Purpose::survey ? layouts_.survey : layouts_.train, sums));
  if (purpose == plan::Purpose::train) return apply_training(state, sums);
  apply_survey(state, sums[tensor::kMoments]);
  return {};
}

void Nmf::apply_survey(ServerState& state, std::span<const double> moments) const {
  const std::optional<RatingScale> found = surveyed_scale(shape_.contract, moments);
  if (!found) return;  // nobody had a rating: the scale stays as it was
  std::vector<Tensor>& tensors = state.shared.tensors;
  std::vector<float>& scale = tensors[shared_tensor::kScale].values;
  const double before = level_of(double{scale[0]}, double{scale[1]});
  scale[0] = static_cast<float>(found->mean);
  scale[1] = static_cast<float>(found->deviation);
  // Factors keep their shape, at the size that gives the mean rating; variances are squares of factors.
  const double ratio = level_of(double{scale[0]}, double{scale[1]}) / before;
  const auto resize = [](std::vector<float>& values, double by) {
    for (float& value : values) value = static_cast<float>(double{value} * by);
  };
  resize(tensors[shared_tensor::kFactors].values, ratio);
  resize(tensors[shared_tensor::kMeans].values, ratio);
  resize(tensors[shared_tensor::kVariances].values, ratio * ratio);
}

Status Nmf::apply_training(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  const std::vector<double> correlation = correlations(sums[tensor::kCurvature], d);
  std::vector<float> factors = state.shared.tensors[shared_tensor::kFactors].values;
  std::vector<float> variances = state.shared.tensors[shared_tensor::kVariances].values;
  std::vector<float> means = state.shared.tensors[shared_tensor::kMeans].values;
  const float* item_mean = means.data() + d;
  std::vector<double> metric(d * d);
  std::vector<double> right(d);
  std::vector<double> root(d);
  std::vector<double> w(d);
  std::vector<double> variance(d);
  std::vector<double> total(d, 0.0);
  double rated = 0;
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const std::size_t at = std::size_t{i} * d;
    float* const q = factors.data() + at;
    for (std::size_t k = 0; k < d; ++k) root[k] = std::sqrt(std::max(0.0, sums[tensor::kEnergy][at + k]));
    // M_i = H_i^½ C̃ H_i^½ + λI; the right side about zero: G_i − λ (q_i − q̄) + M_i q_i.
    for (std::size_t row = 0; row < d; ++row) {
      for (std::size_t column = 0; column < d; ++column) {
        metric[row * d + column] = root[row] * correlation[row * d + column] * root[column];
      }
      metric[row * d + row] += parameters_.lambda;
    }
    for (std::size_t k = 0; k < d; ++k) {
      w[k] = double{q[k]};
      right[k] = sums[tensor::kGradient][at + k] - parameters_.lambda * (double{q[k]} - double{item_mean[k]});
      for (std::size_t l = 0; l < d; ++l) right[k] += metric[k * d + l] * double{q[l]};
    }
    bool finite = solve_nonnegative(metric, right, w) && inverse_diagonal(metric, variance);
    const bool counted = sums[tensor::kCount][i] > 0.5;
    for (std::size_t k = 0; k < d && finite; ++k) {
      q[k] = static_cast<float>(std::max(0.0, double{q[k]} + parameters_.rate * (w[k] - double{q[k]})));
      variances[at + k] = static_cast<float>(parameters_.noise * variance[k]);
      finite = std::isfinite(q[k]) && std::isfinite(variances[at + k]);
      if (counted) total[k] += double{q[k]};
    }
    if (counted) rated += 1;
    if (!finite) {
      return fail(ErrorCode::non_finite,
                  "the step of an item is not finite: its summed curvature is not positive, or its sums are too large",
                  fmt::format("item {}", i));
    }
  }
  const double devices = sums[tensor::kTrainMetrics][metric::kDevices];
  for (std::size_t k = 0; k < d; ++k) {
    if (devices >= 1) means[k] = static_cast<float>(std::max(0.0, sums[tensor::kFactors][k] / devices));
    if (rated >= 1) means[d + k] = static_cast<float>(total[k] / rated);
    if (!std::isfinite(means[k]) || !std::isfinite(means[d + k])) {
      return fail(ErrorCode::non_finite, "a mean factor is not finite: the sums are too large");
    }
  }
  std::vector<Tensor>& tensors = state.shared.tensors;
  tensors[shared_tensor::kFactors].values = std::move(factors);
  tensors[shared_tensor::kVariances].values = std::move(variances);
  tensors[shared_tensor::kMeans].values = std::move(means);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    tensors[shared_tensor::kPopularity].values[i] = static_cast<float>(std::max(0.0, sums[tensor::kCount][i]));
  }
  tensors[shared_tensor::kScale].values[2] += 1;
  return {};
}

Quality Nmf::quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const {
  if (purpose == plan::Purpose::survey) return {};
  return read_quality(shape_.contract,
                      sums[purpose == plan::Purpose::train ? tensor::kTrainMetrics : tensor::kMeasureMetrics]);
}

}  // namespace chorus::model::nmf
