// A2: which items a member rated, told from the sum of its cohort alone.
//
// The sum's row of item i holds n_i and G_i = Σ e z, and nothing of it is about one member more than another: a score
// is a function of the item. The strongest is learned: a classifier over what the rows say (n_i, |G_i|, its first
// number, its mean) from a sum of the attacker's own people at the same published model, whose ratings it knows (Shokri
// et al. 2017, section V, with a sum in the place of the model). "AUC near 1/2" would be the wrong bar: popular items
// are likely. What masks promise is that the sum tells no more than its own counts do.
#pragma once

#include "simulations/audit/finding.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

struct SumAttack {
  double auc = 0;         // against items that the member did not rate, drawn uniformly
  double popularity = 0;  // of n_i alone, on the same pairs
  double matched = 0;     // against items rated about as often
  double matched_popularity = 0;
  std::size_t pairs = 0;
  std::size_t matched_pairs = 0;
};

// `sum`: of `cohort`. Errors: those of the others' sum.
[[nodiscard]] Result<SumAttack> attack_sum(const Scene& scene, const Training& published,
                                           std::span<const std::uint32_t> cohort, const ring::RoundSum& sum);

// `sum`: of the scene's cohort, from a masked session.
[[nodiscard]] Result<Finding> attack_secure_sums(const Scene& scene, const Training& published,
                                                 const ring::RoundSum& sum);

}  // namespace chorus::sim::audit
