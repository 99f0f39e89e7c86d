// The device's side: local solve, contribution, scores, explanation.
#include <algorithm>
#include <cmath>

#include <Eigen/Dense>

#include "common/base/check.hpp"
#include "common/model/bpr/bpr.hpp"
#include "common/model/bpr/logistic.hpp"
#include "common/model/bpr/negatives.hpp"
#include "common/model/event_sums.hpp"
#include "common/model/latest.hpp"

namespace chorus::model::bpr {
namespace {

// Pairs of a person with few events: enough that the draw hardly matters.
constexpr std::size_t kLeastPairs = 256;

std::size_t negatives_of(std::size_t events, std::size_t least) {
  return std::max(least, (kLeastPairs + events - 1) / events);
}

}  // namespace

// Event r's pairs are the rows [r K, (r + 1) K) of the ridge.
struct Bpr::Solution {
  std::size_t each = 0;                              // K
  crypto::ZeroizingVector<std::uint32_t> negatives;  // [pairs]
  crypto::ZeroizingVector<double> biases;            // [pairs] b_i − b_j
  crypto::ZeroizingVector<double> p;                 // [d]
  crypto::ZeroizingVector<double> x;                 // [pairs] at p
  std::optional<Ridge> ridge;                        // of the last pass; none without pairs

  [[nodiscard]] double weight() const noexcept { return 1 / static_cast<double>(each); }
};

Bpr::Solution Bpr::solve_pairs(const TensorSet& shared, std::span<const Observation> training,
                               std::span<const Observation> all) const {
  const std::size_t d = rank();
  Solution solution;
  solution.p.assign(d, 0.0);
  NegativeSampler sampler(parameters_.seed, training_rounds(shared), all, shape_.items);
  if (training.empty() || !sampler.possible()) return solution;
  const float* const factors = shared.tensors[shared_tensor::kFactors].values.data();
  const auto row_of = [&](std::uint32_t item) { return factors + std::size_t{item} * width(); };
  solution.each = negatives_of(training.size(), parameters_.negatives);
  const std::size_t pairs = training.size() * solution.each;
  solution.negatives.resize(pairs);
  solution.biases.resize(pairs);
  crypto::ZeroizingVector<double> differences(pairs * d);
  for (std::size_t r = 0; r < pairs; ++r) {
    solution.negatives[r] = sampler.next();
    const float* const chosen = row_of(training[r / solution.each].item);
    const float* const other = row_of(solution.negatives[r]);
    solution.biases[r] = double{chosen[0]} - double{other[0]};
    for (std::size_t k = 0; k < d; ++k) differences[r * d + k] = double{chosen[k + 1]} - double{other[k + 1]};
  }
  solution.x = solution.biases;
  const std::vector<double> prior(d, parameters_.lambda_user * std::sqrt(static_cast<double>(training.size())));
  for (std::uint32_t pass = 0; pass < parameters_.passes; ++pass) {
    // Rows √(h/K) δ and targets (½/h − b) √(h/K): their products are those of the normal equations.
    Ridge& ridge = solution.ridge.emplace(d, pairs);
    for (std::size_t r = 0; r < pairs; ++r) {
      const double h = logistic_weight(solution.x[r]);
      const double root = std::sqrt(h * solution.weight());
      const std::span<double> row = ridge.row(r);
      for (std::size_t k = 0; k < d; ++k) row[k] = root * differences[r * d + k];
      ridge.target(r) = root * (0.5 / h - solution.biases[r]);
    }
    ridge.factorise(prior);
    solution.p = ridge.solution();
    for (std::size_t r = 0; r < pairs; ++r) {
      double x = solution.biases[r];
      for (std::size_t k = 0; k < d; ++k) x += solution.p[k] * differences[r * d + k];
      solution.x[r] = x;
    }
  }
  return solution;
}

PrivateState Bpr::solve(const TensorSet& shared, const LocalData& data) const {
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  return {.factor = solve_pairs(shared, training, data.training).p, .covariance = {}};
}

void Bpr::contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                     ring::Contribution& out) const {
  const std::size_t cap = shape_.contract.max_items_per_user;
  Observations kept_training;
  Observations kept_held_out;
  const LocalData kept{.training = latest(data.training, cap, kept_training),
                       .held_out = latest(data.held_out, cap, kept_held_out)};
  out.reset(layout(purpose, training_rounds(shared)), 0);
  if (kept.training.empty()) return;
  switch (purpose) {
    case plan::Purpose::survey:
      out.dense[tensor::kSurveyDevices] = 1;
      return;
    case plan::Purpose::train:
      return train(shared, kept, data.training, out);
    case plan::Purpose::measure:
      return write_metrics(shared, kept, solve_pairs(shared, kept.training, data.training).p, out.dense);
  }
}

void Bpr::train(const TensorSet& shared, const LocalData& kept, std::span<const Observation> all,
                ring::Contribution& out) const {
  const Solution solution = solve_pairs(shared, kept.training, all);
  if (!solution.ridge) return;
  // What it has and what it drew, each once.
  crypto::ZeroizingVector<std::uint32_t> touched = solution.negatives;
  for (const Observation& event : kept.training) touched.push_back(event.item);
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  const auto place = [&touched](std::uint32_t item) {
    return static_cast<std::size_t>(std::ranges::lower_bound(touched, item) - touched.begin());
  };
  struct Item {
    double slope = 0;      // a
    double curvature = 0;  // v
    double count = 0;
  };
  crypto::ZeroizingVector<Item> items(touched.size());
  for (std::size_t e = 0, r = 0; e < kept.training.size(); ++e) {
    Item& chosen = items[place(kept.training[e].item)];
    chosen.count = 1;
    for (const std::size_t end = r + solution.each; r < end; ++r) {
      const double slope = solution.weight() * logistic(-solution.x[r]);
      const double curvature = solution.weight() * logistic_weight(solution.x[r]);
      Item& other = items[place(solution.negatives[r])];
      chosen.slope += slope;
      other.slope -= slope;
      chosen.curvature += curvature;
      other.curvature += curvature;
    }
  }
  out.reset(layout(plan::Purpose::train, training_rounds(shared)), touched.size());
  crypto::ZeroizingVector<double> z(width(), 1.0);
  std::ranges::copy(solution.p, z.begin() + 1);
  double weight = 0;
  for (std::size_t k = 0; k < touched.size(); ++k) {
    out.items[k] = touched[k];
    double* const row = out.rows.data() + k * (width() + 2);
    for (std::size_t c = 0; c < width(); ++c) row[c] = items[k].slope * z[c];
    row[width()] = items[k].curvature;
    row[width() + 1] = items[k].count;
    weight += items[k].curvature;
  }
  weight /= static_cast<double>(shape_.contract.max_items_per_user);
  double* dense = out.dense.data();
  for (std::size_t row = 0; row < width(); ++row) {
    for (std::size_t column = 0; column <= row; ++column) *dense++ = weight * z[row] * z[column];
  }
  *dense++ = weight;
  write_metrics(shared, kept, solution.p, {dense, event_metric::kSize});
}

void Bpr::write_metrics(const TensorSet& shared, const LocalData& data, std::span<const double> p,
                        std::span<double> metrics) const {
  write_event_metrics(data, shape_.items, [&](std::span<float> out) { scores_of(shared, p, out); }, metrics);
}

void Bpr::scores_of(const TensorSet& shared, std::span<const double> p, std::span<float> out) const {
  const auto columns = static_cast<Eigen::Index>(width());
  const auto items = static_cast<Eigen::Index>(shape_.items);
  Eigen::VectorXf z(columns);
  z[0] = 1;
  for (Eigen::Index k = 1; k < columns; ++k) z[k] = static_cast<float>(p[static_cast<std::size_t>(k - 1)]);
  using Factors = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<Eigen::VectorXf>(out.data(), items).noalias() =
      Eigen::Map<const Factors>(shared.tensors[shared_tensor::kFactors].values.data(), items, columns) * z;
}

void Bpr::score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const {
  CHORUS_ENSURE(out.size() == shape_.items && mine.factor.size() == rank(), "scores of every item");
  scores_of(shared, mine.factor, out);
}

double Bpr::score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items && mine.factor.size() == rank(), "a score of an item of the catalogue");
  const float* const w = shared.tensors[shared_tensor::kFactors].values.data() + std::size_t{item} * width();
  double sum = double{w[0]};
  for (std::size_t k = 0; k < rank(); ++k) sum += mine.factor[k] * double{w[k + 1]};
  return sum;
}

Explanation Bpr::explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const {
  CHORUS_ENSURE(item < shape_.items, "an explanation of an item of the catalogue");
  Observations kept;
  const auto training = latest(data.training, shape_.contract.max_items_per_user, kept);
  const Solution solution = solve_pairs(shared, training, data.training);
  const float* const w = shared.tensors[shared_tensor::kFactors].values.data() + std::size_t{item} * width();
  Explanation explanation;
  explanation.parts.push_back({.kind = ScorePart::Kind::item, .item = item, .amount = double{w[0]}});
  if (solution.ridge) {
    // v = M⁻¹ q_i: a pair's share is v · row times its target.
    crypto::ZeroizingVector<double> v(w + 1, w + width());
    solution.ridge->solve(v);
    for (std::size_t e = 0, r = 0; e < training.size(); ++e) {
      double amount = 0;
      for (const std::size_t end = r + solution.each; r < end; ++r) {
        amount += solution.ridge->predict(v, r) * solution.ridge->target(r);
      }
      explanation.parts.push_back({.kind = ScorePart::Kind::history, .item = training[e].item, .amount = amount});
    }
  }
  explanation.score = score(shared, {.factor = solution.p, .covariance = {}}, item);
  return explanation;
}

}  // namespace chorus::model::bpr
