// The device's side: local solve, contribution, scores, explanation.
#include <algorithm>

#include "common/base/check.hpp"
#include "common/model/latest.hpp"
#include "common/model/nmf/nmf.hpp"
#include "common/model/nmf/nonnegative.hpp"

namespace chorus::model::nmf {

Nmf::Fit Nmf::fit(const Shared& shared, std::span<const Observation> training) const {
  const std::size_t d = dimension();
  Fit fit{.matrix = crypto::ZeroizingVector<double>(d * d, 0.0),
          .factor = crypto::ZeroizingVector<double>(shared.user_mean, shared.user_mean + d),
          .targets = crypto::ZeroizingVector<double>(training.size())};
  crypto::ZeroizingVector<double> right(d);
  crypto::ZeroizingVector<double> q(d);
  for (std::size_t k = 0; k < d; ++k) right[k] = parameters_.lambda * double{shared.user_mean[k]};
  for (std::size_t r = 0; r < training.size(); ++r) {
    const std::size_t at = std::size_t{training[r].item} * d;
    for (std::size_t k = 0; k < d; ++k) q[k] = double{shared.factors[at + k]};
    const double target = (double{training[r].value} - origin()) / shared.unit;
    fit.targets[r] = target;
    for (std::size_t row = 0; row < d; ++row) {
      double* const __restrict matrix = fit.matrix.data() + row * d;
      const double factor = q[row];
      for (std::size_t column = 0; column < d; ++column) matrix[column] += factor * q[column];
      matrix[row] += double{shared.variances[at + row]};
      right[row] += factor * target;
    }
  }
  for (std::size_t k = 0; k < d; ++k) fit.matrix[k * d + k] += parameters_.lambda;
  // A published model may hold any finite number: where rounding takes the matrix its definiteness, this person has
  // the mean factor.
  if (!training.empty() && !solve_nonnegative(fit.matrix, right, fit.factor)) {
    fit.factor.assign(shared.user_mean, shared.user_mean + d);
  }
  return fit;
}

double Nmf::predicted_rating(const Shared& shared, std::span<const double> p, std::uint32_t item) const {
  const float* const q = shared.factors + std::size_t{item} * dimension();
  double sum = 0;
  for (std::size_t k = 0; k < p.size(); ++k) sum += p[k] * double{q[k]};
  return origin() + shared.unit * sum;
}

double Nmf::squared_errors(const Shared& shared, std::span<const double> p,
                           std::span<const Observation> ratings) const {
  double sum = 0;
  for (const Observation& rating : ratings) {
    sum += squared_error(shape_.contract, double{rating.value}, predicted_rating(shared, p, rating.item));
  }
  return sum;
}

PrivateState Nmf::solve(const TensorSet& shared, const LocalData& data) const {
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  return {.factor = fit(view(shared), training).factor, .covariance = {}};
}

void Nmf::contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                     ring::Contribution& out) const {
  const std::size_t cap = shape_.contract.max_items_per_user;
  Observations kept_training;
  Observations kept_held_out;
  const LocalData kept{.training = latest(data.training, cap, kept_training),
                       .held_out = latest(data.held_out, cap, kept_held_out)};
  const Shared s = view(shared);
  switch (purpose) {
    case plan::Purpose::survey:
      out.reset(layouts_.survey, 0);
      if (!kept.training.empty()) write_moments(shape_.contract, kept.training, out.dense);
      return;
    case plan::Purpose::train:
      out.reset(layouts_.train, kept.training.size());
      if (!kept.training.empty()) train(s, kept, out);
      return;
    case plan::Purpose::measure:
      out.reset(layouts_.measure, 0);
      if (kept.training.empty()) return;
      const Fit solved = fit(s, kept.training);
      write_metrics(kept, squared_errors(s, solved.factor, kept.training),
                    squared_errors(s, solved.factor, kept.held_out), out.dense);
      return;
  }
}

void Nmf::train(const Shared& shared, const LocalData& data, ring::Contribution& out) const {
  const std::size_t d = dimension();
  const Fit solved = fit(shared, data.training);
  const crypto::ZeroizingVector<double>& p = solved.factor;
  crypto::ZeroizingVector<double> variance(d, 0.0);
  if (!inverse_diagonal(solved.matrix, variance)) std::ranges::fill(variance, 0.0);
  for (double& value : variance) value *= parameters_.noise;

  // Items: g_i = e_ui p_u − s_u∘q_i, h_i = p_u∘p_u + s_u and a one.
  const std::size_t width = 2 * d + 1;
  double training_error = 0;
  for (std::size_t r = 0; r < data.training.size(); ++r) {
    out.items[r] = data.training[r].item;
    const float* const q = shared.factors + std::size_t{data.training[r].item} * d;
    double residual = solved.targets[r];
    for (std::size_t k = 0; k < d; ++k) residual -= p[k] * double{q[k]};
    double* const __restrict row = out.rows.data() + r * width;
    for (std::size_t k = 0; k < d; ++k) row[k] = residual * p[k] - variance[k] * double{q[k]};
    for (std::size_t k = 0; k < d; ++k) row[d + k] = p[k] * p[k] + variance[k];
    row[2 * d] = 1;
    const double rating = double{data.training[r].value};
    training_error += squared_error(shape_.contract, rating, rating - shared.unit * residual);
  }

  // Once: n_u (p_u p_uᵀ + diag(s_u)) (lower triangle, by rows), n_u, p_u, metrics.
  const auto n = static_cast<double>(data.training.size());
  double* dense = out.dense.data();
  for (std::size_t row = 0; row < d; ++row) {
    for (std::size_t column = 0; column < row; ++column) *dense++ = n * p[row] * p[column];
    *dense++ = n * (p[row] * p[row] + variance[row]);
  }
  *dense++ = n;
  for (std::size_t k = 0; k < d; ++k) *dense++ = p[k];
  write_metrics(data, training_error, squared_errors(shared, p, data.held_out), {dense, metric::kSize});
}

void Nmf::score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const {
  CHORUS_ENSURE(out.size() == shape_.items && mine.factor.size() == dimension(), "scores of every item");
  const Shared s = view(shared);
  for (std::uint32_t i = 0; i < shape_.items; ++i) out[i] = static_cast<float>(predicted_rating(s, mine.factor, i));
}

double Nmf::score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items && mine.factor.size() == dimension(), "a score of an item of the catalogue");
  return predicted_rating(view(shared), mine.factor, item);
}

Explanation Nmf::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  const std::size_t d = dimension();
  const Shared s = view(shared);
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  const Fit solved = fit(s, training);
  const auto on_support = [&](std::size_t k) { return solved.factor[k] > 0; };

  // a = M_AA⁻¹ q_i,A. Where the solve kept the mean factor, history adds nothing.
  crypto::ZeroizingVector<double> q(d);
  for (std::size_t k = 0; k < d; ++k) q[k] = double{s.factors[std::size_t{item} * d + k]};
  crypto::ZeroizingVector<double> a(d);
  if (!solve_on_support(solved.matrix, q, solved.factor, a)) std::ranges::fill(a, 0.0);

  Explanation explanation;
  double mean_person = 0;
  for (std::size_t k = 0; k < d; ++k) mean_person += on_support(k) ? q[k] * double{s.user_mean[k]} : 0;
  explanation.parts.push_back({.kind = ScorePart::Kind::base, .item = 0, .amount = origin()});
  explanation.parts.push_back({.kind = ScorePart::Kind::item, .item = item, .amount = s.unit * mean_person});
  for (std::size_t r = 0; r < training.size(); ++r) {
    const std::size_t at = std::size_t{training[r].item} * d;
    double weight = 0;                    // a · q_j,A
    double surprise = solved.targets[r];  // r_j − q_j,A·p̄_A
    double doubt = 0;                     // a · (v_j,A∘p̄_A)
    for (std::size_t k = 0; k < d; ++k) {
      if (!on_support(k)) continue;
      const double mean = double{s.user_mean[k]};
      weight += a[k] * double{s.factors[at + k]};
      surprise -= double{s.factors[at + k]} * mean;
      doubt += a[k] * double{s.variances[at + k]} * mean;
    }
    explanation.parts.push_back(
        {.kind = ScorePart::Kind::history, .item = training[r].item, .amount = s.unit * (weight * surprise - doubt)});
  }
  explanation.score = predicted_rating(s, solved.factor, item);
  return explanation;
}

}  // namespace chorus::model::nmf
