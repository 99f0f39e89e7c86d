// What a row of an aggregate says of one candidate: a likelihood ratio against the crowd that the attacker knows.
//
// Whoever knows what a candidate would have contributed, and has people of its own from the same crowd, holds two laws
// of the row against each other: with the candidate in it and without. By Neyman and Pearson nothing beats their ratio,
// so far as the crowd's law is known: here a Gaussian for each number (Homer et al. 2008 and Dwork, Smith, Steinke,
// Ullman and Vadhan, Robust traceability from trace amounts, FOCS 2015, section 3, correlate instead; that is the same
// where all variances are equal).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "common/model/model.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

// What people of the attacker's own contribute to each number of a tensor: how many touch a row, and the moments.
struct Moments {
  std::vector<double> touches;  // [rows]
  std::vector<double> sum;      // [rows × columns]
  std::vector<double> squares;  // [rows × columns]
  std::vector<double> spread;   // of a touch about its row's mean, over all rows; [columns]
};

// What the attacker knows of one round.
// Values; thread-safe.
struct Look {
  plan::Purpose purpose = plan::Purpose::train;
  model::TensorSet shared;
  plan::UpdateLayout layout;
  double members = 0;
  double population = 0;                  // of the attacker's own
  std::vector<std::vector<double>> seen;  // the aggregate, [tensors][rows × columns]
  std::vector<Moments> others;            // [tensors]
  std::vector<double> noise;              // variance in a number of the aggregate, roundings too; [tensors]
  std::optional<std::size_t> counts;      // the tensor that says, without noise, how many touched each row
};

// `release`: of the round for `purpose` that starts from the training's model.
[[nodiscard]] Look look_at(const Scene& scene, const model::Model& model, const Training& training,
                           plan::Purpose purpose, const Release& release);

// The most that one row can say, either way: a natural logarithm of odds.
inline constexpr double kMostEvidence = 15;

// The logarithm of P(row | the candidate, who would contribute x, is in it) / P(row | is not), all others as the
// attacker's own people are; `own`: the candidate is one of these, and does not count among them.
//
//   S = Σ over m touches of N(a, v) + N(0, q)     out: m = n_i     in: x and m = n_i − 1
//
// Where the sum says n_i exactly the candidate is impossible at n_i = 0, and at n_i = 1 the row is x or is not.
[[nodiscard]] double evidence_of(const Look& look, std::size_t tensor, std::size_t row, std::span<const double> x,
                                 bool own);

}  // namespace chorus::sim::audit
