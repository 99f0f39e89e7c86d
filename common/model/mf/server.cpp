// The coordinator's side: initial factors, survey, server step, metrics.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/initial_factors.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/mf/mf.hpp"

namespace chorus::model::mf {
namespace {

constexpr std::string_view kMomentum = "momentum";

}  // namespace

ServerState Mf::initial() const {
  const auto d = static_cast<std::uint32_t>(dimension());
  ServerState state;
  state.shared.tensors = {{.name = "item_factors", .rows = 0, .columns = d, .values = {}},
                          {.name = "scale", .rows = 1, .columns = 3, .values = {}},
                          {.name = "popularity", .rows = 0, .columns = 1, .values = {}}};
  const RatingScale scale = unsurveyed_scale(shape_.contract);
  state.shared.tensors[1].values = {static_cast<float>(scale.mean), static_cast<float>(scale.deviation), 0};
  append_rows(state, 0);
  return state;
}

void Mf::grow(ServerState& state) const {
  const Tensor* factors = state.shared.find("item_factors");
  CHORUS_ENSURE(factors != nullptr && factors->columns == dimension() && factors->rows <= shape_.items,
                "a state grows under the model that made it");
  append_rows(state, factors->rows);
}

void Mf::append_rows(ServerState& state, std::uint32_t from) const {
  const std::size_t d = dimension();
  Tensor& factors = state.shared.tensors[0];
  Tensor& popularity = state.shared.tensors[2];
  factors.rows = popularity.rows = shape_.items;
  factors.values.resize(std::size_t{shape_.items} * d, 0.0F);
  popularity.values.resize(shape_.items, 0.0F);
  state.hidden[std::string(kMomentum)].resize(std::size_t{shape_.items} * d, 0.0);

  fill_initial_factors("mf", parameters_.seed, parameters_.initial_scale,
                       {.from = from,
                        .rows = shape_.items,
                        .stride = static_cast<std::uint32_t>(d),
                        .first = 1,
                        .columns = parameters_.rank},
                       factors.values);
}

Status Mf::step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                std::uint64_t /*contributors*/) const {
  CHORUS_TRY_DO(check_shared(state.shared));
  const plan::UpdateLayout layout = this->layout(purpose, training_rounds(state.shared));
  CHORUS_ENSURE(purpose != plan::Purpose::measure, "a measuring round has no server step");
  CHORUS_TRY_DO(check_sums(layout, sums));
  if (purpose == plan::Purpose::survey) {
    apply_survey(state, sums);
    return {};
  }
  if (parameters_.least_raters == 1) return apply_training(state, sums);
  const TensorSet before = state.shared;
  CHORUS_TRY_DO(apply_training(state, sums));
  withhold_rare(before, state.shared);
  return {};
}

void Mf::withhold_rare(const TensorSet& before, TensorSet& after) const {
  const std::vector<float> counts = after.find("popularity")->values;  // of this round
  for (std::size_t t = 0; t < after.tensors.size(); ++t) {
    Tensor& tensor = after.tensors[t];
    if (tensor.rows != shape_.items) continue;
    const std::size_t width = tensor.columns;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] >= static_cast<float>(parameters_.least_raters)) continue;
      std::copy_n(before.tensors[t].values.data() + i * width, width, tensor.values.data() + i * width);
    }
  }
}

void Mf::apply_survey(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::optional<RatingScale> found = surveyed_scale(shape_.contract, sums[tensor::kMoments]);
  if (!found) return;  // nobody had a rating: the scale stays as it was
  std::vector<float>& scale = state.shared.tensors[1].values;
  scale[0] = static_cast<float>(found->mean);
  scale[1] = static_cast<float>(found->deviation);
}

Status Mf::apply_training(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  std::vector<double>& momentum = state.hidden[std::string(kMomentum)];
  if (momentum.size() != std::size_t{shape_.items} * d) {
    return fail(ErrorCode::wrong_model, fmt::format("the server state has {} numbers of momentum, not {}",
                                                    momentum.size(), std::size_t{shape_.items} * d));
  }
  const std::vector<double> curvature = this->curvature(sums);
  const std::span<const double> prior = prior_of(state.shared);
  std::vector<float> factors = state.shared.tensors[0].values;
  std::vector<double> next = momentum;
  std::vector<double> metric(d * d);
  std::vector<double> step(d);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const double n = std::max(0.0, sums[tensor::kCount][i]);
    const double* gradient = sums[tensor::kGradient].data() + std::size_t{i} * d;
    float* w = factors.data() + std::size_t{i} * d;
    double* m = next.data() + std::size_t{i} * d;
    // M_i = n_i C + Λ;  m_i ← β m_i + M_i⁻¹ (G_i − Λ w_i);  w_i += η m_i
    for (std::size_t row = 0; row < d; ++row) {
      for (std::size_t column = row; column < d; ++column) {
        metric[row * d + column] = n * curvature[row * d + column];
      }
      metric[row * d + row] += prior[row];
      step[row] = gradient[row] - prior[row] * double{w[row]};
    }
    bool finite = cholesky(metric.data(), d, d);
    if (finite) cholesky_solve(metric.data(), d, d, step.data());
    for (std::size_t k = 0; k < d && finite; ++k) {
      m[k] = parameters_.momentum * m[k] + step[k];
      w[k] = static_cast<float>(double{w[k]} + parameters_.rate * m[k]);
      finite = std::isfinite(m[k]) && std::isfinite(w[k]);
    }
    if (!finite) {
      return fail(ErrorCode::non_finite,
                  "the step of an item is not finite: its summed curvature is not positive, or its sums are too large",
                  fmt::format("item {}", i));
    }
  }
  momentum = std::move(next);
  state.shared.tensors[0].values = std::move(factors);
  count_round(state, sums[tensor::kCount]);
  return {};
}

std::vector<double> Mf::curvature(std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  std::vector<double> full(d * d, 0.0);
  const double weight = sums[tensor::kWeight][0];
  if (!(weight > 0)) return full;
  const double* packed = sums[tensor::kCurvature].data();
  for (std::size_t row = 0; row < d; ++row) {
    for (std::size_t column = 0; column <= row; ++column) {
      full[row * d + column] = full[column * d + row] = *packed++ / weight;
    }
  }
  return full;
}

void Mf::count_round(ServerState& state, std::span<const double> counts) const {
  std::vector<float>& popularity = state.shared.tensors[2].values;
  for (std::uint32_t i = 0; i < shape_.items; ++i) popularity[i] = static_cast<float>(std::max(0.0, counts[i]));
  state.shared.tensors[1].values[2] += 1;
}

Quality Mf::quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const {
  if (purpose == plan::Purpose::survey) return {};
  return read_quality(shape_.contract, sums[*layout(purpose, 0).find("metrics")]);
}

}  // namespace chorus::model::mf
