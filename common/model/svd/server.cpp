// The coordinator's side: initial subspace, survey, pass, metrics.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/initial_factors.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/svd/orthonormal.hpp"
#include "common/model/svd/svd.hpp"

namespace chorus::model::svd {
namespace {

// The first pass makes any size of it orthonormal; small enough that products stay below their clip.
constexpr double kInitialDeviation = 0.05;
// ω: a factor whose eigenvalue is zero is held at zero.
constexpr double kLeastWeight = 1e-6;
constexpr double kMostWeight = 1e6;

}  // namespace

ServerState Svd::initial() const {
  const auto d = static_cast<std::uint32_t>(dimension());
  const RatingScale scale = unsurveyed_scale(shape_.contract);
  ServerState state;
  state.shared.tensors = {{.name = "item_factors", .rows = 0, .columns = d, .values = {}},
                          {.name = "item_biases", .rows = 0, .columns = 1, .values = {}},
                          {.name = "weights", .rows = 1, .columns = d, .values = std::vector<float>(d, 1.0F)},
                          {.name = "scale",
                           .rows = 1,
                           .columns = 3,
                           .values = {static_cast<float>(scale.mean), static_cast<float>(scale.deviation), 0}},
                          {.name = "popularity", .rows = 0, .columns = 1, .values = {}}};
  append_rows(state, 0);
  return state;
}

void Svd::grow(ServerState& state) const {
  const Tensor* factors = state.shared.find("item_factors");
  CHORUS_ENSURE(factors != nullptr && factors->columns == dimension() && factors->rows <= shape_.items,
                "a state grows under the model that made it");
  append_rows(state, factors->rows);
}

void Svd::append_rows(ServerState& state, std::uint32_t from) const {
  std::vector<Tensor>& tensors = state.shared.tensors;
  for (const std::size_t t : {shared_tensor::kFactors, shared_tensor::kBiases, shared_tensor::kPopularity}) {
    tensors[t].rows = shape_.items;
    tensors[t].values.resize(std::size_t{shape_.items} * tensors[t].columns, 0.0F);
  }
  if (training_rounds(state.shared) > 0) return;
  fill_initial_factors(
      "svd", parameters_.seed, kInitialDeviation,
      {.from = from, .rows = shape_.items, .stride = parameters_.rank, .first = 0, .columns = parameters_.rank},
      tensors[shared_tensor::kFactors].values);
}

Status Svd::step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                 std::uint64_t /*contributors*/) const {
  CHORUS_ENSURE(purpose != plan::Purpose::measure, "a measuring round has no server step");
  CHORUS_TRY_DO(check_shared(state.shared));
  CHORUS_TRY_DO(check_sums(purpose == plan::Purpose::survey ? layouts_.survey : layouts_.train, sums));
  ServerState next = state;
  if (purpose == plan::Purpose::survey) {
    CHORUS_TRY_DO(apply_survey(next, sums));
  } else {
    CHORUS_TRY_DO(apply_pass(next, sums));
    CHORUS_TRY_DO(apply_biases(next.shared, sums[tensor::kResiduals], sums[tensor::kTrainCounts]));
  }
  state = std::move(next);
  return {};
}

Status Svd::apply_survey(ServerState& state, std::span<const std::vector<double>> sums) const {
  std::vector<float>& scale = state.shared.tensors[shared_tensor::kScale].values;
  const std::optional<RatingScale> found = surveyed_scale(shape_.contract, sums[tensor::kMoments]);
  if (found) {  // otherwise nobody had a rating: the scale stays as it was
    scale[0] = static_cast<float>(found->mean);
    scale[1] = static_cast<float>(found->deviation);
  }
  // Σ (r − mean) / deviation, of r = minimum + range r'
  const double minimum = double{shape_.contract.minimum};
  const double range = double{shape_.contract.maximum} - minimum;
  std::vector<double> totals = sums[tensor::kRatings];
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const double n = std::max(0.0, sums[tensor::kCounts][i]);
    totals[i] = (range * totals[i] + n * (minimum - double{scale[0]})) / double{scale[1]};
  }
  return apply_biases(state.shared, totals, sums[tensor::kCounts]);
}

Status Svd::apply_biases(TensorSet& shared, std::span<const double> totals, std::span<const double> counts) const {
  std::vector<float>& biases = shared.tensors[shared_tensor::kBiases].values;
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    biases[i] = static_cast<float>(totals[i] / (std::max(0.0, counts[i]) + parameters_.lambda_bias));
    if (!std::isfinite(biases[i])) {
      return fail(ErrorCode::non_finite, "the bias of an item is not finite: its sums are too large",
                  fmt::format("item {}", i));
    }
  }
  return {};
}

Status Svd::apply_pass(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  std::vector<Tensor>& tensors = state.shared.tensors;
  std::vector<float>& factors = tensors[shared_tensor::kFactors].values;
  const std::vector<double> old(factors.begin(), factors.end());
  // Y = Σ_u (x_u − V p_u on rated items) t_uᵀ + V Σ_u p_u t_uᵀ
  std::vector<double> y = sums[tensor::kProduct];
  const std::vector<double>& imputed = sums[tensor::kImputed];
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    double* const row = y.data() + std::size_t{i} * d;
    double squares = 0;
    for (std::size_t k = 0; k < d; ++k) {
      const double factor = old[std::size_t{i} * d + k];
      for (std::size_t l = 0; l < d; ++l) row[l] += factor * imputed[k * d + l];
    }
    for (std::size_t l = 0; l < d; ++l) squares += row[l] * row[l];
    if (!std::isfinite(squares * shape_.items)) {
      return fail(ErrorCode::non_finite, "the pass over an item is not finite: its sums are too large",
                  fmt::format("item {}", i));
    }
  }
  const std::vector<double> lengths = orthonormalise(y, old, shape_.items, d);
  for (std::size_t k = 0; k < y.size(); ++k) factors[k] = static_cast<float>(y[k]);

  // ω_k = σ² sqrt(N m) / e_k
  const double ratings = std::max(1.0, sums[tensor::kTrainMetrics][metric::kTraining]);
  const double devices = std::max(1.0, sums[tensor::kTrainMetrics][metric::kDevices]);
  const double noise = std::max(0.0, sums[tensor::kSpread][0]) / ratings;
  const auto rated =
      static_cast<double>(std::ranges::count_if(sums[tensor::kTrainCounts], [](double n) { return n > 0.5; }));
  for (std::size_t k = 0; k < d; ++k) {
    const double weight = lengths[k] > 0 ? noise * std::sqrt(devices * rated) / lengths[k] : kMostWeight;
    tensors[shared_tensor::kWeights].values[k] = static_cast<float>(std::clamp(weight, kLeastWeight, kMostWeight));
  }
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    tensors[shared_tensor::kPopularity].values[i] = static_cast<float>(std::max(0.0, sums[tensor::kTrainCounts][i]));
  }
  tensors[shared_tensor::kScale].values[2] += 1;
  return {};
}

Quality Svd::quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const {
  if (purpose == plan::Purpose::survey) return {};
  return read_quality(shape_.contract,
                      sums[purpose == plan::Purpose::train ? tensor::kTrainMetrics : tensor::kMeasureMetrics]);
}

}  // namespace chorus::model::svd
