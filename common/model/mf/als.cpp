#include "common/model/mf/als.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/model/layout_maker.hpp"

namespace chorus::model::mf {
namespace {

// |z_k z_l| as the curvature's clip; |z_k t| twice a gradient's, for t is a rating without its fit.
constexpr double kTargetClip = 2 * kGradientClip;
constexpr std::size_t kMatrix = 0, kTarget = 1;

}  // namespace

Result<std::unique_ptr<Model>> Als::make(Settings settings, const Parameters& parameters, const ModelShape& shape,
                                         Layouts layouts) {
  const std::size_t d = std::size_t{parameters.rank} + 1;
  LayoutMaker train(shape, parameters.bits);
  train.per_item("matrix", d * (d + 1) / 2, 1, kCurvatureClip);
  train.per_item("target", d, 1, kTargetClip);
  train.once("metrics", metric::kSize, 2, static_cast<double>(shape.contract.max_items_per_user));
  CHORUS_TRY(layouts.train, std::move(train).make());
  return std::unique_ptr<Model>(new Als(std::move(settings), parameters, shape, std::move(layouts)));
}

void Als::train(const TensorSet& tensors, const LocalData& data, ring::Contribution& out) const {
  const Shared shared = view(tensors);
  Ridge solved = rows_of(shared, data.training);
  solved.factorise(prior_);
  const crypto::ZeroizingVector<double> x = solved.solution();
  crypto::ZeroizingVector<double> z = x;
  z[0] = 1;
  const std::size_t d = dimension();
  double* row = out.rows.data();
  for (std::size_t r = 0; r < data.training.size(); ++r) {
    out.items[r] = data.training[r].item;
    for (std::size_t k = 0; k < d; ++k) {
      for (std::size_t l = 0; l <= k; ++l) *row++ = z[k] * z[l];
    }
    const double t = (double{data.training[r].value} - shared.mean) / shared.deviation - x[0];
    for (std::size_t k = 0; k < d; ++k) *row++ = z[k] * t;
  }
  const crypto::ZeroizingVector<double> e = residuals(solved, x);
  write_metrics(data, training_error(shared, data.training, e), squared_errors(shared, x, data.held_out), out.dense);
}

Status Als::apply_training(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  const std::size_t triangle = d * (d + 1) / 2;
  std::vector<float> factors = state.shared.tensors[0].values;
  std::vector<double> counts(shape_.items);
  std::vector<double> normal(d * d);
  std::vector<double> w(d);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const double* packed = sums[kMatrix].data() + std::size_t{i} * triangle;
    counts[i] = packed[0];
    for (std::size_t k = 0; k < d; ++k) {
      for (std::size_t l = 0; l <= k; ++l) normal[l * d + k] = *packed++;
      normal[k * d + k] += prior_[k];
      w[k] = sums[kTarget][std::size_t{i} * d + k];
    }
    bool finite = cholesky(normal.data(), d, d);
    if (finite) cholesky_solve(normal.data(), d, d, w.data());
    for (std::size_t k = 0; k < d && finite; ++k) {
      float& number = factors[std::size_t{i} * d + k];
      number = static_cast<float>(w[k]);
      finite = std::isfinite(number);
    }
    if (!finite) {
      return fail(ErrorCode::non_finite,
                  "the solution of an item is not finite: its summed matrix is not positive, or its sums are too large",
                  fmt::format("item {}", i));
    }
  }
  state.shared.tensors[0].values = std::move(factors);
  count_round(state, counts);
  return {};
}

}  // namespace chorus::model::mf
