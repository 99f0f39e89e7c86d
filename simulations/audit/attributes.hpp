// A7: a trait of a person, told from the published model and a few known ratings.
//
// Rating sets come without traits of people. The trait is made of ratings: the attacker knows ten of a person's (said
// in public), and the trait is whether, among all the others, the share of one genre, the one in which people differ
// most, is above the median (Weinsberg et al., BlurMe, RecSys 2012, section 3: traits from ratings). It has the
// published model, the last aggregate and how popular items are; and all of it for people of its own whose trait it
// knows, from whom a classifier learns.
//
// What a model says of everybody is not a breach of one; what taking part costs is. Two models are made by two groups:
// each person's trait is told with the model that it helped to make, and with the other's.
#pragma once

#include "simulations/audit/finding.hpp"
#include "simulations/audit/scene.hpp"

namespace chorus::sim::audit {

struct TraitInference {
  std::string genre;
  double popularity = 0.5;  // AUC, from how popular the known items are, and how they were rated
  double own = 0.5;         // and with the model and the aggregate that the person helped to make
  double foreign = 0.5;     // with the other
  double upload = 0.5;      // control: from the person's upload, without masks; not of a private model
  std::size_t people = 0;   // of both groups; 0: no genre tells people apart, or there are too few with ratings enough
};

// The mean of so many games with other groups; of the control the least. REQUIRES: the scene has a catalogue.
[[nodiscard]] Result<TraitInference> infer_trait(const Scene& scene, const model::Model& model, std::uint32_t rounds,
                                                 std::uint32_t games);
[[nodiscard]] Result<Finding> attack_attributes(const Scene& scene);

}  // namespace chorus::sim::audit
