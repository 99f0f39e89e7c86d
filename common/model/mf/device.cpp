// The device's side: local solve, contribution, scores, explanation.
#include <algorithm>
#include <cmath>

#include <Eigen/Dense>

#include "common/base/check.hpp"
#include "common/model/latest.hpp"
#include "common/model/mf/mf.hpp"

namespace chorus::model::mf {
Ridge Mf::rows_of(const Shared& shared, std::span<const Observation> training) const {
  const std::size_t d = dimension();
  Ridge ridge(d, training.size());
  for (std::size_t r = 0; r < training.size(); ++r) {
    const float* w = shared.factors + std::size_t{training[r].item} * d;
    const std::span<double> y = ridge.row(r);
    y[0] = 1;
    for (std::size_t k = 1; k < d; ++k) y[k] = double{w[k]};
    ridge.target(r) = (double{training[r].value} - shared.mean) / shared.deviation - double{w[0]};
  }
  return ridge;
}

crypto::ZeroizingVector<double> Mf::factor_of(const TensorSet& shared, std::span<const Observation> training) const {
  Ridge ridge = rows_of(view(shared), training);
  ridge.factorise(prior_of(shared));
  return ridge.solution();
}

double Mf::predicted_rating(const Shared& shared, std::span<const double> x, std::uint32_t item) const {
  const std::size_t d = dimension();
  const float* w = shared.factors + std::size_t{item} * d;
  double sum = x[0] + double{w[0]};
  for (std::size_t k = 1; k < d; ++k) sum += x[k] * double{w[k]};
  return shared.mean + shared.deviation * sum;
}

PrivateState Mf::solve(const TensorSet& shared, const LocalData& data) const {
  PrivateState state;
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  if (training.empty()) {
    state.factor.assign(dimension(), 0.0);
  } else {
    state.factor = factor_of(shared, training);
  }
  return state;
}

void Mf::contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                    ring::Contribution& out) const {
  const std::size_t cap = shape_.contract.max_items_per_user;
  Observations kept_training;
  Observations kept_held_out;
  const LocalData kept{.training = latest(data.training, cap, kept_training),
                       .held_out = latest(data.held_out, cap, kept_held_out)};
  const bool per_item = purpose == plan::Purpose::train;
  out.reset(layout(purpose, training_rounds(shared)), per_item ? kept.training.size() : 0);
  if (kept.training.empty()) return;
  switch (purpose) {
    case plan::Purpose::survey:
      return survey(kept.training, out);
    case plan::Purpose::train:
      return train(shared, kept, out);
    case plan::Purpose::measure:
      return measure(shared, kept, out);
  }
}

void Mf::survey(std::span<const Observation> training, ring::Contribution& out) const {
  write_moments(shape_.contract, training, std::span(out.dense).first(moment::kSize));
}

void Mf::train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const {
  write_newton(shared, data, out);
}

crypto::ZeroizingVector<double> Mf::write_newton(const TensorSet& tensors, const LocalData& data,
                                                 ring::Contribution& out) const {
  const std::size_t d = dimension();
  const Shared shared = view(tensors);
  Ridge solved = rows_of(shared, data.training);
  solved.factorise(prior_of(tensors));
  crypto::ZeroizingVector<double> x = solved.solution();
  crypto::ZeroizingVector<double> z = x;
  z[0] = 1;

  // Items: g_i = e_ui z_u and a one.
  const std::size_t width = d + 1;
  const crypto::ZeroizingVector<double> e = residuals(solved, x);
  for (std::size_t r = 0; r < data.training.size(); ++r) {
    out.items[r] = data.training[r].item;
    double* const __restrict row = out.rows.data() + r * width;
    for (std::size_t k = 0; k < d; ++k) row[k] = e[r] * z[k];
    row[d] = 1;
  }

  // Once: n_u z_u z_uᵀ (lower triangle, by rows), n_u, metrics.
  const auto n = static_cast<double>(data.training.size());
  double* dense = out.dense.data();
  for (std::size_t row = 0; row < d; ++row) {
    for (std::size_t column = 0; column <= row; ++column) *dense++ = n * z[row] * z[column];
  }
  *dense++ = n;
  write_metrics(data, training_error(shared, data.training, e), squared_errors(shared, x, data.held_out),
                {dense, metric::kSize});
  return x;
}

crypto::ZeroizingVector<double> Mf::residuals(const Ridge& solved, std::span<const double> x) {
  crypto::ZeroizingVector<double> e(solved.rows());
  for (std::size_t r = 0; r < e.size(); ++r) e[r] = solved.target(r) - solved.predict(x, r);
  return e;
}

double Mf::training_error(const Shared& shared, std::span<const Observation> training,
                          std::span<const double> residuals) const {
  double sum = 0;
  for (std::size_t r = 0; r < training.size(); ++r) {
    const double rating = double{training[r].value};
    sum += squared_error(shape_.contract, rating, rating - shared.deviation * residuals[r]);
  }
  return sum;
}

double Mf::squared_errors(const Shared& shared, std::span<const double> x, std::span<const Observation> ratings) const {
  double sum = 0;
  for (const Observation& rating : ratings) {
    sum += squared_error(shape_.contract, double{rating.value}, predicted_rating(shared, x, rating.item));
  }
  return sum;
}

void Mf::measure(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const {
  const Shared s = view(shared);
  const crypto::ZeroizingVector<double> x = factor_of(shared, data.training);
  write_metrics(data, squared_errors(s, x, data.training), squared_errors(s, x, data.held_out), out.dense);
}

void Mf::score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const {
  CHORUS_ENSURE(out.size() == shape_.items && mine.factor.size() == dimension(), "scores of every item");
  const Shared s = view(shared);
  const auto d = static_cast<Eigen::Index>(dimension());
  const auto items = static_cast<Eigen::Index>(shape_.items);
  // mean + deviation·(b + [1; p]ᵀ [c; q]), one pass over the factors.
  Eigen::VectorXf z(d);
  z[0] = static_cast<float>(s.deviation);
  for (Eigen::Index k = 1; k < d; ++k) {
    z[k] = static_cast<float>(s.deviation * mine.factor[static_cast<std::size_t>(k)]);
  }
  using Factors = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<Eigen::VectorXf> scores(out.data(), items);
  scores.setConstant(static_cast<float>(s.mean + s.deviation * mine.factor[0]));
  scores.noalias() += Eigen::Map<const Factors>(s.factors, items, d) * z;
}

double Mf::score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items && mine.factor.size() == dimension(), "a score of an item of the catalogue");
  const Shared s = view(shared);
  return predicted_rating(s, mine.factor, item);
}

Explanation Mf::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  const Shared s = view(shared);
  const std::size_t d = dimension();
  const float* w = s.factors + std::size_t{item} * d;
  Explanation explanation;
  explanation.parts.push_back({.kind = ScorePart::Kind::base, .amount = s.mean});
  explanation.parts.push_back({.kind = ScorePart::Kind::item, .item = item, .amount = s.deviation * double{w[0]}});
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  if (!training.empty()) {
    // r̂ = c_i + Σ_j (y_iᵀ M⁻¹ y_j) t_j: with v = M⁻¹ y_i, item j's share is (v · y_j) t_j.
    Ridge solved = rows_of(s, training);
    solved.factorise(prior_of(shared));
    crypto::ZeroizingVector<double> v(d);
    v[0] = 1;
    for (std::size_t k = 1; k < d; ++k) v[k] = double{w[k]};
    solved.solve(v);
    for (std::size_t r = 0; r < training.size(); ++r) {
      explanation.parts.push_back({.kind = ScorePart::Kind::history,
                                   .item = training[r].item,
                                   .amount = s.deviation * solved.predict(v, r) * solved.target(r)});
    }
  }
  explanation.score = score(shared, solve(shared, data), item);
  return explanation;
}

}  // namespace chorus::model::mf
