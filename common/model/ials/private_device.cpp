// The device's side: local solve, contributions and why they stay within their sensitivity, scores, explanation.
#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"
#include "common/model/ials/private.hpp"
#include "common/model/latest.hpp"

namespace chorus::model::ials {
namespace {

// The factor that brings a vector of this squared norm within `most`, at most 1.
double shrink_to(double squared, double most) {
  return squared > most * most ? most / std::sqrt(squared) : 1;
}

const float* row_of(const TensorSet& shared, std::uint32_t item, std::size_t d) {
  return shared.tensors[private_tensor::kFactors].values.data() + std::size_t{item} * d;
}

}  // namespace

Ridge Private::normal_of(const TensorSet& shared, std::span<const Observation> training) const {
  const std::size_t d = options_.rank;
  Ridge ridge(d, training.size());
  for (std::size_t r = 0; r < training.size(); ++r) {
    const float* const q = row_of(shared, training[r].item, d);
    const std::span<double> row = ridge.row(r);
    for (std::size_t k = 0; k < d; ++k) row[k] = double{q[k]};
    ridge.target(r) = 1;
  }
  const std::vector<double> prior(
      d, weighted(shared, static_cast<double>(training.size()), static_cast<double>(shape_.items)));
  std::vector<double> others(d * d);
  std::ranges::transform(shared.tensors[private_tensor::kGram].values, others.begin(),
                         [this](float x) { return options_.alpha * double{x}; });
  ridge.factorise(prior, others);
  return ridge;
}

PrivateState Private::solve(const TensorSet& shared, const LocalData& data) const {
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  PrivateState state;
  if (training.empty()) {
    state.factor.assign(options_.rank, 0.0);
  } else {
    state.factor = normal_of(shared, training).solution();
  }
  return state;
}

void Private::contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                         ring::Contribution& out) const {
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  const std::uint64_t rounds = training_rounds(shared);
  const AskedQuestion* const question = questions_.of(purpose, rounds);
  out.reset(layout(purpose, rounds), question == nullptr ? 0 : training.size());
  if (training.empty()) return;
  if (question == nullptr) {
    out.dense[0] = 1;
    return;
  }
  std::ranges::transform(training, out.items.begin(), &Observation::item);
  if (question->number != 0) return contribute_tastes(shared, training, out);
  // Squared norm: n_u (1/√n_u)² + 2 kDeviceMark² at most, for every person.
  const auto n = static_cast<double>(training.size());
  std::ranges::fill(out.rows, 1 / std::sqrt(n));
  out.dense[0] = kDeviceMark;
  out.dense[1] = kDeviceMark * std::min(n, kMostEvents) / kMostEvents;
}

// The tastes as a whole are scaled to norm ≤ C_G; the Gram matrix, whose Frobenius norm is that of its upper triangle
// with √2 off the diagonal, with the same factor to norm ≤ C_P.
void Private::contribute_tastes(const TensorSet& shared, std::span<const Observation> training,
                                ring::Contribution& out) const {
  const std::size_t d = options_.rank;
  const std::vector<float>& weight = shared.tensors[private_tensor::kWeight].values;
  const double length = double{shared.tensors[private_tensor::kScale].values[private_scale::kLength]};
  const Ridge normal = normal_of(shared, training);
  const crypto::ZeroizingVector<double> p = normal.solution();
  double weights = 0;
  for (const Observation& event : training) weights += double{weight[event.item]} * double{weight[event.item]};
  const double of_unit = 1 / std::sqrt(weights);
  double squared = 0;
  for (std::size_t r = 0; r < training.size(); ++r) {
    const double missing = double{weight[training[r].item]} * of_unit * (1 - normal.predict(p, r)) / length;
    double* const row = out.rows.data() + r * d;
    for (std::size_t k = 0; k < d; ++k) {
      row[k] = missing * p[k];
      squared += row[k] * row[k];
    }
  }
  const double factor = shrink_to(squared, kTasteNorm);
  for (double& x : out.rows) x *= factor;

  double* next = out.dense.data();
  squared = 0;
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = i; j < d; ++j) {
      *next = factor * p[i] / length * p[j] / length * (i == j ? 1 : std::sqrt(2.0));
      squared += *next * *next;
      ++next;
    }
  }
  const double smaller = shrink_to(squared, kGramNorm);
  for (double& x : out.dense) x *= smaller;
}

double Private::score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items && mine.factor.size() == options_.rank, "a score of an item of the catalogue");
  const float* const q = row_of(shared, item, options_.rank);
  double sum = 0;
  for (std::size_t k = 0; k < options_.rank; ++k) sum += mine.factor[k] * double{q[k]};
  return sum;
}

void Private::score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const {
  CHORUS_ENSURE(out.size() == shape_.items, "scores of every item");
  for (std::uint32_t i = 0; i < shape_.items; ++i) out[i] = static_cast<float>(score(shared, mine, i));
}

Explanation Private::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  const std::size_t d = options_.rank;
  Explanation explanation;
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  if (training.empty()) return explanation;
  const Ridge normal = normal_of(shared, training);
  // v = M⁻¹ q_i: item j's share is v · q_j.
  const float* const q = row_of(shared, item, d);
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
