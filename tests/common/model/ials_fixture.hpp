// `ials` with a few dozen people, and the same mathematics with everybody's events in one place.
#pragma once

#include "tests/common/model/rating_family_fixture.hpp"

namespace chorus::model::testing_ratings {

inline constexpr double kAlpha = 0.2;
inline constexpr double kRate = 0.9;
inline constexpr double kMomentum = 0.3;
inline constexpr double kLambda = 0.02;

class IalsTest : public RatingFamilyTest {
 protected:
  IalsTest()
      : RatingFamilyTest("ials",
                         {{"rank", "5"},
                          {"lambda", "0.02"},
                          {"alpha0", "0.2"},
                          {"rate", "0.9"},
                          {"momentum", "0.3"},
                          {"initial_scale", "0.4"}},
                         dataset::Feedback::events) {}

  // λ of a person, and of an item that `events` people had.
  double user_ridge(std::size_t events) const { return kLambda * (static_cast<double>(events) + kAlpha * kItems); }
  double item_ridge(double events) const { return kLambda * (events + kAlpha * static_cast<double>(training_.size())); }
};

inline MatrixXd matrix(const ServerState& state, std::string_view name) {
  const Tensor& tensor = *state.shared.find(name);
  MatrixXd m(Index{tensor.rows}, Index{tensor.columns});
  for (Index row = 0; row < m.rows(); ++row) {
    for (Index column = 0; column < m.cols(); ++column) {
      m(row, column) = double{tensor.values[static_cast<std::size_t>(row * m.cols() + column)]};
    }
  }
  return m;
}

// The same mathematics with everybody's events in one place: [people × items], 1 where there is one.
struct Central {
  MatrixXd events;
  MatrixXd p;  // [people × d]
  MatrixXd q;  // [items × d]

  explicit Central(const std::vector<std::vector<Observation>>& training)
      : events(MatrixXd::Zero(static_cast<Index>(training.size()), kItems)) {
    for (std::size_t u = 0; u < training.size(); ++u) {
      for (const Observation& event : training[u]) events(static_cast<Index>(u), event.item) = 1;
    }
  }
  double user_ridge(Index u) const { return kLambda * (events.row(u).sum() + kAlpha * kItems); }
  double item_ridge(Index i) const {
    return kLambda * (events.col(i).sum() + kAlpha * static_cast<double>(events.rows()));
  }
  void solve_users() {
    p.resize(events.rows(), q.cols());
    for (Index u = 0; u < events.rows(); ++u) {
      MatrixXd m = kAlpha * q.transpose() * q + user_ridge(u) * MatrixXd::Identity(q.cols(), q.cols());
      m += q.transpose() * events.row(u).asDiagonal() * q;
      p.row(u) = m.ldlt().solve(q.transpose() * events.row(u).transpose()).transpose();
    }
  }
  // Σ_S (1 − p·q)² + α Σ (p·q)² + Σ λ_u |p_u|² + Σ λ_i |q_i|²
  double objective() const {
    const MatrixXd scores = p * q.transpose();
    double sum = (events.array() * (1 - scores.array()).square()).sum() + kAlpha * scores.squaredNorm();
    for (Index u = 0; u < p.rows(); ++u) sum += user_ridge(u) * p.row(u).squaredNorm();
    for (Index i = 0; i < q.rows(); ++i) sum += item_ridge(i) * q.row(i).squaredNorm();
    return sum;
  }
  // What a step goes along: −½ of the objective's gradient in q_i.
  VectorXd descent(Index i) const {
    const VectorXd scores = p * q.row(i).transpose();
    return p.transpose() * (events.col(i).array() * (1 - scores.array())).matrix() - kAlpha * p.transpose() * scores -
           item_ridge(i) * q.row(i).transpose();
  }
};

}  // namespace chorus::model::testing_ratings
