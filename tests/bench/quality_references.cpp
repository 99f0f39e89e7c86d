#include "tests/bench/quality_references.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include <Eigen/Dense>

#include "common/metrics/ranking.hpp"

namespace chorus::bench {
namespace {

constexpr double kTuningShare = 0.1;

struct Bilinear {
  double mean = 0;
  Eigen::MatrixXd users;  // [users × D] rows [b_u; p_u]
  Eigen::MatrixXd items;  // [items × D] rows [c_i; q_i]
};

double mean_of(const dataset::RatingTable& table) {
  double sum = 0;
  for (const dataset::Entry& entry : table.entries) sum += double{entry.value};
  return sum / static_cast<double>(std::max<std::size_t>(1, table.size()));
}

double rmse(const Bilinear& model, const dataset::RatingTable& test, const Scale& scale) {
  double squares = 0;
  for (const dataset::Entry& entry : test.entries) {
    const auto x = model.users.row(entry.user);
    const auto w = model.items.row(entry.item);
    double prediction = model.mean + x(0) + w(0);
    for (Eigen::Index k = 1; k < x.size(); ++k) prediction += x(k) * w(k);
    const double error = double{entry.value} - std::clamp(prediction, scale.minimum, scale.maximum);
    squares += error * error;
  }
  return std::sqrt(squares / static_cast<double>(test.size()));
}

// One side's exact ridge, the other side fixed.
template <typename Key, typename Other>
void solve_side(const dataset::RatingTable& training, double mean, double bias_ridge, double ridge, Key key,
                Other other, const Eigen::MatrixXd& fixed, Eigen::MatrixXd& solved) {
  const Eigen::Index d = solved.cols();
  std::vector<std::vector<const dataset::Entry*>> groups(static_cast<std::size_t>(solved.rows()));
  for (const dataset::Entry& entry : training.entries) groups[key(entry)].push_back(&entry);
  Eigen::VectorXd y(d);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].empty()) continue;
    Eigen::MatrixXd normal = Eigen::MatrixXd::Identity(d, d) * ridge;
    normal(0, 0) = bias_ridge;
    Eigen::VectorXd right = Eigen::VectorXd::Zero(d);
    for (const dataset::Entry* entry : groups[g]) {
      y = fixed.row(other(*entry)).transpose();
      const double target = double{entry->value} - mean - y(0);
      y(0) = 1;
      normal.selfadjointView<Eigen::Lower>().rankUpdate(y);
      right += target * y;
    }
    solved.row(static_cast<Eigen::Index>(g)) = normal.selfadjointView<Eigen::Lower>().ldlt().solve(right).transpose();
  }
}

Bilinear alternate(const dataset::RatingTable& training, Eigen::Index d, double user_bias, double item_bias,
                   double ridge, int rounds, std::uint64_t seed) {
  Bilinear model{.mean = mean_of(training),
                 .users = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(training.user_count()), d),
                 .items = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(training.item_count()), d)};
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> bell(0, 0.1);
  for (Eigen::Index k = 1; k < d; ++k) {
    for (Eigen::Index i = 0; i < model.items.rows(); ++i) model.items(i, k) = bell(generator);
  }
  const auto user = [](const dataset::Entry& entry) { return entry.user; };
  const auto item = [](const dataset::Entry& entry) { return entry.item; };
  for (int round = 0; round < rounds; ++round) {
    if (round == 0 && d > 1) {  // biases first
      Bilinear biases = alternate(training, 1, user_bias, item_bias, ridge, 4, seed);
      model.items.col(0) = biases.items.col(0);
    }
    solve_side(training, model.mean, user_bias, ridge, user, item, model.items, model.users);
    solve_side(training, model.mean, item_bias, ridge, item, user, model.users, model.items);
  }
  return model;
}

// The same with biases alone, by plain loops.
struct Biases {
  double mean = 0;
  std::vector<double> users;
  std::vector<double> items;
};

Biases alternate_biases(const dataset::RatingTable& training, double user_ridge, double item_ridge, int rounds) {
  Biases biases{.mean = mean_of(training),
                .users = std::vector<double>(training.user_count()),
                .items = std::vector<double>(training.item_count())};
  const auto solve = [&](std::vector<double>& solved, double ridge, auto key, auto offset) {
    std::vector<double> sum(solved.size());
    std::vector<double> count(solved.size(), ridge);
    for (const dataset::Entry& entry : training.entries) {
      sum[key(entry)] += double{entry.value} - biases.mean - offset(entry);
      count[key(entry)] += 1;
    }
    for (std::size_t k = 0; k < solved.size(); ++k) solved[k] = sum[k] / count[k];
  };
  const auto user = [](const dataset::Entry& entry) { return entry.user; };
  const auto item = [](const dataset::Entry& entry) { return entry.item; };
  for (int round = 0; round < rounds; ++round) {
    solve(biases.users, user_ridge, user, [&](const dataset::Entry& entry) { return biases.items[entry.item]; });
    solve(biases.items, item_ridge, item, [&](const dataset::Entry& entry) { return biases.users[entry.user]; });
  }
  return biases;
}

double rmse(const Biases& biases, const dataset::RatingTable& test, const Scale& scale) {
  double squares = 0;
  for (const dataset::Entry& entry : test.entries) {
    const double prediction = biases.mean + biases.users[entry.user] + biases.items[entry.item];
    const double error = double{entry.value} - std::clamp(prediction, scale.minimum, scale.maximum);
    squares += error * error;
  }
  return std::sqrt(squares / static_cast<double>(test.size()));
}

struct Events {
  Eigen::MatrixXd users;  // [users × d]
  Eigen::MatrixXd items;  // [items × d]
};

// One side's exact solution of Σ (1 − p·q)² over events + α Σ (p·q)² over all + λ (n + α others) |p|².
template <typename Key, typename Other>
void solve_events(const dataset::RatingTable& training, double ridge, double alpha, Key key, Other other,
                  const Eigen::MatrixXd& fixed, Eigen::MatrixXd& solved) {
  const Eigen::Index d = solved.cols();
  std::vector<std::vector<std::uint32_t>> groups(static_cast<std::size_t>(solved.rows()));
  for (const dataset::Entry& entry : training.entries) groups[key(entry)].push_back(other(entry));
  const Eigen::MatrixXd all = alpha * fixed.transpose() * fixed;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const double weight = static_cast<double>(groups[g].size()) + alpha * static_cast<double>(fixed.rows());
    Eigen::MatrixXd normal = all + ridge * weight * Eigen::MatrixXd::Identity(d, d);
    Eigen::VectorXd right = Eigen::VectorXd::Zero(d);
    for (const std::uint32_t o : groups[g]) {
      const Eigen::VectorXd y = fixed.row(o).transpose();
      normal.selfadjointView<Eigen::Lower>().rankUpdate(y);
      right += y;
    }
    solved.row(static_cast<Eigen::Index>(g)) = normal.selfadjointView<Eigen::Lower>().llt().solve(right).transpose();
  }
}

Events alternate_events(const dataset::RatingTable& training, double ridge, double alpha, std::uint64_t seed) {
  constexpr Eigen::Index kFactors = 32;
  constexpr int kRounds = 10;
  Events model{.users = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(training.user_count()), kFactors),
               .items = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(training.item_count()), kFactors)};
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> bell(0, 0.1);
  for (double& x : model.items.reshaped()) x = bell(generator);
  const auto user = [](const dataset::Entry& entry) { return entry.user; };
  const auto item = [](const dataset::Entry& entry) { return entry.item; };
  for (int round = 0; round < kRounds; ++round) {
    solve_events(training, ridge, alpha, user, item, model.items, model.users);
    solve_events(training, ridge, alpha, item, user, model.users, model.items);
  }
  solve_events(training, ridge, alpha, user, item, model.items, model.users);
  return model;
}

double ndcg(const Events& model, const dataset::Split& split) {
  const dataset::ByUser training(split.train);
  const dataset::ByUser tests(split.test);
  double sum = 0;
  double people = 0;
  for (std::uint32_t u = 0; u < split.test.user_count(); ++u) {
    if (tests[u].empty()) continue;
    const Eigen::VectorXf scores = (model.items * model.users.row(u).transpose()).cast<float>();
    std::vector<std::uint32_t> positives;
    std::vector<std::uint32_t> seen;
    for (const dataset::Entry& entry : tests[u]) positives.push_back(entry.item);
    for (const dataset::Entry& entry : training[u]) seen.push_back(entry.item);
    const auto ranks =
        metrics::ranks_of({scores.data(), static_cast<std::size_t>(scores.size())}, positives, seen).value();
    sum += metrics::ndcg_at(ranks, 10);
    people += 1;
  }
  return sum / people;
}

}  // namespace

double tuned_biases_rmse(const dataset::Split& split, const Scale& scale, std::uint64_t seed) {
  const dataset::Split inner = dataset::hold_out(split.train, kTuningShare, seed);
  double least = 1e300;
  double best[2] = {5, 5};
  for (const double user : {1.0, 2.0, 5.0, 10.0, 20.0}) {
    for (const double item : {1.0, 2.0, 5.0, 10.0, 20.0}) {
      const double loss = rmse(alternate_biases(inner.train, user, item, 8), inner.test, scale);
      if (loss >= least) continue;
      least = loss;
      best[0] = user;
      best[1] = item;
    }
  }
  return rmse(alternate_biases(split.train, best[0], best[1], 8), split.test, scale);
}

double tuned_factors_rmse(const dataset::Split& split, const Scale& scale, std::uint64_t seed) {
  const dataset::Split inner = dataset::hold_out(split.train, kTuningShare, seed);
  double least = 1e300;
  double best = 16;
  for (const double ridge : {4.0, 8.0, 16.0, 32.0}) {
    const double loss = rmse(alternate(inner.train, 17, 3, 3, ridge, 12, seed), inner.test, scale);
    if (loss >= least) continue;
    least = loss;
    best = ridge;
  }
  return rmse(alternate(split.train, 17, 3, 3, best, 12, seed), split.test, scale);
}

double popularity_ndcg(const dataset::Split& split) {
  std::vector<std::size_t> counts(split.train.item_count(), 0);
  for (const dataset::Entry& entry : split.train.entries) ++counts[entry.item];
  const dataset::ByUser training(split.train);
  double sum = 0;
  for (const dataset::Entry& test : split.test.entries) {
    std::set<std::uint32_t> seen;
    for (const dataset::Entry& entry : training[test.user]) seen.insert(entry.item);
    std::size_t above = 0;
    for (std::uint32_t item = 0; item < counts.size(); ++item) {
      if (item != test.item && !seen.contains(item) && counts[item] >= counts[test.item]) ++above;
    }
    if (above < 10) sum += 1 / std::log2(static_cast<double>(above) + 2);
  }
  return sum / static_cast<double>(split.test.size());
}

double tuned_events_ndcg(const dataset::Split& split, std::uint64_t seed) {
  const dataset::Split inner = dataset::hold_out(split.train, kTuningShare, seed);
  double most = -1;
  double best[2] = {};
  for (const double ridge : {0.001, 0.003, 0.01, 0.03, 0.1}) {
    for (const double alpha : {0.1, 0.3, 1.0}) {
      const double gain = ndcg(alternate_events(inner.train, ridge, alpha, seed), inner);
      if (gain <= most) continue;
      most = gain;
      best[0] = ridge;
      best[1] = alpha;
    }
  }
  return ndcg(alternate_events(split.train, best[0], best[1], seed), split);
}

}  // namespace chorus::bench
