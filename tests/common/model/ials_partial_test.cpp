// Rounds of some of the people.
#include "tests/common/model/ials_fixture.hpp"

namespace chorus::model::testing_ratings {
namespace {

TEST_F(IalsTest, ARoundOfAThirdStepsAsOneOfAllLikeThem) {
  // The ridge and the Gram matrix grow with the people of the round: three times the people are the same step.
  const ServerState start = trained(*model_, 2);
  ServerState third = start;
  ServerState all = start;
  const auto of_third = sums(*model_, Purpose::train, start);
  auto of_all = of_third;
  for (auto& tensor : of_all) {
    for (double& number : tensor) number *= 3;
  }
  ASSERT_TRUE(model_->step(Purpose::train, third, of_third, training_.size()).has_value());
  ASSERT_TRUE(model_->step(Purpose::train, all, of_all, 3 * training_.size()).has_value());
  EXPECT_LT((matrix(third, "item_factors") - matrix(all, "item_factors")).cwiseAbs().maxCoeff(), 1e-6);
}

TEST_F(IalsTest, WithSomeOfThePeopleAStepGoesToWhatAllRoundsSoFarSaid) {
  const double kept = 0.7;  // 1 − the participation
  const auto model = make({{"participation", "0.3"}});
  ServerState state = trained(*model, 0);
  const auto everybody = training_;
  const auto d = Index{5};
  MatrixXd targets = MatrixXd::Zero(kItems, d);
  MatrixXd grams = MatrixXd::Zero(d, d);
  MatrixXd momentum = MatrixXd::Zero(kItems, d);
  VectorXd events = VectorXd::Zero(kItems);
  double devices = 0;
  for (std::size_t round = 0; round < 5; ++round) {
    // A third of the people.
    training_.clear();
    for (std::size_t u = round % 3; u < everybody.size(); u += 3) training_.push_back(everybody[u]);
    held_out_.assign(training_.size(), {});
    Central central(training_);
    central.q = matrix(state, "item_factors");
    central.solve_users();
    const MatrixXd gram = central.p.transpose() * central.p;
    const auto now = static_cast<double>(training_.size());
    devices = kept * devices + now;
    grams = kept * grams + gram;
    events = kept * events + central.events.colwise().sum().transpose();
    for (Index i = 0; i < kItems; ++i) {
      const VectorXd missing = central.events.col(i).array() * (1 - (central.p * central.q.row(i).transpose()).array());
      const VectorXd q = central.q.row(i).transpose();
      targets.row(i) = kept * targets.row(i) +
                       (central.p.transpose() * missing + central.events.col(i).sum() / now * gram * q).transpose();
      const double ridge = kLambda * (events[i] + kAlpha * devices);
      const MatrixXd metric = (kAlpha + events[i] / devices) * grams + ridge * MatrixXd::Identity(d, d);
      momentum.row(i) = kMomentum * momentum.row(i) + (metric.ldlt().solve(targets.row(i).transpose()) - q).transpose();
      central.q.row(i) += kRate * momentum.row(i);
    }
    advance(*model, state, Purpose::train);
    ASSERT_LT((matrix(state, "item_factors") - central.q).cwiseAbs().maxCoeff(), 1e-6) << "round " << round;
  }
}

TEST_F(IalsTest, WhatNobodyOfARoundHadIsNotForgotten) {
  const auto model = make({{"participation", "0.5"}, {"momentum", "0"}});
  ServerState state = trained(*model, 4);
  const std::uint32_t item = training_[0].front().item;
  const double before = matrix(state, "item_factors").row(item).norm();
  for (auto& own : training_) std::erase_if(own, [item](const Observation& event) { return event.item == item; });
  advance(*model, state, Purpose::train);
  EXPECT_GT(matrix(state, "item_factors").row(item).norm(), 0.3 * before);
  state.hidden.erase("targets");
  const Status stepped = model->step(Purpose::train, state, sums(*model, Purpose::train, state), training_.size());
  EXPECT_EQ(stepped.error().code(), ErrorCode::wrong_model);
}

}  // namespace
}  // namespace chorus::model::testing_ratings
