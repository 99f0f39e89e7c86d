// The device's side: local solve, contribution, scores, explanation.
#include <algorithm>

#include <Eigen/Dense>

#include "common/base/check.hpp"
#include "common/model/event_sums.hpp"
#include "common/model/ials/ials.hpp"
#include "common/model/ials/trial.hpp"
#include "common/model/latest.hpp"

namespace chorus::model::ials {

Ridge Ials::normal_of(const TensorSet& shared, std::span<const Observation> training, double times) const {
  const std::size_t d = dimension();
  const float* const factors = shared.tensors[shared_tensor::kFactors].values.data();
  Ridge ridge(d, training.size());
  for (std::size_t r = 0; r < training.size(); ++r) {
    const float* const q = factors + std::size_t{training[r].item} * d;
    const std::span<double> row = ridge.row(r);
    for (std::size_t k = 0; k < d; ++k) row[k] = double{q[k]};
    ridge.target(r) = 1;
  }
  const double lambda = times * double{shared.tensors[shared_tensor::kScale].values[scale::kLambda]};
  const std::vector<double> prior(
      d, weighted(lambda, static_cast<double>(training.size()), static_cast<double>(shape_.items)));
  std::vector<double> others(d * d);
  std::ranges::transform(shared.tensors[shared_tensor::kGram].values, others.begin(),
                         [this](float x) { return parameters_.alpha * double{x}; });
  ridge.factorise(prior, others);
  return ridge;
}

PrivateState Ials::solve(const TensorSet& shared, const LocalData& data) const {
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  PrivateState state;
  if (training.empty()) {
    state.factor.assign(dimension(), 0.0);
  } else {
    state.factor = normal_of(shared, training).solution();
  }
  return state;
}

void Ials::contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                      ring::Contribution& out) const {
  const std::size_t cap = shape_.contract.max_items_per_user;
  Observations kept_training;
  Observations kept_held_out;
  const LocalData kept{.training = latest(data.training, cap, kept_training),
                       .held_out = latest(data.held_out, cap, kept_held_out)};
  out.reset(layout(purpose, training_rounds(shared)), purpose == plan::Purpose::measure ? 0 : kept.training.size());
  if (kept.training.empty()) return;
  switch (purpose) {
    case plan::Purpose::survey: {
      const auto n = static_cast<double>(kept.training.size());
      out.dense[total::kDevices] = 1;
      out.dense[total::kEvents] = n;
      out.dense[total::kSize] = n * n / static_cast<double>(cap);
      for (std::size_t r = 0; r < kept.training.size(); ++r) {
        out.items[r] = kept.training[r].item;
        out.rows[r] = 1;
      }
      return;
    }
    case plan::Purpose::train: {
      if (mode_of(shared) != Mode::trial) return train(shared, kept, out);
      const std::size_t place = trial::held_out_place(kept.training);
      if (place == kept.training.size()) return train(shared, kept, out);
      Observations rest(kept.training.begin(), kept.training.end());
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(place));
      out.reset(layout(purpose, training_rounds(shared)), rest.size());
      train(shared, {.training = rest, .held_out = kept.held_out}, out);
      return write_trial(shared, rest, kept.training[place],
                         {out.dense.data() + dimension() * (dimension() + 1) / 2, trial::kSize});
    }
    case plan::Purpose::measure:
      return write_metrics(shared, kept, normal_of(shared, kept.training).solution(), out.dense);
  }
}

void Ials::train(const TensorSet& shared, const LocalData& data, ring::Contribution& out) const {
  const std::size_t d = dimension();
  const Ridge normal = normal_of(shared, data.training);
  const crypto::ZeroizingVector<double> p = normal.solution();
  for (std::size_t r = 0; r < data.training.size(); ++r) {
    out.items[r] = data.training[r].item;
    const double missing = 1 - normal.predict(p, r);
    double* const __restrict row = out.rows.data() + r * (d + 1);
    for (std::size_t k = 0; k < d; ++k) row[k] = missing * p[k];
    row[d] = 1;
  }
  double* dense = out.dense.data();
  for (std::size_t row = 0; row < d; ++row) {
    for (std::size_t column = 0; column <= row; ++column) *dense++ = p[row] * p[column];
  }
  write_metrics(shared, data, p, {dense + trial::kSize, event_metric::kSize});
}

void Ials::write_metrics(const TensorSet& shared, const LocalData& data, std::span<const double> p,
                         std::span<double> metrics) const {
  write_event_metrics(data, shape_.items, [&](std::span<float> out) { rank_all(shared, p, out); }, metrics);
}

void Ials::write_trial(const TensorSet& shared, std::span<const Observation> training, const Observation& held_out,
                       std::span<double> gains) const {
  const LocalData data{.training = training, .held_out = {&held_out, 1}};
  const auto gain = [&](const std::function<void(std::span<float>)>& score_all) {
    crypto::ZeroizingVector<double> metrics(event_metric::kSize, 0.0);
    write_event_metrics(data, shape_.items, score_all, metrics);
    return metrics[event_metric::kNdcg];
  };
  for (std::size_t c = 0; c < std::size(trial::kMultiples); ++c) {
    const crypto::ZeroizingVector<double> p = normal_of(shared, training, trial::kMultiples[c]).solution();
    gains[c] = gain([&](std::span<float> out) { scores_of(shared, p, out); });
  }
  gains[trial::kPopularity] = gain(
      [&](std::span<float> out) { std::ranges::copy(shared.tensors[shared_tensor::kPopularity].values, out.begin()); });
}

double Ials::popularity_score(const TensorSet& shared, std::uint32_t item) const noexcept {
  const double devices = double{shared.tensors[shared_tensor::kScale].values[scale::kDevices]};
  return double{shared.tensors[shared_tensor::kPopularity].values[item]} / std::max(1.0, devices);
}

void Ials::rank_all(const TensorSet& shared, std::span<const double> p, std::span<float> out) const {
  if (mode_of(shared) != Mode::popularity) return scores_of(shared, p, out);
  for (std::uint32_t i = 0; i < shape_.items; ++i) out[i] = static_cast<float>(popularity_score(shared, i));
}

void Ials::scores_of(const TensorSet& shared, std::span<const double> p, std::span<float> out) const {
  const auto d = static_cast<Eigen::Index>(dimension());
  const auto items = static_cast<Eigen::Index>(shape_.items);
  Eigen::VectorXf z(d);
  for (Eigen::Index k = 0; k < d; ++k) z[k] = static_cast<float>(p[static_cast<std::size_t>(k)]);
  using Factors = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<Eigen::VectorXf>(out.data(), items).noalias() =
      Eigen::Map<const Factors>(shared.tensors[shared_tensor::kFactors].values.data(), items, d) * z;
}

void Ials::score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const {
  CHORUS_ENSURE(out.size() == shape_.items && mine.factor.size() == dimension(), "scores of every item");
  rank_all(shared, mine.factor, out);
}

double Ials::score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items && mine.factor.size() == dimension(), "a score of an item of the catalogue");
  if (mode_of(shared) == Mode::popularity) return popularity_score(shared, item);
  const float* const q = shared.tensors[shared_tensor::kFactors].values.data() + std::size_t{item} * dimension();
  double sum = 0;
  for (std::size_t k = 0; k < dimension(); ++k) sum += mine.factor[k] * double{q[k]};
  return sum;
}

Explanation Ials::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  const std::size_t d = dimension();
  Explanation explanation;
  if (mode_of(shared) == Mode::popularity) {
    explanation.score = popularity_score(shared, item);
    explanation.parts.push_back({.kind = ScorePart::Kind::item, .item = item, .amount = explanation.score});
    return explanation;
  }
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  if (training.empty()) return explanation;
  const Ridge normal = normal_of(shared, training);
  // v = M⁻¹ q_i: item j's share is v · q_j.
  const float* const q = shared.tensors[shared_tensor::kFactors].values.data() + std::size_t{item} * d;
  crypto::ZeroizingVector<double> v(q, q + d);
  normal.solve(v);
  for (std::size_t r = 0; r < training.size(); ++r) {
    explanation.parts.push_back(
        {.kind = ScorePart::Kind::history, .item = training[r].item, .amount = normal.predict(v, r)});
  }
  explanation.score = score(shared, {.factor = normal.solution(), .covariance = {}}, item);
  return explanation;
}

}  // namespace chorus::model::ials
