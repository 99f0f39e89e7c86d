// The device's side: local solve, contribution, explanation.
#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"
#include "common/model/latest.hpp"
#include "common/model/mf/variational.hpp"
#include "common/model/mf/variational_tensors.hpp"

namespace chorus::model::mf {
namespace {

// Appends the lower triangle of factor · v vᵀ, by rows.
double* write_outer(std::span<const double> v, double factor, double* out) {
  for (std::size_t row = 0; row < v.size(); ++row) {
    for (std::size_t column = 0; column <= row; ++column) *out++ = factor * v[row] * v[column];
  }
  return out;
}

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

}  // namespace

void Variational::shrinkage(const Published& from, std::uint32_t item, std::span<double> out) const {
  const double n = double{from.counts[item]};
  for (std::size_t k = 0; k < out.size(); ++k) out[k] = 1 / (n * from.gamma[k] + 1);
}

Variational::Solved Variational::solve_locally(const Published& from, std::span<const Observation> training) const {
  const std::size_t d = dimension();
  Solved solved{.ridge = rows_of(from.base, training),
                .prior_mean = crypto::ZeroizingVector<double>(d, 0.0),
                .features = {},
                .twin_factor = {},
                .x = {}};
  if (from.twin.rank > 0) {
    // μ_u = B_U f_u
    solved.twin_factor = twin_factor(from.twin, training);
    solved.features =
        twin_features(solved.twin_factor, double{from.twin.scale[twin_scale::kUserRms]},
                      static_cast<double>(training.size()), double{from.twin.scale[twin_scale::kUserLog]});
    const std::size_t f = solved.features.size();
    for (std::size_t row = 0; row < d; ++row) {
      for (std::size_t k = 0; k < f; ++k) {
        solved.prior_mean[row] += double{from.map_users[row * f + k]} * solved.features[k];
      }
    }
  }
  std::vector<double> prior(from.prior_users.begin(), from.prior_users.end());
  crypto::ZeroizingVector<double> right(d, 0.0);
  for (std::size_t k = 0; k < d; ++k) right[k] = prior[k] * solved.prior_mean[k];
  crypto::ZeroizingVector<double> extra;
  if (!from.basis.empty()) {
    // Σ_i over the rated items is σ² V diag(Σ 1/(n_i γ + 1)) Vᵀ.
    crypto::ZeroizingVector<double> total(d, 0.0);
    crypto::ZeroizingVector<double> one(d);
    for (const Observation& rating : training) {
      shrinkage(from, rating.item, one);
      for (std::size_t k = 0; k < d; ++k) total[k] += one[k];
    }
    extra.assign(d * d, 0.0);
    for (std::size_t row = 1; row < d; ++row) {
      for (std::size_t column = 0; column < d; ++column) {
        double sum = 0;
        for (std::size_t k = 0; k < d; ++k) {
          sum += from.basis[row * d + k] * total[k] * from.basis[column * d + k];
        }
        if (column == 0) {
          right[row] -= from.noise * sum;
        } else {
          extra[row * d + column] = from.noise * sum;
        }
      }
    }
  }
  solved.ridge.factorise(prior, extra);
  solved.x = solved.ridge.solution(right);
  return solved;
}

crypto::ZeroizingVector<double> Variational::factor_of(const TensorSet& shared,
                                                       std::span<const Observation> training) const {
  return solve_locally(published(shared), training).x;
}

PrivateState Variational::solve(const TensorSet& shared, const LocalData& data) const {
  Observations kept;
  PrivateState state;
  state.factor = factor_of(shared, latest(data.training, shape_.contract.max_items_per_user, kept));
  return state;
}

void Variational::survey(std::span<const Observation> training, ring::Contribution& out) const {
  if (parameters_.twin) {
    out.reset(layouts_.survey, training.size());
    for (std::size_t r = 0; r < training.size(); ++r) {
      out.items[r] = training[r].item;
      out.rows[r] = 1;
    }
    const auto n = static_cast<double>(training.size());
    double* const numbers = out.dense.data() + moment::kSize;
    numbers[activity::kSquares] = n * n / static_cast<double>(shape_.contract.max_items_per_user);
    numbers[activity::kLog] = log_of_count(n);
  }
  Mf::survey(training, out);
}

void Variational::train(const TensorSet& tensors, const LocalData& data, ring::Contribution& out) const {
  const std::size_t d = dimension();
  const std::size_t k = parameters_.twin_rank;
  const bool learns = twin_learns(training_rounds(tensors));
  const bool spread = parameters_.update == Update::vb;
  const Published from = published(tensors);
  const Solved solved = solve_locally(from, data.training);
  const std::span<const double> x = solved.x;
  crypto::ZeroizingVector<double> z = solved.x;
  z[0] = 1;
  crypto::ZeroizingVector<double> covariance;  // Σ_u
  if (spread) {
    covariance = solved.ridge.inverse();
    for (double& c : covariance) c *= from.noise;
  }
  // In V's basis, z_uᵀ Σ_i z_u + tr(Σ_u[1:,1:] Σ_i[1:,1:]) is σ² Σ_k own_k / (n_i γ_k + 1) with
  // own_k = (V_kᵀ z)² + V_k[1:]ᵀ Σ_u[1:,1:] V_k[1:].
  crypto::ZeroizingVector<double> own(from.basis.empty() ? 0 : d, 0.0);
  for (std::size_t c = 0; c < own.size(); ++c) {
    double along = 0;
    for (std::size_t row = 0; row < d; ++row) {
      const double v = from.basis[row * d + c];
      along += v * z[row];
      for (std::size_t column = 1; column < d && row > 0; ++column) {
        own[c] += v * covariance[row * d + column] * from.basis[column * d + c];
      }
    }
    own[c] += along * along;
  }

  const std::size_t width = d + 1 + (learns ? k : 0);
  const crypto::ZeroizingVector<double> e = residuals(solved.ridge, x);
  double noise = 0;
  crypto::ZeroizingVector<double> shrunk(own.size());
  for (std::size_t r = 0; r < data.training.size(); ++r) {
    out.items[r] = data.training[r].item;
    const double residual = e[r];
    const std::span<const double> y = solved.ridge.row(r);
    double* const row = out.rows.data() + r * width;
    for (std::size_t c = 0; c < d; ++c) row[c] = residual * z[c];
    row[d] = 1;
    noise += residual * residual;
    if (spread) {
      for (std::size_t c = 0; c < d; ++c) {
        const double product = dot({covariance.data() + c * d, d}, y);  // (Σ_u y_i)_c
        if (c > 0) row[c] -= product;
        noise += y[c] * product;
      }
    }
    if (!own.empty()) {
      shrinkage(from, data.training[r].item, shrunk);
      noise += from.noise * dot(own, shrunk);
    }
    if (learns) {
      // (1 − p·q_i) p
      const float* const q = from.twin.factors.data() + std::size_t{data.training[r].item} * k;
      double score = 0;
      for (std::size_t c = 0; c < k; ++c) score += solved.twin_factor[c] * double{q[c]};
      for (std::size_t c = 0; c < k; ++c) row[d + 1 + c] = (1 - score) * solved.twin_factor[c];
    }
  }

  const auto n = static_cast<double>(data.training.size());
  double* dense = out.dense.data();
  for (std::size_t row = 0; row < d; ++row) {
    for (std::size_t column = 0; column <= row; ++column) {
      const double variance = spread && column > 0 ? covariance[row * d + column] : 0;
      *dense++ = n * (z[row] * z[column] + variance);
    }
  }
  *dense++ = n;
  write_metrics(data, training_error(from.base, data.training, e), squared_errors(from.base, x, data.held_out),
                {dense, metric::kSize});
  dense += metric::kSize;
  for (std::size_t c = 0; c < d; ++c) {
    const double difference = x[c] - solved.prior_mean[c];
    *dense++ = difference * difference + (spread ? covariance[c * d + c] : 0);
  }
  *dense++ = noise;
  if (!parameters_.twin) return;
  for (std::size_t c = 0; c < d; ++c) {
    for (const double f : solved.features) *dense++ = x[c] * f;
  }
  dense = write_outer(solved.features, 1, dense);
  if (!learns) return;
  dense = write_outer(solved.twin_factor, 1, dense);
  write_outer(solved.twin_factor, n, dense);
}

Explanation Variational::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  const Published from = published(shared);
  const std::size_t d = dimension();
  const double deviation = from.base.deviation;
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  const Solved solved = solve_locally(from, training);
  const float* const w = from.base.factors + std::size_t{item} * d;
  Explanation explanation;
  explanation.parts.push_back({.kind = ScorePart::Kind::base, .amount = from.base.mean});
  explanation.parts.push_back({.kind = ScorePart::Kind::item, .item = item, .amount = deviation * double{w[0]}});
  // With v = N_u⁻¹ y_i: rating j's share is v·(y_j t_j − [0; Σ_j[1:,0]]), the prior's v·Λ_U μ_u.
  crypto::ZeroizingVector<double> v(d);
  v[0] = 1;
  for (std::size_t k = 1; k < d; ++k) v[k] = double{w[k]};
  solved.ridge.solve(v);
  if (parameters_.twin) {
    double amount = 0;
    for (std::size_t k = 0; k < d; ++k) amount += v[k] * double{from.prior_users[k]} * solved.prior_mean[k];
    explanation.parts.push_back({.kind = ScorePart::Kind::prior, .amount = deviation * amount});
  }
  // v[1:]·Σ_j[1:,0] in V's basis.
  std::vector<double> across(from.gamma.size(), 0.0);
  for (std::size_t k = 0; k < across.size(); ++k) {
    for (std::size_t row = 1; row < d; ++row) across[k] += v[row] * from.basis[row * d + k];
    across[k] *= from.noise * from.basis[k];
  }
  crypto::ZeroizingVector<double> shrunk(across.size());
  for (std::size_t r = 0; r < training.size(); ++r) {
    double amount = solved.ridge.predict(v, r) * solved.ridge.target(r);
    if (!across.empty()) {
      shrinkage(from, training[r].item, shrunk);
      amount -= dot(across, shrunk);
    }
    explanation.parts.push_back(
        {.kind = ScorePart::Kind::history, .item = training[r].item, .amount = deviation * amount});
  }
  explanation.score = predicted_rating(from.base, solved.x, item);
  return explanation;
}

}  // namespace chorus::model::mf
