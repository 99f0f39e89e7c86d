// A5: who took part, and with which ratings, told from all aggregates of a training: membership inference with shadow
// trainings.
//
// The attacker knows a candidate's ratings and the published models, and has people of its own. It asks two questions:
// did the cohort have this *rating* (user, item, value), against ratings of the same item by people who were not there,
// so that popularity says nothing, and from the item's own rows alone; and did this *person* take part, from all that
// the person would have contributed. Its evidence are likelihood ratios (row_evidence.hpp); |x|² beside them holds the
// loss (Yeom et al., CSF 2018, section 3.2). What they are worth a classifier learns on shadow trainings, in which the
// attacker's own people took part or not (Shokri et al., S&P 2017, section V; for aggregates Pyrgelis et al., NDSS
// 2018).
#pragma once

#include <memory>

#include "simulations/audit/finding.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

struct Membership {
  double record_auc = 0.5;
  double record_error = 0;  // standard error, as for one record a person
  double person_auc = 0.5;
  double person_error = 0;
  std::size_t records = 0;  // pairs, of all games
  std::size_t people = 0;   // who took part in a game; as many did not
};

// Each time `people` of the cohort are drawn; half of them train, the other half stays away.
struct Games {
  std::size_t people = 0;
  std::uint32_t shadows = 1;  // trainings that the attacker learns from
  std::uint32_t times = 1;    // trainings that are attacked
};
// `model` trains for `rounds` rounds; AUCs are means. REQUIRES: 2 ≤ people ≤ the smaller of cohort and others, shadows
// and times > 0.
[[nodiscard]] Result<Membership> infer_membership(const Scene& scene, const model::Model& model, std::uint32_t rounds,
                                                  const Games& games);
[[nodiscard]] Result<Finding> attack_membership(const Scene& scene);

}  // namespace chorus::sim::audit
