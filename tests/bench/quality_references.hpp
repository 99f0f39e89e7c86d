// What the quality table compares presets with, on the same split: plain centralised methods that see every rating,
// tuned on a held-out part of the training ratings. Stateless.
#pragma once

#include <cstdint>

#include "common/dataset/split.hpp"

namespace chorus::bench {

struct Scale {
  double minimum = 0;  // predictions are kept within
  double maximum = 0;
};

// r̂ = μ + b_u + c_i by alternating ridges; both ridges from {1, 2, 5, 10, 20}. Gives the test RMSE.
[[nodiscard]] double tuned_biases_rmse(const dataset::Split& split, const Scale& scale, std::uint64_t seed);
// r̂ = μ + b_u + c_i + p_u·q_i by alternating least squares, 16 factors, 12 rounds; ridge from {4, 8, 16, 32}. The test
// RMSE.
[[nodiscard]] double tuned_factors_rmse(const dataset::Split& split, const Scale& scale, std::uint64_t seed);
// Every test item ranked by its number of training events, among all items that its user has none with; ties count
// against it. Mean NDCG@10 over users with one test item each.
[[nodiscard]] double popularity_ndcg(const dataset::Split& split);

// Implicit alternating least squares, 32 factors, 10 rounds (Rendle et al. 2022); ridge from {.001, .003, .01, .03,
// .1}, weight of what did not happen from {.1, .3, 1}. Mean NDCG@10 as above.
[[nodiscard]] double tuned_events_ndcg(const dataset::Split& split, std::uint64_t seed);

}  // namespace chorus::bench
