// Devices that lie to steer the model: what a poisoned device sends in place of its update, as a model of its
// behaviour. They change the numbers of a contribution, whatever these mean, and what it is made of: every family of
// models can be poisoned. Nothing stops such a device from sending any numbers that a ring's lane holds; what the
// coordinator makes of the sums is not its concern. Values; concurrent reads are safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/model/model.hpp"
#include "common/plan/update_layout.hpp"
#include "common/ring/contribution.hpp"

namespace chorus::sim {

enum class Attack : std::uint8_t {
  scale,    // the device's own honest numbers, `factor` times
  flip,     // the same with the other sign: against what the others learn
  promote,  // honest but for one item, which it rates above what any model predicts, `factor` times
};
enum class Reach : std::uint8_t {
  clip,  // every number within its clip: no check of a cohort's sum can tell it from an honest device
  sum,   // as much as half of its cohort's members may together, in equal parts with the other poisoners there: the
         // check passes it but by mischance
  lane,  // as far as the cohort's sum goes before it wraps, in equal parts again
};

struct PoisonOptions {
  Attack attack = Attack::scale;
  double factor = 1000;
  Reach reach = Reach::lane;
  double cohorts = 1;        // the share of a round's cohorts that poisoners are confined to, the first of them
  double share = 1;          // of the devices there that are poisoned, drawn once
  std::uint32_t target = 0;  // the promoted item
};

// "scale", "flip", "promote"; "clip", "sum", "lane". Errors: invalid_argument.
[[nodiscard]] Result<Attack> attack_named(std::string_view name);
[[nodiscard]] Result<Reach> reach_named(std::string_view name);
[[nodiscard]] std::string_view to_string(Attack attack) noexcept;
[[nodiscard]] std::string_view to_string(Reach reach) noexcept;

class Poisoners {
 public:
  // Who of `devices` devices is poisoned is drawn from `seed`. REQUIRES: shares within [0, 1], a finite factor.
  Poisoners(const PoisonOptions& options, std::uint32_t devices, std::uint64_t seed);

  [[nodiscard]] const PoisonOptions& options() const noexcept { return options_; }
  // Whether a device of the cohort with this index, of so many, is poisoned.
  [[nodiscard]] bool is_poisoned(std::uint32_t device, std::size_t cohort, std::size_t cohorts) const noexcept;
  // What it contributes: numbers before they are encoded.
  void contribute(const model::Model& model, plan::Purpose purpose, const model::TensorSet& shared,
                  const model::LocalData& data, ring::Contribution& out) const;
  // How `accomplices` of a cohort of `members` encode it: the round's layout, with clips of their own. Sums of both add
  // up in the ring. REQUIRES: 0 < accomplices ≤ members ≤ honest.max_contributors().
  [[nodiscard]] plan::UpdateLayout layout(const plan::UpdateLayout& honest, std::uint32_t accomplices,
                                          std::uint32_t members) const;

 private:
  PoisonOptions options_;
  std::vector<bool> drawn_;  // [devices]
};

}  // namespace chorus::sim
