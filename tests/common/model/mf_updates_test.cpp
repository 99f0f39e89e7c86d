// The updates `gradient`, `als` and `newton` with a part of the devices, beside plain dense implementations.
#include "tests/common/model/mf_fixture.hpp"

namespace chorus::model::testing_mf {
namespace {

class MfUpdatesTest : public MfTest {
 protected:
  static constexpr Index kD = 6;

  static MatrixXd rows(std::span<const float> values) {
    MatrixXd m(kItems, kD);
    for (Index k = 0; k < m.size(); ++k) m(k / kD, k % kD) = double{values[static_cast<std::size_t>(k)]};
    return m;
  }
  static VectorXd prior() {
    VectorXd prior = VectorXd::Constant(kD, 3);
    prior(0) = 1.5;
    return prior;
  }

  // For every rating: the item, t = (r − μ) / σ, z_u and the residual.
  template <typename Take>
  void each_rating(const ServerState& state, std::span<const std::vector<Observation>> people, Take take) const {
    const MatrixXd w = rows(factors(state));
    for (const auto& ratings : people) {
      MatrixXd normal = prior().asDiagonal();
      VectorXd right = VectorXd::Zero(kD);
      const auto y_of = [&](const Observation& rating) {
        VectorXd y = w.row(rating.item).transpose();
        y(0) = 1;
        return y;
      };
      const auto standard = [&](const Observation& rating) {
        return (double{rating.value} - double{scale(state)[0]}) / double{scale(state)[1]};
      };
      for (const Observation& rating : ratings) {
        normal += y_of(rating) * y_of(rating).transpose();
        right += y_of(rating) * (standard(rating) - w(rating.item, 0));
      }
      const VectorXd x = normal.fullPivLu().solve(right);
      VectorXd z = x;
      z(0) = 1;
      for (const Observation& rating : ratings) {
        const double t = standard(rating);
        take(static_cast<Index>(rating.item), t - x(0), z, t - w(rating.item, 0) - y_of(rating).dot(x));
      }
    }
  }

  void expect_factors(const ServerState& state, const MatrixXd& expected) const {
    EXPECT_LT((rows(factors(state)) - expected).cwiseAbs().maxCoeff(), 1e-6);
  }
};

TEST_F(MfUpdatesTest, AlsSolvesEveryItemExactly) {
  const auto model = make({{"update", "als"}});
  ServerState state = trained(*model, 0);
  for (int round = 0; round < 3; ++round) {
    std::vector<MatrixXd> normal(kItems, MatrixXd(prior().asDiagonal()));
    MatrixXd right = MatrixXd::Zero(kItems, kD);
    VectorXd counts = VectorXd::Zero(kItems);
    each_rating(state, training_, [&](Index item, double t, const VectorXd& z, double) {
      normal[static_cast<std::size_t>(item)] += z * z.transpose();
      right.row(item) += t * z.transpose();
      counts(item) += 1;
    });
    MatrixXd expected(kItems, kD);
    for (Index i = 0; i < kItems; ++i) {
      expected.row(i) = normal[static_cast<std::size_t>(i)].fullPivLu().solve(right.row(i).transpose()).transpose();
    }
    advance(*model, state, Purpose::train);
    expect_factors(state, expected);
    for (Index i = 0; i < kItems; ++i) {
      EXPECT_EQ(model->popularity(state.shared)[static_cast<std::size_t>(i)], static_cast<float>(counts(i)));
    }
  }
}

TEST_F(MfUpdatesTest, EveryServerOptimizerStepsAsReddiEtAlSay) {
  for (const std::string optimizer : {"fedavg", "momentum", "fedadagrad", "fedadam", "fedyogi"}) {
    SCOPED_TRACE(optimizer);
    const auto model = make({{"update", "gradient"}, {"optimizer", optimizer}, {"rate", "0.05"}, {"momentum", "0.8"}});
    ServerState state = trained(*model, 0);
    MatrixXd m = MatrixXd::Zero(kItems, kD);
    MatrixXd v = MatrixXd::Zero(kItems, kD);
    for (int round = 0; round < 4; ++round) {
      MatrixXd delta = -rows(factors(state)) * prior().asDiagonal();
      VectorXd counts = VectorXd::Zero(kItems);
      each_rating(state, training_, [&](Index item, double, const VectorXd& z, double e) {
        delta.row(item) += e * z.transpose();
        counts(item) += 1;
      });
      for (Index i = 0; i < kItems; ++i) delta.row(i) /= counts(i) + 1;
      const MatrixXd square = delta.cwiseAbs2();
      MatrixXd step;
      if (optimizer == "fedavg") {
        step = delta;
      } else if (optimizer == "momentum") {
        step = m = 0.8 * m + delta;
      } else {
        m = 0.8 * m + 0.2 * delta;
        if (optimizer == "fedadagrad") v += square;
        if (optimizer == "fedadam") v = 0.99 * v + 0.01 * square;
        if (optimizer == "fedyogi") {
          v = (v.array() - 0.01 * square.array() * (v - square).array().sign()).matrix();
        }
        step = (m.array() / (v.array().sqrt() + 1e-3)).matrix();
      }
      const MatrixXd expected = rows(factors(state)) + 0.05 * step;
      advance(*model, state, Purpose::train);
      expect_factors(state, expected);
    }
  }
}

TEST_F(MfUpdatesTest, APartOfTheDevicesStepsOnDecayedSums) {
  const auto model = make({{"participation", "0.25"}, {"rate", "0.7"}});
  ServerState state = trained(*model, 0);
  const auto everybody = training_;
  MatrixXd targets = MatrixXd::Zero(kItems, kD);
  MatrixXd diagonals = MatrixXd::Zero(kItems, kD);
  double weight = 0;
  for (std::size_t round = 0; round < 6; ++round) {
    training_.assign(everybody.begin() + static_cast<std::ptrdiff_t>(round % 4 * 15),
                     everybody.begin() + static_cast<std::ptrdiff_t>(round % 4 * 15 + 15));
    targets *= 0.95;
    diagonals *= 0.95;
    weight = 0.95 * weight + 0.25;
    const MatrixXd w = rows(factors(state));
    each_rating(state, training_, [&](Index item, double, const VectorXd& z, double e) {
      const VectorXd h = z.cwiseAbs2();
      targets.row(item) += (e * z + h.cwiseProduct(w.row(item).transpose())).transpose();
      diagonals.row(item) += h.transpose();
    });
    MatrixXd expected = w;
    for (Index i = 0; i < kItems; ++i) {
      for (Index k = 0; k < kD; ++k) {
        const double ridge = weight * prior()(k);
        expected(i, k) +=
            0.7 * (targets(i, k) - diagonals(i, k) * w(i, k) - ridge * w(i, k)) / (diagonals(i, k) + ridge);
      }
    }
    advance(*model, state, Purpose::train);
    expect_factors(state, expected);
  }
}

TEST_F(MfUpdatesTest, ItemsThatTooFewRatedKeepWhatWasPublishedOfThem) {
  for (const char* update : {"newton", "vb", "gradient", "als"}) {
    SCOPED_TRACE(update);
    const auto model = make({{"update", update}, {"least_raters", "16"}});
    ServerState state = model->initial();
    ASSERT_TRUE(model->step(Purpose::survey, state, sums(*model, Purpose::survey, state), 60).has_value());
    const TensorSet before = state.shared;
    const auto total = sums(*model, Purpose::train, state);
    std::vector<int> counts(kItems, 0);
    for (std::size_t u = 0; u < training_.size(); ++u) {
      for (const Observation& rating : training_[u]) ++counts[rating.item];
    }
    ASSERT_TRUE(model->step(Purpose::train, state, total, 60).has_value());
    int kept = 0;
    for (std::size_t t = 0; t < before.tensors.size(); ++t) {
      const Tensor& was = before.tensors[t];
      if (was.rows != kItems) continue;
      for (std::size_t i = 0; i < kItems; ++i) {
        const auto same =
            std::equal(was.values.begin() + static_cast<std::ptrdiff_t>(i * was.columns),
                       was.values.begin() + static_cast<std::ptrdiff_t>((i + 1) * was.columns),
                       state.shared.tensors[t].values.begin() + static_cast<std::ptrdiff_t>(i * was.columns));
        if (counts[i] < 16) {
          EXPECT_TRUE(same) << was.name << " of item " << i;
        } else if (t == 0) {
          EXPECT_FALSE(same) << was.name << " of item " << i;
        }
        kept += t == 0 && same ? 1 : 0;
      }
    }
    EXPECT_GT(kept, 0);
    EXPECT_LT(kept, static_cast<int>(kItems));
  }
}

TEST_F(MfUpdatesTest, EveryUpdateLearnsAndClipsNothing) {
  for (const Settings& settings :
       {Settings{{"update", "gradient"}}, Settings{{"update", "als"}}, Settings{{"participation", "0.9"}}}) {
    const auto model = make(settings);
    ServerState state = trained(*model, 0);
    const double before = model->quality(Purpose::measure, sums(*model, Purpose::measure, state)).held_out_rmse;
    for (int round = 0; round < 12; ++round) {
      for (std::size_t u = 0; u < training_.size(); ++u) {
        ring::Contribution contribution;
        ring::EncodeCounts counts;
        model->contribute(Purpose::train, state.shared, data(u), contribution);
        ASSERT_TRUE(ring::encode(model->layout(Purpose::train, 0), contribution, counts).has_value());
        EXPECT_EQ(counts.clipped, 0U);
      }
      advance(*model, state, Purpose::train);
    }
    const double after = model->quality(Purpose::measure, sums(*model, Purpose::measure, state)).held_out_rmse;
    EXPECT_LT(after, 0.95 * before) << model->settings().at("update");
  }
}

TEST_F(MfUpdatesTest, ANonFiniteSumNamesTheItemAndChangesNothing) {
  for (const Settings& settings :
       {Settings{{"update", "gradient"}}, Settings{{"update", "als"}}, Settings{{"participation", "0.9"}}}) {
    const auto model = make(settings);
    ServerState state = trained(*model, 1);
    const ServerState before = state;
    auto summed = sums(*model, Purpose::train, state);
    // In als a huge count is a finite, if odd, matrix.
    const bool als = settings.contains("update") && settings.at("update") == "als";
    summed[0][17 * (summed[0].size() / kItems)] = als ? -1e300 : 1e300;
    const Status stepped = model->step(Purpose::train, state, summed, 60);
    ASSERT_FALSE(stepped.has_value());
    EXPECT_EQ(stepped.error().code(), ErrorCode::non_finite);
    EXPECT_EQ(stepped.error().where(), "item 17");
    EXPECT_EQ(state.shared, before.shared);
    EXPECT_EQ(state.hidden, before.hidden);
  }
}

}  // namespace
}  // namespace chorus::model::testing_mf
