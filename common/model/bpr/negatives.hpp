// The items that stand for what a person did not choose. They are drawn evenly, with replacement, among all items
// outside the person's training events. Nothing else is excluded: neither what is held out nor what a test will ask
// for, because a sampler that avoids those tells where they are (design: learning, section 4; the canary in
// tests/common/evaluation/leak_canary_test.cpp). Not thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "common/dataset/seeded_generator.hpp"
#include "common/model/model.hpp"

namespace chorus::model::bpr {

class NegativeSampler {
 public:
  // The draws are a function of the arguments: of the job's seed, the round, and which items the person chose.
  // `training` is sorted by item, its items are distinct and below `items`, and it must outlive the sampler.
  NegativeSampler(std::uint64_t seed, std::uint64_t round, std::span<const Observation> training, std::uint32_t items);

  // Whether there is an item to draw: not, for a person who has them all.
  [[nodiscard]] bool possible() const noexcept { return training_.size() < items_; }
  // REQUIRES: possible().
  [[nodiscard]] std::uint32_t next();

 private:
  std::span<const Observation> training_;
  std::uint32_t items_;
  dataset::SeededGenerator generator_;
};

}  // namespace chorus::model::bpr
