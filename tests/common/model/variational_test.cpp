#include "common/model/mf/twin.hpp"
#include "tests/common/model/mf_fixture.hpp"

namespace chorus::model::testing_mf {
namespace {

const Settings kVb = {{"update", "vb"}, {"twin", "off"}, {"noise", "0.7"}};
const Settings kTwin = {{"update", "vb"}, {"twin_rank", "3"}, {"twin_rounds", "3"}};
const Settings kNewtonTwin = {{"twin", "on"}, {"twin_rank", "3"}, {"twin_rounds", "3"}};

// [rows × columns] of a shared tensor, in double.
MatrixXd matrix(const ServerState& state, std::string_view name) {
  const Tensor& tensor = *state.shared.find(name);
  MatrixXd m(tensor.rows, tensor.columns);
  for (Index r = 0; r < m.rows(); ++r) {
    for (Index c = 0; c < m.cols(); ++c) m(r, c) = double{tensor.values[static_cast<std::size_t>(r * m.cols() + c)]};
  }
  return m;
}

MatrixXd hidden(const ServerState& state, const std::string& name, Index columns) {
  const std::vector<double>& values = state.hidden.at(name);
  MatrixXd m(static_cast<Index>(values.size()) / columns, columns);
  for (Index r = 0; r < m.rows(); ++r) {
    for (Index c = 0; c < columns; ++c) m(r, c) = values[static_cast<std::size_t>(r * columns + c)];
  }
  return m;
}

// Variational matrix factorization and its twin as the textbook has them: dense matrices, a covariance for every user
// and item. Reads the published state, takes one round over everybody's ratings.
class Naive {
 public:
  Naive(const ServerState& state, bool spread, bool twin, bool twin_learns)
      : spread_(spread), twin_(twin), twin_learns_(twin_learns), w(matrix(state, "item_factors")) {
    d_ = w.cols();
    const MatrixXd prior = matrix(state, "prior");
    users = prior.row(0).transpose();
    items = prior.row(1).transpose();
    noise = matrix(state, "noise")(0, 0);
    momentum = hidden(state, "momentum", d_);
    mean_ = matrix(state, "scale")(0, 0);
    deviation_ = matrix(state, "scale")(0, 1);
    if (!twin) return;
    q = matrix(state, "twin_factors");
    twin_momentum = hidden(state, "twin_momentum", q.cols());
    twin_scale = matrix(state, "twin_scale");
    map = matrix(state, "twin_map");
    popularity_ = matrix(state, "popularity").col(0);
  }

  VectorXd features(const VectorXd& factor, double rms, double count, double mean) const {
    VectorXd f(factor.size() + 2);
    f << (rms > 0 ? VectorXd(factor / rms) : VectorXd::Zero(factor.size())), 1, std::log1p(count) - mean;
    return f;
  }

  // covariance: Σ_i of every item; empty before the first step.
  void round(const std::vector<std::vector<Observation>>& people, std::uint64_t number) {
    MatrixXd g = MatrixXd::Zero(w.rows(), d_);
    MatrixXd c = MatrixXd::Zero(d_, d_);
    counts = VectorXd::Zero(w.rows());
    const Index k = q.cols();
    MatrixXd twin_g = MatrixXd::Zero(w.rows(), k);
    MatrixXd twin_gram = MatrixXd::Zero(k, k);
    MatrixXd twin_c = MatrixXd::Zero(k, k);
    MatrixXd cross = MatrixXd::Zero(d_, k + 2);
    MatrixXd squares = MatrixXd::Zero(k + 2, k + 2);
    VectorXd relevance = VectorXd::Zero(d_);
    double error = 0;
    double weight = 0;
    for (const auto& ratings : people) {
      const auto n = static_cast<double>(ratings.size());
      VectorXd mu = VectorXd::Zero(d_);
      VectorXd f;
      VectorXd p;
      if (twin_) {
        MatrixXd normal = 0.3 * q.transpose() * q;
        VectorXd right = VectorXd::Zero(k);
        for (const Observation& rating : ratings) {
          normal += q.row(rating.item).transpose() * q.row(rating.item);
          right += q.row(rating.item).transpose();
        }
        normal.diagonal().array() += twin_scale(1) * (n + 0.3 * static_cast<double>(w.rows()));
        p = normal.fullPivLu().solve(right);
        f = features(p, twin_scale(4), n, twin_scale(2));
        mu = map.topRows(d_) * f;
        for (const Observation& rating : ratings)
          twin_g.row(rating.item) += (1 - q.row(rating.item) * p) * p.transpose();
        twin_gram += p * p.transpose();
        twin_c += n * p * p.transpose();
      }
      MatrixXd normal = users.asDiagonal();
      VectorXd right = users.cwiseProduct(mu);
      const auto y_of = [&](const Observation& rating) {
        VectorXd y = w.row(rating.item).transpose();
        y(0) = 1;
        return y;
      };
      const auto target = [&](const Observation& rating) {
        return (double{rating.value} - mean_) / deviation_ - w(rating.item, 0);
      };
      for (const Observation& rating : ratings) {
        const VectorXd y = y_of(rating);
        normal += y * y.transpose();
        right += y * target(rating);
        if (covariance.empty()) continue;
        const MatrixXd& s = covariance[rating.item];
        normal.bottomRightCorner(d_ - 1, d_ - 1) += s.bottomRightCorner(d_ - 1, d_ - 1);
        right.tail(d_ - 1) -= s.col(0).tail(d_ - 1);
      }
      const VectorXd x = normal.fullPivLu().solve(right);
      MatrixXd own = MatrixXd::Zero(d_, d_);
      if (spread_) own = noise * normal.fullPivLu().inverse();
      MatrixXd own_block = own;
      own_block.row(0).setZero();
      own_block.col(0).setZero();
      VectorXd z = x;
      z(0) = 1;
      for (const Observation& rating : ratings) {
        const VectorXd y = y_of(rating);
        const double e = target(rating) - y.dot(x);
        g(rating.item, 0) += e;
        g.row(rating.item).tail(d_ - 1) += (e * x - own * y).tail(d_ - 1).transpose();
        counts(rating.item) += 1;
        error += e * e + y.dot(own * y);
        if (!covariance.empty()) {
          const MatrixXd& s = covariance[rating.item];
          error += z.dot(s * z) + (own_block * s).trace();
        }
      }
      c += n * (z * z.transpose() + own_block);
      weight += n;
      relevance += (x - mu).cwiseAbs2() + own.diagonal();
      if (twin_) {
        cross += x * f.transpose();
        squares += f * f.transpose();
      }
    }
    c /= weight;
    MatrixXd mean = MatrixXd::Zero(w.rows(), d_);
    if (twin_) {
      for (Index i = 0; i < w.rows(); ++i) mean.row(i) = (map.bottomRows(d_) * item_features(i)).transpose();
    }
    VectorXd spread = VectorXd::Zero(d_);
    double rated = 0;
    for (Index i = 0; i < w.rows(); ++i) {
      const MatrixXd metric = counts(i) * c + MatrixXd(items.asDiagonal());
      const VectorXd pull = items.cwiseProduct((w.row(i) - mean.row(i)).transpose());
      const VectorXd step = metric.fullPivLu().solve(g.row(i).transpose() - pull);
      momentum.row(i) = 0.3 * momentum.row(i) + step.transpose();
      w.row(i) += 0.8 * momentum.row(i);
      if (counts(i) < 1) continue;
      rated += 1;
      spread += (w.row(i) - mean.row(i)).cwiseAbs2().transpose() + noise * metric.fullPivLu().inverse().diagonal();
    }
    if (spread_ && number >= 3) {
      noise = error / weight;
      users = (noise * static_cast<double>(people.size()) / relevance.array()).matrix();
      items = (noise * rated / spread.array()).matrix();
    }
    if (spread_) {
      covariance.clear();
      for (Index i = 0; i < w.rows(); ++i) {
        covariance.push_back(noise * (counts(i) * c + MatrixXd(items.asDiagonal())).fullPivLu().inverse());
      }
    }
    if (!twin_) return;
    if (twin_learns_) {
      twin_c /= weight;
      for (Index i = 0; i < w.rows(); ++i) {
        const double ridge = twin_scale(1) * (counts(i) + 0.3 * static_cast<double>(people.size()));
        MatrixXd metric = 0.3 * twin_gram + counts(i) * twin_c;
        metric.diagonal().array() += ridge;
        const VectorXd old = q.row(i).transpose();
        const VectorXd step = metric.fullPivLu().solve(twin_g.row(i).transpose() - 0.3 * twin_gram * old - ridge * old);
        twin_momentum.row(i) = 0.1 * twin_momentum.row(i) + step.transpose();
        q.row(i) += 1.2 * twin_momentum.row(i);
      }
      twin_scale(4) = std::sqrt(twin_gram.trace() / static_cast<double>(people.size()) / static_cast<double>(k));
      twin_scale(5) = std::sqrt(q.squaredNorm() / static_cast<double>(q.size()));
    }
    popularity_ = counts;
    if (number < 2) return;
    const MatrixXd ridge = 10 * MatrixXd::Identity(k + 2, k + 2);
    map.topRows(d_) = (squares + ridge).fullPivLu().solve(cross.transpose()).transpose();
    cross.setZero();
    squares.setZero();
    for (Index i = 0; i < w.rows(); ++i) {
      if (counts(i) < 1) continue;
      const VectorXd f = item_features(i);
      cross += w.row(i).transpose() * f.transpose();
      squares += f * f.transpose();
    }
    map.bottomRows(d_) = (squares + ridge).fullPivLu().solve(cross.transpose()).transpose();
  }

 private:
  VectorXd item_features(Index i) const {
    return features(q.row(i).transpose(), twin_scale(5), popularity_(i), twin_scale(3));
  }

  bool spread_;
  bool twin_;
  bool twin_learns_;
  Index d_ = 0;
  double mean_ = 0;
  double deviation_ = 1;
  VectorXd popularity_;

 public:
  MatrixXd w, momentum, q, twin_momentum, twin_scale, map;
  VectorXd users, items, counts;
  double noise = 0;
  std::vector<MatrixXd> covariance;
};

class VariationalTest : public MfTest {
 protected:
  // After every round the model has the numbers of the naive implementation that started from the same state.
  void expect_naive(const Settings& settings, bool spread, bool twin) {
    const auto model = make(settings);
    ServerState state = trained(*model, 0);
    std::vector<MatrixXd> covariance;
    for (std::uint64_t round = 1; round <= 5; ++round) {
      Naive naive(state, spread, twin, twin && round <= 3);
      naive.covariance = covariance;
      naive.round(training_, round);
      covariance = naive.covariance;
      advance(*model, state, Purpose::train);
      const auto same = [&](const MatrixXd& ours, const MatrixXd& theirs, double scale, std::string_view what) {
        EXPECT_LT((ours - theirs).cwiseAbs().maxCoeff(), 1e-6 * scale) << what << " in round " << round;
      };
      same(matrix(state, "item_factors"), naive.w, 1, "factors");
      same(matrix(state, "prior").row(0).transpose().cwiseQuotient(naive.users), VectorXd::Ones(6), 3, "user prior");
      same(matrix(state, "prior").row(1).transpose().cwiseQuotient(naive.items), VectorXd::Ones(6), 3, "item prior");
      EXPECT_NEAR(matrix(state, "noise")(0, 0), naive.noise, 1e-6);
      if (twin) {
        same(matrix(state, "twin_factors"), naive.q, 1, "twin");
        same(matrix(state, "twin_scale"), naive.twin_scale, 3, "twin scale");
        same(matrix(state, "twin_map"), naive.map, 3, "twin map");
      }
    }
  }
};

TEST_F(VariationalTest, AStepIsTheNaiveDoubleImplementation) {
  expect_naive(kVb, true, false);
}

TEST_F(VariationalTest, AStepWithTheTwinIsTheNaiveDoubleImplementation) {
  expect_naive(kTwin, true, true);
}

TEST_F(VariationalTest, ANewtonStepWithTheTwinIsTheNaiveDoubleImplementation) {
  expect_naive(kNewtonTwin, false, true);
}

TEST_F(VariationalTest, WithoutTwinAndCovariancesItIsNewton) {
  // One round from the same state: before the first step no item has a covariance, and with hardly any noise a user
  // has hardly any either.
  Settings quiet = kVb;
  quiet["noise"] = "0.001";
  const auto vb = make(quiet);
  ServerState state = trained(*vb, 1);
  const ServerState newton = trained(*model_, 1);
  for (std::size_t k = 0; k < factors(state).size(); ++k) EXPECT_NEAR(factors(state)[k], factors(newton)[k], 2e-3);
}

TEST_F(VariationalTest, PartsOfAnExplanationAddUpToTheScore) {
  for (const Settings& settings : {kVb, kTwin, kNewtonTwin}) {
    const auto model = make(settings);
    const ServerState state = trained(*model, 5);
    double prior = 0;
    for (std::size_t u = 0; u < training_.size(); ++u) {
      const PrivateState mine = model->solve(state.shared, data(u));
      for (const std::uint32_t item : {0U, 17U, kItems - 1}) {
        const Explanation explanation = model->explain(state.shared, data(u), item);
        EXPECT_NEAR(explanation.score, model->score(state.shared, mine, item), 1e-12);
        double sum = 0;
        for (const ScorePart& part : explanation.parts) {
          sum += part.amount;
          if (part.kind == ScorePart::Kind::prior) prior += std::abs(part.amount);
        }
        EXPECT_NEAR(sum, explanation.score, 1e-6);
      }
    }
    EXPECT_EQ(prior > 0, settings != kVb);
  }
}

TEST_F(VariationalTest, TheTwinUploadsOnlyWhileItLearns) {
  const auto model = make(kTwin);
  const std::size_t learning = model->layout(Purpose::train, 2).dimension();
  EXPECT_EQ(model->layout(Purpose::train, 0).dimension(), learning);
  EXPECT_EQ(model->layout(Purpose::train, 3).find("twin_gradient"), std::nullopt);
  // Three numbers an item and two packed triangles of two limbs.
  EXPECT_EQ(learning - model->layout(Purpose::train, 3).dimension(), kItems * 3U + 2U * 2U * 6U);
}

TEST_F(VariationalTest, MetricsOfARoundAreThoseOfTheScores) {
  const auto model = make(kTwin);
  const ServerState state = trained(*model, 4);
  const Quality train = model->quality(Purpose::train, sums(*model, Purpose::train, state));
  const Quality measure = model->quality(Purpose::measure, sums(*model, Purpose::measure, state));
  EXPECT_NEAR(train.held_out_rmse, measure.held_out_rmse, 1e-12);
  EXPECT_NEAR(train.training_rmse, measure.training_rmse, 1e-9);
  EXPECT_GT(train.held_out_rmse, 0);
}

TEST_F(VariationalTest, FixedPointSumsGiveNearlyTheSameModelAndClipNothing) {
  const auto model = make(kTwin);
  ServerState exact = trained(*model, 0);
  ServerState plain = exact;
  for (int round = 0; round < 5; ++round) {
    advance(*model, exact, Purpose::train);
    ring::RoundSum sum(model->layout(Purpose::train, model->training_rounds(plain.shared)));
    ring::EncodeCounts counts;
    for (std::size_t u = 0; u < training_.size(); ++u) {
      ring::Contribution contribution;
      model->contribute(Purpose::train, plain.shared, data(u), contribution);
      ASSERT_TRUE(sum.add(contribution, counts).has_value());
    }
    EXPECT_EQ(counts.clipped, 0U);
    std::vector<std::vector<double>> numbers;
    for (std::size_t t = 0; t < sum.layout().tensors().size(); ++t) numbers.push_back(sum.numbers(t));
    ASSERT_TRUE(model->step(Purpose::train, plain, numbers, training_.size()).has_value());
  }
  for (std::size_t k = 0; k < factors(exact).size(); ++k) EXPECT_NEAR(factors(exact)[k], factors(plain)[k], 1e-2);
}

TEST_F(VariationalTest, ANonFiniteSumNamesTheItemAndChangesNothing) {
  const auto model = make(kTwin);
  ServerState state = trained(*model, 2);
  const ServerState before = state;
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), 1e300}) {
    for (const std::size_t tensor : {0U, 9U}) {
      auto summed = sums(*model, Purpose::train, state);
      summed[tensor][17 * (tensor == 0 ? 6 : 3) + 2] = bad;
      const Status stepped = model->step(Purpose::train, state, summed, 60);
      ASSERT_FALSE(stepped.has_value());
      EXPECT_EQ(stepped.error().code(), ErrorCode::non_finite);
      EXPECT_EQ(stepped.error().where(), "item 17");
      EXPECT_EQ(state.shared, before.shared);
      EXPECT_EQ(state.hidden, before.hidden);
    }
  }
}

TEST_F(VariationalTest, HostileSumsLeaveAFiniteModelOrAnError) {
  const auto model = make(kTwin);
  const ServerState before = trained(*model, 2);
  for (const double hostile : {-1e9, 1e9, 0.0}) {
    for (std::size_t t = 0; t < model->layout(Purpose::train, 2).tensors().size(); ++t) {
      ServerState state = before;
      auto summed = sums(*model, Purpose::train, state);
      std::ranges::fill(summed[t], hostile);
      const Status stepped = model->step(Purpose::train, state, summed, 60);
      if (!stepped) {
        EXPECT_EQ(state.shared, before.shared);
        continue;
      }
      EXPECT_TRUE(model->check_shared(state.shared).has_value()) << "tensor " << t << ' ' << hostile;
    }
  }
}

TEST_F(VariationalTest, ANewItemStartsFromWhatTheStateKnows) {
  const auto model = make(kTwin);
  ServerState state = trained(*model, 4);
  const ServerState before = state;
  const auto longer = make(kTwin, kItems + 5);
  longer->grow(state);
  ASSERT_TRUE(longer->check_shared(state.shared).has_value());
  EXPECT_TRUE(std::equal(factors(before).begin(), factors(before).end(), factors(state).begin()));
  advance(*longer, state, Purpose::train);
}

TEST_F(VariationalTest, ADeviceWithoutTrainingRatingsContributesZerosInEveryRound) {
  const auto model = make(kTwin);
  for (const int rounds : {0, 2, 3, 5}) {
    const ServerState state = trained(*model, rounds);
    for (const Purpose purpose : {Purpose::survey, Purpose::train, Purpose::measure}) {
      ring::Contribution contribution;
      model->contribute(purpose, state.shared, {.training = {}, .held_out = held_out_[0]}, contribution);
      EXPECT_TRUE(contribution.items.empty());
      EXPECT_TRUE(std::ranges::all_of(contribution.dense, [](double x) { return x == 0; }));
      ring::EncodeCounts counts;
      const plan::UpdateLayout layout = model->layout(purpose, model->training_rounds(state.shared));
      EXPECT_TRUE(ring::encode(layout, contribution, counts).has_value()) << rounds;
    }
  }
}

TEST_F(VariationalTest, SomebodyWithoutRatingsHasThePriorMean) {
  const auto model = make(kTwin);
  const ServerState state = trained(*model, 4);
  const PrivateState mine = model->solve(state.shared, {.training = {}, .held_out = {}});
  EXPECT_TRUE(std::ranges::all_of(mine.factor, [](double x) { return std::isfinite(x); }));
  const Explanation explanation = model->explain(state.shared, {.training = {}, .held_out = {}}, 3);
  double sum = 0;
  for (const ScorePart& part : explanation.parts) sum += part.amount;
  EXPECT_NEAR(sum, model->score(state.shared, mine, 3), 1e-6);
}

TEST_F(VariationalTest, SharedTensorsWithoutPositivePriorsAreRefused) {
  const auto model = make(kTwin);
  const TensorSet good = trained(*model, 1).shared;
  ASSERT_TRUE(model->check_shared(good).has_value());
  for (const char* name : {"prior", "noise"}) {
    TensorSet shared = good;
    shared.find(name)->values[0] = 0;
    EXPECT_EQ(model->check_shared(shared).error().code(), ErrorCode::wrong_model);
  }
  TensorSet shared = good;
  shared.find("posterior")->values.back() = -1;
  EXPECT_EQ(model->check_shared(shared).error().code(), ErrorCode::wrong_model);
  EXPECT_EQ(make(kVb)->check_shared(good).error().code(), ErrorCode::wrong_model);
}

TEST(LogOfCount, IsTheLogarithm) {
  for (double n = 0; n < 2e6; n = n * 1.7 + 1)
    EXPECT_NEAR(mf::log_of_count(n), std::log1p(n), 4e-16 * std::max(1.0, std::log1p(n))) << n;
}

}  // namespace
}  // namespace chorus::model::testing_mf
