// The device's side: local solve, contributions and why they stay within their sensitivity, scores, explanation.
#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"
#include "common/model/latest.hpp"
#include "common/model/mf/private.hpp"

namespace chorus::model::mf {
namespace {

constexpr std::size_t kK = kPrivateFeatures;

const float* row_of(const TensorSet& shared, std::uint32_t item) {
  return shared.tensors[private_tensor::kFactors].values.data() + std::size_t{item} * (kK + 1);
}

// The factor that brings a vector of this squared norm within `most`, at most 1.
double shrink_to(double squared, double most) {
  return squared > most * most ? most / std::sqrt(squared) : 1;
}

}  // namespace

double Private::residual(const TensorSet& shared, const Observation& rating) const noexcept {
  const std::vector<float>& scale = shared.tensors[private_tensor::kScale].values;
  return (double{rating.value} - double{scale[0]}) / double{scale[1]};
}

crypto::ZeroizingVector<double> Private::weights(const TensorSet& shared, std::span<const Observation> training) {
  const std::vector<float>& weight = shared.tensors[private_tensor::kWeight].values;
  crypto::ZeroizingVector<double> w(training.size());
  double squared = 0;
  for (std::size_t r = 0; r < w.size(); ++r) {
    w[r] = double{weight[training[r].item]};
    squared += w[r] * w[r];
  }
  const double length = std::sqrt(squared);
  for (double& x : w) x /= length;
  return w;
}

Private::Solved Private::solved(const TensorSet& shared, std::span<const Observation> training) const {
  const std::vector<float>& uncertainty = shared.tensors[private_tensor::kUncertainty].values;
  Ridge ridge(kK, training.size());
  for (std::size_t r = 0; r < training.size(); ++r) {
    const float* const row = row_of(shared, training[r].item);
    const double precision = 1 / std::sqrt(double{uncertainty[training[r].item]});
    const std::span<double> y = ridge.row(r);
    for (std::size_t k = 0; k < kK; ++k) y[k] = double{row[k + 1]} * precision;
    ridge.target(r) = (residual(shared, training[r]) - double{row[0]}) * precision;
  }
  ridge.factorise(std::vector<double>(kK, 1.0));
  crypto::ZeroizingVector<double> factor = ridge.solution();
  crypto::ZeroizingVector<double> covariance = ridge.inverse();
  return {std::move(ridge), std::move(factor), std::move(covariance)};
}

PrivateState Private::solve(const TensorSet& shared, const LocalData& data) const {
  PrivateState state;
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  state.factor = solved(shared, training).factor;
  return state;
}

void Private::contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                         ring::Contribution& out) const {
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  const std::uint64_t rounds = training_rounds(shared);
  const AskedQuestion* const question = questions_.of(purpose, rounds);
  const bool per_item = question != nullptr && question->layout.items() > 0;
  out.reset(layout(purpose, rounds), per_item ? training.size() : 0);
  if (training.empty()) return;
  if (question == nullptr) {
    out.dense[0] = 1;
    return;
  }
  if (per_item) std::ranges::transform(training, out.items.begin(), &Observation::item);
  switch (steps_[question->number].question) {
    case Question::counts:
      return contribute_counts(training, out);
    case Question::means:
      return contribute_means(shared, training, out);
    case Question::taste:
      return contribute_taste(shared, training, out);
    case Question::residuals:
      return contribute_residuals(shared, training, out);
  }
}

// Squared norm: n_u (1/√n_u)² + kDeviceMark² = 1 + 1/64, for every person.
void Private::contribute_counts(std::span<const Observation> training, ring::Contribution& out) const {
  std::ranges::fill(out.rows, 1 / std::sqrt(static_cast<double>(training.size())));
  out.dense[0] = kDeviceMark;
}

// The whole vector is scaled to norm ≤ 1.
void Private::contribute_means(const TensorSet& shared, std::span<const Observation> training,
                               ring::Contribution& out) const {
  constexpr double kBiasVariance = 0.2;
  const double alpha = recipe_.count_part;
  const double beta = std::sqrt(1 - alpha * alpha) / recipe_.mean_clip;
  double sum = 0;
  for (const Observation& rating : training) sum += residual(shared, rating);
  const double bias = sum / (static_cast<double>(training.size()) + recipe_.noise / kBiasVariance);
  const crypto::ZeroizingVector<double> w = weights(shared, training);
  double squared = 0;
  for (std::size_t r = 0; r < training.size(); ++r) {
    double* const row = out.rows.data() + 2 * r;
    row[0] = alpha * w[r];
    row[1] = beta * w[r] * (residual(shared, training[r]) - bias);
    squared += row[0] * row[0] + row[1] * row[1];
  }
  const double factor = shrink_to(squared, 1);
  for (double& x : out.rows) x *= factor;
}

// The Frobenius norm of the symmetric matrix is the norm of its upper triangle with √2 off the diagonal: at most C_F.
void Private::contribute_taste(const TensorSet& shared, std::span<const Observation> training,
                               ring::Contribution& out) const {
  const Solved mine = solved(shared, training);
  double squared = 0;
  double* next = out.dense.data();
  for (std::size_t i = 0; i < kK; ++i) {
    for (std::size_t j = i; j < kK; ++j) {
      const double second = mine.factor[i] * mine.factor[j] + mine.covariance[i * kK + j];
      *next = i == j ? second - 1 : std::sqrt(2.0) * second;
      squared += *next * *next;
      ++next;
    }
  }
  const double factor = shrink_to(squared, recipe_.taste_clip);
  for (double& x : out.dense) x *= factor;
}

// The residuals as a whole are scaled to norm ≤ C_Q; the curvature, with the same factor, to norm ≤ R.
void Private::contribute_residuals(const TensorSet& shared, std::span<const Observation> training,
                                   ring::Contribution& out) const {
  const std::size_t d = recipe_.rank;
  const std::vector<float>& emphasis = shared.tensors[private_tensor::kEmphasis].values;
  const Solved mine = solved(shared, training);
  const crypto::ZeroizingVector<double> w = weights(shared, training);
  crypto::ZeroizingVector<double> z(d + 1);
  z[0] = double{emphasis[0]};
  for (std::size_t k = 0; k < d; ++k) z[k + 1] = double{emphasis[k + 1]} * mine.factor[k];
  double squared = 0;
  double weight = 0;
  for (std::size_t r = 0; r < training.size(); ++r) {
    const float* const x = row_of(shared, training[r].item) + 1;
    double error = residual(shared, training[r]) - double{x[-1]};
    for (std::size_t k = 0; k < kK; ++k) error -= double{x[k]} * mine.factor[k];
    double* const row = out.rows.data() + r * (d + 1);
    row[0] = w[r] * error * z[0];
    for (std::size_t k = 0; k < d; ++k) {
      // Under the posterior of p the expected e p is e p̂ − V x.
      double spread = 0;
      for (std::size_t l = 0; l < kK; ++l) spread += mine.covariance[k * kK + l] * double{x[l]};
      row[k + 1] = w[r] * (error * z[k + 1] - double{emphasis[k + 1]} * spread);
    }
    for (std::size_t k = 0; k <= d; ++k) squared += row[k] * row[k];
    weight += w[r];
  }
  const double factor = shrink_to(squared, recipe_.residual_clip);
  for (double& x : out.rows) x *= factor;

  double* next = out.dense.data();
  squared = 0;
  for (std::size_t i = 0; i <= d; ++i) {
    for (std::size_t j = i; j <= d; ++j) {
      double second = z[i] * z[j];
      if (i > 0) second += double{emphasis[i]} * double{emphasis[j]} * mine.covariance[(i - 1) * kK + (j - 1)];
      *next = factor * weight * second * (i == j ? 1 : std::sqrt(2.0));
      squared += *next * *next;
      ++next;
    }
  }
  const double smaller = shrink_to(squared, curvature_clip(recipe_));
  for (double& x : out.dense) x *= smaller;
}

double Private::score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items && mine.factor.size() == kK, "a score of an item of the catalogue");
  const float* const row = row_of(shared, item);
  double sum = double{row[0]};
  for (std::size_t k = 0; k < kK; ++k) sum += double{row[k + 1]} * mine.factor[k];
  const std::vector<float>& scale = shared.tensors[private_tensor::kScale].values;
  return double{scale[0]} + double{scale[1]} * sum;
}

void Private::score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const {
  CHORUS_ENSURE(out.size() == shape_.items, "scores of every item");
  for (std::uint32_t i = 0; i < shape_.items; ++i) out[i] = static_cast<float>(score(shared, mine, i));
}

Explanation Private::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  const Solved mine = solved(shared, training);
  const std::vector<float>& scale = shared.tensors[private_tensor::kScale].values;
  const double unit = double{scale[1]};
  const float* const row = row_of(shared, item);
  Explanation explanation;
  explanation.score = score(shared, {.factor = mine.factor, .covariance = {}}, item);
  explanation.parts.push_back({.kind = ScorePart::Kind::base, .item = 0, .amount = double{scale[0]}});
  explanation.parts.push_back({.kind = ScorePart::Kind::item, .item = item, .amount = unit * double{row[0]}});
  // v = V x_i: rating j's share is v · (x_j/σ_j) (r_j − mean − c_j)/σ_j.
  crypto::ZeroizingVector<double> v(kK);
  for (std::size_t k = 0; k < kK; ++k) v[k] = double{row[k + 1]};
  mine.ridge.solve(v);
  for (std::size_t r = 0; r < training.size(); ++r) {
    explanation.parts.push_back({.kind = ScorePart::Kind::history,
                                 .item = training[r].item,
                                 .amount = unit * mine.ridge.predict(v, r) * mine.ridge.target(r)});
  }
  return explanation;
}

}  // namespace chorus::model::mf
