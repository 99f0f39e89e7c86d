// What is accounted for: a Gaussian mechanism, used a number of times on one user's whole data, and a budget for it.
// Adjacency is one user added or removed (design: privacy, section 1).
#pragma once

#include <cstdint>

#include "common/base/result.hpp"

namespace chorus::privacy {

// The chance with which the promise of ε may fail; and ε itself.
struct Budget {
  double epsilon = 0;
  double delta = 0;
  friend bool operator==(const Budget&, const Budget&) = default;
};

struct Mechanism {
  double noise_multiplier = 0;  // z = standard deviation of the sum's noise / Δ
  std::uint64_t rounds = 1;     // T uses, each with fresh noise
  // The chance with which a user is in a round, independently (Poisson sampling). 1: in every round, for certain. A
  // lower one is an assumption about who chooses: it holds only while the choice is random and stays hidden.
  double sampling = 1;
};

// Errors: invalid_argument, with the field in where(): δ outside (0, 1), ε negative or not finite.
[[nodiscard]] Status check(const Budget& budget);
[[nodiscard]] Status check_delta(double delta);
// Errors: invalid_argument: z not positive or not finite, no round, a sampling rate outside (0, 1].
[[nodiscard]] Status check(const Mechanism& mechanism);

}  // namespace chorus::privacy
