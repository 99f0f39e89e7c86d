#include "tests/common/model/mf_fixture.hpp"

namespace chorus::model::testing_mf {
namespace {

TEST_F(MfTest, InitialFactorsAreTheSameBytesEverywhere) {
  EXPECT_EQ(to_hex(crypto::sha256(make({}, 7)->initial().shared.encode())),
            "3a35f94a11b51e89bc7a92f82ad9def5669296e2625e62b182af180a1ac81c63");
}

TEST_F(MfTest, InitialFactorsHaveTheirMomentsAndZeroBias) {
  const ServerState state = make({{"rank", "15"}, {"initial_scale", "0.2"}}, 4000)->initial();
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < 4000; ++i) {
    EXPECT_EQ(factors(state)[i * 16], 0.0F);
    for (std::size_t k = 1; k < 16; ++k) {
      sum += double{factors(state)[i * 16 + k]};
      squares += double{factors(state)[i * 16 + k]} * double{factors(state)[i * 16 + k]};
    }
  }
  // 60,000 numbers: six standard errors.
  EXPECT_NEAR(sum / 60000, 0, 6 * 0.2 / std::sqrt(60000.0));
  EXPECT_NEAR(squares / 60000, 0.04, 6 * 0.04 * std::sqrt(2 / 60000.0));
}

TEST_F(MfTest, AnotherSeedMakesOtherFactors) {
  EXPECT_NE(model_->initial().shared, make({{"seed", "2"}})->initial().shared);
  EXPECT_EQ(model_->initial().shared, make({{"seed", "1"}})->initial().shared);
}

TEST_F(MfTest, AGrownStateHasItsOldRowsAndTheNewRowsOfALongerCatalogue) {
  ServerState state = trained(*model_, 2);
  const ServerState before = state;
  const auto longer = make({}, kItems + 9);
  EXPECT_EQ(longer->check_shared(state.shared).error().code(), ErrorCode::wrong_model);
  longer->grow(state);
  ASSERT_TRUE(longer->check_shared(state.shared).has_value());
  const std::vector<float> fresh = factors(longer->initial());
  for (std::size_t k = 0; k < fresh.size(); ++k) {
    EXPECT_EQ(factors(state)[k], k < factors(before).size() ? factors(before)[k] : fresh[k]);
  }
  EXPECT_EQ(state.hidden.at("momentum").size(), fresh.size());
  EXPECT_EQ(state.hidden.at("momentum")[0], before.hidden.at("momentum")[0]);
  EXPECT_EQ(state.hidden.at("momentum").back(), 0);
  EXPECT_EQ(longer->popularity(state.shared)[kItems], 0.0F);
  EXPECT_EQ(scale(state), scale(before));
  advance(*longer, state, Purpose::train);
}

TEST_F(MfTest, TheSurveyFindsMeanAndDeviationOfAllTrainingRatings) {
  double n = 0;
  double sum = 0;
  double squares = 0;
  for (const auto& ratings : training_) {
    for (const Observation& rating : ratings) {
      n += 1;
      sum += double{rating.value};
      squares += double{rating.value} * double{rating.value};
    }
  }
  const ServerState state = trained(*model_, 0);
  EXPECT_NEAR(scale(state)[0], sum / n, 1e-5);
  EXPECT_NEAR(scale(state)[1], std::sqrt(squares / n - sum / n * (sum / n)), 1e-5);
  EXPECT_EQ(scale(state)[2], 0.0F);
  EXPECT_EQ(factors(state), factors(model_->initial()));
  const auto moments = sums(*model_, Purpose::survey, model_->initial())[0];
  EXPECT_EQ(moments[0], 60);
  EXPECT_EQ(moments[1], n);
}

TEST_F(MfTest, ASurveyOfEqualRatingsOrOfNobodyKeepsAPositiveDeviation) {
  ServerState state = model_->initial();
  const ServerState before = state;
  ASSERT_TRUE(model_->step(Purpose::survey, state, std::vector<std::vector<double>>{{0, 0, 0, 0}}, 0).has_value());
  EXPECT_EQ(state.shared, before.shared);
  ASSERT_TRUE(model_->step(Purpose::survey, state, std::vector<std::vector<double>>{{3, 10, 5, 2.5}}, 3).has_value());
  EXPECT_FLOAT_EQ(scale(state)[0], static_cast<float>(double{contract_.minimum} + range() / 2));
  EXPECT_FLOAT_EQ(scale(state)[1], static_cast<float>(range() / 64));
}

// Σ (r − r̂)² + x_uᵀ Λ x_u, in standardised ratings, for the exact local solution x_u.
double penalised_loss(const std::vector<double>& w, std::size_t d, const std::vector<Observation>& training,
                      double mean, double deviation, const VectorXd& prior) {
  const auto columns = static_cast<Index>(d);
  MatrixXd normal = prior.asDiagonal();
  VectorXd right = VectorXd::Zero(columns);
  const auto y = [&](const Observation& rating) {
    VectorXd row = VectorXd::Ones(columns);
    for (Index k = 1; k < columns; ++k) row(k) = w[rating.item * d + static_cast<std::size_t>(k)];
    return row;
  };
  const auto target = [&](const Observation& rating) {
    return (double{rating.value} - mean) / deviation - w[rating.item * d];
  };
  for (const Observation& rating : training) {
    normal += y(rating) * y(rating).transpose();
    right += y(rating) * target(rating);
  }
  const VectorXd x = normal.ldlt().solve(right);
  double loss = x.dot(prior.cwiseProduct(x));
  for (const Observation& rating : training) loss += std::pow(target(rating) - y(rating).dot(x), 2);
  return loss;
}

TEST_F(MfTest, GradientsAreThoseOfThePenalisedSquaredLoss) {
  // The local solution minimises the loss over x_u, so d loss / d w_i = −2 e_ui z_u (the envelope theorem).
  const ServerState state = trained(*model_, 3);
  const std::size_t d = 6;
  VectorXd prior = VectorXd::Constant(6, 3);
  prior(0) = 1.5;
  std::vector<double> w(factors(state).begin(), factors(state).end());
  for (const std::size_t user : {0UL, 7UL, 33UL}) {
    ring::Contribution contribution;
    model_->contribute(Purpose::train, state.shared, data(user), contribution);
    ASSERT_EQ(contribution.items.size(), training_[user].size());
    for (std::size_t r = 0; r < contribution.items.size(); ++r) {
      for (std::size_t k = 0; k < d; ++k) {
        double& coordinate = w[contribution.items[r] * d + k];
        const double kept = coordinate;
        const double h = 1e-5;
        const auto loss = [&](double value) {
          coordinate = value;
          return penalised_loss(w, d, training_[user], double{scale(state)[0]}, double{scale(state)[1]}, prior);
        };
        const double slope = (loss(kept + h) - loss(kept - h)) / (2 * h);
        coordinate = kept;
        EXPECT_NEAR(contribution.rows[r * (d + 1) + k], -slope / 2, 1e-6) << user << ' ' << r << ' ' << k;
      }
      EXPECT_EQ(contribution.rows[r * (d + 1) + d], 1);
    }
  }
}

TEST_F(MfTest, AStepIsTheNaiveDoubleImplementation) {
  ServerState state = trained(*model_, 1);
  const Index d = 6;
  MatrixXd w(kItems, d);
  MatrixXd momentum(kItems, d);
  for (Index i = 0; i < kItems; ++i) {
    for (Index k = 0; k < d; ++k) {
      w(i, k) = double{factors(state)[static_cast<std::size_t>(i * d + k)]};
      momentum(i, k) = state.hidden.at("momentum")[static_cast<std::size_t>(i * d + k)];
    }
  }
  VectorXd prior = VectorXd::Constant(d, 3);
  prior(0) = 1.5;
  const double mean = double{scale(state)[0]};
  const double deviation = double{scale(state)[1]};
  for (int round = 0; round < 3; ++round) {
    MatrixXd g = MatrixXd::Zero(kItems, d);
    VectorXd n = VectorXd::Zero(kItems);
    MatrixXd c = MatrixXd::Zero(d, d);
    double weight = 0;
    for (const auto& ratings : training_) {
      const auto rows = static_cast<Index>(ratings.size());
      if (rows == 0) continue;
      MatrixXd y(rows, d);
      VectorXd t(rows);
      for (Index r = 0; r < rows; ++r) {
        const Observation& rating = ratings[static_cast<std::size_t>(r)];
        y.row(r) = w.row(rating.item);
        y(r, 0) = 1;
        t(r) = (double{rating.value} - mean) / deviation - w(rating.item, 0);
      }
      const VectorXd x = (y.transpose() * y + MatrixXd(prior.asDiagonal())).fullPivLu().solve(y.transpose() * t);
      VectorXd z = x;
      z(0) = 1;
      for (Index r = 0; r < rows; ++r) {
        const std::uint32_t item = ratings[static_cast<std::size_t>(r)].item;
        g.row(item) += (t(r) - y.row(r).dot(x)) * z.transpose();
        n(item) += 1;
      }
      c += static_cast<double>(rows) * z * z.transpose();
      weight += static_cast<double>(rows);
    }
    c /= weight;
    for (Index i = 0; i < kItems; ++i) {
      const MatrixXd metric = n(i) * c + MatrixXd(prior.asDiagonal());
      const VectorXd step = metric.fullPivLu().solve(g.row(i).transpose() - prior.cwiseProduct(w.row(i).transpose()));
      momentum.row(i) = 0.3 * momentum.row(i) + step.transpose();
      w.row(i) += 0.8 * momentum.row(i);
    }
    advance(*model_, state, Purpose::train);
    for (Index i = 0; i < kItems; ++i) {
      for (Index k = 0; k < d; ++k) {
        EXPECT_NEAR(factors(state)[static_cast<std::size_t>(i * d + k)], w(i, k), 1e-6) << i << ' ' << k;
      }
      EXPECT_EQ(model_->popularity(state.shared)[static_cast<std::size_t>(i)], static_cast<float>(n(i)));
    }
  }
  EXPECT_EQ(scale(state)[2], 4.0F);
}

TEST_F(MfTest, FixedPointSumsGiveNearlyTheSameModelAndClipNothing) {
  ServerState exact = trained(*model_, 0);
  ServerState plain = exact;
  for (int round = 0; round < 5; ++round) {
    advance(*model_, exact, Purpose::train);
    ring::RoundSum sum(model_->layout(Purpose::train, 0));
    ring::EncodeCounts counts;
    for (std::size_t u = 0; u < training_.size(); ++u) {
      ring::Contribution contribution;
      model_->contribute(Purpose::train, plain.shared, data(u), contribution);
      ASSERT_TRUE(sum.add(contribution, counts).has_value());
    }
    EXPECT_EQ(counts.clipped, 0U);
    std::vector<std::vector<double>> numbers;
    for (std::size_t t = 0; t < sum.layout().tensors().size(); ++t) numbers.push_back(sum.numbers(t));
    ASSERT_TRUE(model_->step(Purpose::train, plain, numbers, training_.size()).has_value());
  }
  for (std::size_t k = 0; k < factors(exact).size(); ++k) EXPECT_NEAR(factors(exact)[k], factors(plain)[k], 2e-3);
}

TEST_F(MfTest, TheOrderOfTheItemsDoesNotMatter) {
  constexpr std::uint64_t kSeed = 3;
  sim::SeededRandom random(kSeed);
  std::vector<std::uint32_t> place(kItems);
  std::iota(place.begin(), place.end(), 0U);
  for (std::size_t k = 0; k < kItems; ++k) std::swap(place[k], place[k + random.below(kItems - k)]);

  ServerState state = trained(*model_, 0);
  ServerState permuted = state;
  for (std::size_t i = 0; i < kItems; ++i) {
    for (std::size_t k = 0; k < 6; ++k) {
      permuted.shared.tensors[0].values[place[i] * 6 + k] = factors(state)[i * 6 + k];
    }
  }
  for (int round = 0; round < 3; ++round) advance(*model_, state, Purpose::train);
  for (auto* half : {&training_, &held_out_}) {
    for (auto& ratings : *half) {
      for (Observation& rating : ratings) rating.item = place[rating.item];
      std::ranges::sort(ratings, {}, &Observation::item);
    }
  }
  for (int round = 0; round < 3; ++round) advance(*model_, permuted, Purpose::train);
  for (std::size_t i = 0; i < kItems; ++i) {
    for (std::size_t k = 0; k < 6; ++k) {
      EXPECT_NEAR(factors(permuted)[place[i] * 6 + k], factors(state)[i * 6 + k], 1e-5) << "seed " << kSeed;
    }
  }
}

TEST_F(MfTest, MetricsOfARoundAreThoseOfTheScores) {
  const ServerState state = trained(*model_, 2);
  double squares[2] = {};
  std::uint64_t counts[2] = {};
  for (std::size_t u = 0; u < training_.size(); ++u) {
    const PrivateState mine = model_->solve(state.shared, data(u));
    for (const int half : {0, 1}) {
      for (const Observation& rating : half == 0 ? training_[u] : held_out_[u]) {
        const double predicted = std::clamp(model_->score(state.shared, mine, rating.item), double{contract_.minimum},
                                            double{contract_.maximum});
        squares[half] += std::pow(predicted - double{rating.value}, 2);
        ++counts[half];
      }
    }
  }
  for (const Purpose purpose : {Purpose::train, Purpose::measure}) {
    const Quality quality = model_->quality(purpose, sums(*model_, purpose, state));
    EXPECT_EQ(quality.devices, training_.size());
    EXPECT_EQ(quality.training_ratings, counts[0]);
    EXPECT_EQ(quality.held_out_ratings, counts[1]);
    EXPECT_NEAR(quality.training_rmse, std::sqrt(squares[0] / static_cast<double>(counts[0])), 1e-9);
    EXPECT_NEAR(quality.held_out_rmse, std::sqrt(squares[1] / static_cast<double>(counts[1])), 1e-9);
  }
}

TEST_F(MfTest, TrainingLowersTheHeldOutError) {
  ServerState state = trained(*model_, 0);
  const double before = model_->quality(Purpose::measure, sums(*model_, Purpose::measure, state)).held_out_rmse;
  for (int round = 0; round < 9; ++round) advance(*model_, state, Purpose::train);
  const double after = model_->quality(Purpose::measure, sums(*model_, Purpose::measure, state)).held_out_rmse;
  EXPECT_LT(after, 0.93 * before);
}

TEST_F(MfTest, ADeviceWithoutTrainingRatingsContributesZeros) {
  const ServerState state = trained(*model_, 1);
  const LocalData nothing{.training = {}, .held_out = held_out_[0]};
  for (const Purpose purpose : {Purpose::survey, Purpose::train, Purpose::measure}) {
    ring::Contribution contribution;
    model_->contribute(purpose, state.shared, nothing, contribution);
    EXPECT_TRUE(contribution.items.empty());
    EXPECT_TRUE(std::ranges::all_of(contribution.dense, [](double x) { return x == 0; }));
    ring::EncodeCounts counts;
    EXPECT_TRUE(ring::encode(model_->layout(purpose, 0), contribution, counts).has_value());
  }
  // Its scores are the mean and the items' own biases.
  const PrivateState mine = model_->solve(state.shared, nothing);
  EXPECT_NEAR(model_->score(state.shared, mine, 4),
              double{scale(state)[0]} + double{scale(state)[1]} * double{factors(state)[4 * 6]}, 1e-12);
}

TEST_F(MfTest, ADeviceWithMoreThanTheCapContributesItsLatest) {
  contract_.max_items_per_user = 3;
  const auto capped = make({});
  const ServerState state = capped->initial();
  const std::vector<Observation> many = {{1, 4, 50}, {3, 2, 70}, {8, 5, 70}, {9, 1, 10}, {20, 3, 70}, {30, 3, 60}};
  const std::vector<Observation> latest = {{3, 2, 70}, {8, 5, 70}, {20, 3, 70}};
  ring::Contribution all;
  ring::Contribution expected;
  for (const Purpose purpose : {Purpose::survey, Purpose::train, Purpose::measure}) {
    capped->contribute(purpose, state.shared, {.training = many, .held_out = {}}, all);
    capped->contribute(purpose, state.shared, {.training = latest, .held_out = {}}, expected);
    EXPECT_EQ(all.items, expected.items);
    EXPECT_EQ(all.rows, expected.rows);
    EXPECT_EQ(all.dense, expected.dense);
  }
  EXPECT_EQ(capped->solve(state.shared, {.training = many, .held_out = {}}).factor,
            capped->solve(state.shared, {.training = latest, .held_out = {}}).factor);
}

TEST_F(MfTest, TheLocalSolveIsThatOfADenseSolve) {
  for (const char* rank : {"1", "5", "15", "16", "40"}) {
    const auto model = make({{"rank", rank}});
    const ServerState state = trained(*model, 2);
    const auto d = static_cast<Index>(std::stoi(rank) + 1);
    for (const std::size_t user : {3UL, 21UL}) {
      const auto rows = static_cast<Index>(training_[user].size());
      MatrixXd y(rows, d);
      VectorXd t(rows);
      for (Index r = 0; r < rows; ++r) {
        const Observation& rating = training_[user][static_cast<std::size_t>(r)];
        for (Index k = 0; k < d; ++k)
          y(r, k) = double{factors(state)[rating.item * static_cast<std::size_t>(d) + static_cast<std::size_t>(k)]};
        t(r) = (double{rating.value} - double{scale(state)[0]}) / double{scale(state)[1]} - y(r, 0);
        y(r, 0) = 1;
      }
      VectorXd prior = VectorXd::Constant(d, 3);
      prior(0) = 1.5;
      const VectorXd x = (y.transpose() * y + MatrixXd(prior.asDiagonal())).fullPivLu().solve(y.transpose() * t);
      const PrivateState mine = model->solve(state.shared, data(user));
      ASSERT_EQ(mine.factor.size(), static_cast<std::size_t>(d));
      for (Index k = 0; k < d; ++k) EXPECT_NEAR(mine.factor[static_cast<std::size_t>(k)], x(k), 1e-10) << rank;
    }
  }
}

}  // namespace
}  // namespace chorus::model::testing_mf
