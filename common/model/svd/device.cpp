// The device's side: local solve, contribution, scores, explanation.
#include <algorithm>

#include "common/base/check.hpp"
#include "common/model/latest.hpp"
#include "common/model/svd/svd.hpp"

namespace chorus::model::svd {

Svd::Fit Svd::fit(const Shared& shared, std::span<const Observation> training) const {
  const std::size_t d = dimension();
  Fit fit{.ridge = Ridge(d, training.size()), .bias = 0, .p = crypto::ZeroizingVector<double>(d, 0.0)};
  double total = 0;
  for (std::size_t r = 0; r < training.size(); ++r) {
    const std::uint32_t item = training[r].item;
    const std::span<double> row = fit.ridge.row(r);
    for (std::size_t k = 0; k < d; ++k) row[k] = double{shared.factors[std::size_t{item} * d + k]};
    fit.ridge.target(r) = (double{training[r].value} - shared.mean) / shared.deviation - double{shared.biases[item]};
    total += fit.ridge.target(r);
  }
  fit.bias = total / (static_cast<double>(training.size()) + parameters_.lambda_bias);
  for (std::size_t r = 0; r < training.size(); ++r) fit.ridge.target(r) -= fit.bias;
  if (shared.trained) {
    crypto::ZeroizingVector<double> weights(shared.weights, shared.weights + d);
    fit.ridge.factorise(weights);
    fit.p = fit.ridge.solution();
  }
  return fit;
}

double Svd::predicted_rating(const Shared& shared, double bias, std::span<const double> p, std::uint32_t item) const {
  const std::size_t d = dimension();
  double sum = bias + double{shared.biases[item]};
  // Before the first pass p = 0.
  for (std::size_t k = 0; k < d; ++k) sum += p[k] * double{shared.factors[std::size_t{item} * d + k]};
  return shared.mean + shared.deviation * sum;
}

double Svd::squared_errors(const Shared& shared, const Fit& fit, std::span<const Observation> ratings) const {
  double sum = 0;
  for (const Observation& rating : ratings) {
    sum += squared_error(shape_.contract, double{rating.value}, predicted_rating(shared, fit.bias, fit.p, rating.item));
  }
  return sum;
}

double Svd::unit_rating(const Observation& rating) const noexcept {
  const double minimum = double{shape_.contract.minimum};
  return (double{rating.value} - minimum) / (double{shape_.contract.maximum} - minimum);
}

PrivateState Svd::solve(const TensorSet& shared, const LocalData& data) const {
  PrivateState state;
  state.factor.assign(dimension() + 1, 0.0);
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  if (training.empty()) return state;
  const Fit solved = fit(view(shared), training);
  state.factor[0] = solved.bias;
  std::ranges::copy(solved.p, state.factor.begin() + 1);
  return state;
}

void Svd::contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                     ring::Contribution& out) const {
  const std::size_t cap = shape_.contract.max_items_per_user;
  Observations kept_training;
  Observations kept_held_out;
  const LocalData kept{.training = latest(data.training, cap, kept_training),
                       .held_out = latest(data.held_out, cap, kept_held_out)};
  const Shared s = view(shared);
  switch (purpose) {
    case plan::Purpose::survey:
      out.reset(layouts_.survey, kept.training.size());
      if (!kept.training.empty()) survey(kept.training, out);
      return;
    case plan::Purpose::train:
      out.reset(layouts_.train, kept.training.size());
      if (!kept.training.empty()) train(s, kept, out);
      return;
    case plan::Purpose::measure:
      out.reset(layouts_.measure, 0);
      if (kept.training.empty()) return;
      const Fit solved = fit(s, kept.training);
      write_metrics(kept, squared_errors(s, solved, kept.training), squared_errors(s, solved, kept.held_out),
                    out.dense);
      return;
  }
}

void Svd::survey(std::span<const Observation> training, ring::Contribution& out) const {
  for (std::size_t r = 0; r < training.size(); ++r) {
    out.items[r] = training[r].item;
    out.rows[2 * r] = unit_rating(training[r]);
    out.rows[2 * r + 1] = 1;
  }
  write_moments(shape_.contract, training, out.dense);
}

void Svd::train(const Shared& shared, const LocalData& data, ring::Contribution& out) const {
  const std::size_t d = dimension();
  const Fit solved = fit(shared, data.training);
  const std::size_t n = data.training.size();
  // e_j = x_uj − V_j·p_u;   t_u = p_u + Σ_j V_j e_j
  crypto::ZeroizingVector<double> e(n);
  crypto::ZeroizingVector<double> t = solved.p;
  double spread = 0;
  for (std::size_t r = 0; r < n; ++r) {
    const double x = solved.ridge.target(r);
    e[r] = x - solved.ridge.predict(solved.p, r);
    spread += x * x;
    const std::span<const double> row = solved.ridge.row(r);
    for (std::size_t k = 0; k < d; ++k) t[k] += row[k] * e[r];
  }

  const std::size_t width = 2 + d;
  for (std::size_t r = 0; r < n; ++r) {
    out.items[r] = data.training[r].item;
    double* const row = out.rows.data() + r * width;
    row[0] = solved.ridge.target(r) + double{shared.biases[data.training[r].item]};
    row[1] = 1;
    for (std::size_t k = 0; k < d; ++k) row[2 + k] = e[r] * t[k];
  }

  // Once: p_u t_uᵀ by rows, Σ x², metrics.
  double* dense = out.dense.data();
  for (std::size_t row = 0; row < d; ++row) {
    for (std::size_t column = 0; column < d; ++column) *dense++ = solved.p[row] * t[column];
  }
  *dense++ = spread;
  write_metrics(data, squared_errors(shared, solved, data.training), squared_errors(shared, solved, data.held_out),
                {dense, metric::kSize});
}

void Svd::score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const {
  CHORUS_ENSURE(out.size() == shape_.items, "scores of every item");
  for (std::uint32_t i = 0; i < shape_.items; ++i) out[i] = static_cast<float>(score(shared, mine, i));
}

double Svd::score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items && mine.factor.size() == dimension() + 1, "a score of an item of the catalogue");
  return predicted_rating(view(shared), mine.factor[0], std::span(mine.factor).subspan(1), item);
}

Explanation Svd::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  const std::size_t d = dimension();
  const Shared s = view(shared);
  Explanation explanation;
  explanation.parts.push_back({.kind = ScorePart::Kind::base, .item = 0, .amount = s.mean});
  explanation.parts.push_back(
      {.kind = ScorePart::Kind::item, .item = item, .amount = s.deviation * double{s.biases[item]}});
  explanation.score = score(shared, solve(shared, data), item);
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  if (training.empty()) return explanation;
  const Fit solved = fit(s, training);
  crypto::ZeroizingVector<double> a(d, 0.0);
  if (s.trained) {
    for (std::size_t k = 0; k < d; ++k) a[k] = double{s.factors[std::size_t{item} * d + k]};
    solved.ridge.solve(a);
  }
  crypto::ZeroizingVector<double> along(training.size());
  double total = 0;
  for (std::size_t r = 0; r < training.size(); ++r) total += along[r] = solved.ridge.predict(a, r);
  const double share = 1 / (static_cast<double>(training.size()) + parameters_.lambda_bias);
  for (std::size_t r = 0; r < training.size(); ++r) {
    const double y = solved.ridge.target(r) + solved.bias;
    explanation.parts.push_back({.kind = ScorePart::Kind::history,
                                 .item = training[r].item,
                                 .amount = s.deviation * y * (share + along[r] - share * total)});
  }
  return explanation;
}

}  // namespace chorus::model::svd
