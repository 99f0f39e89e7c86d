// A round that a device takes part in, from its leaf to the result. It outlives a connection: whoever drives the
// participants of one device (client/io's agent, a simulation) owns it, so that a device that connects again in a
// phase keeps its place. A process that ends in mid-round has left it: nothing here is ever written to disk but the
// promises. Secrets die with it. Not thread-safe.
#pragma once

#include "client/round/sum_member.hpp"
#include "client/store/store.hpp"
#include "common/base/time.hpp"
#include "common/identity/revocation_list.hpp"
#include "common/plan/round_plan.hpp"
#include "common/protocol/messages.hpp"

namespace chorus::client {

// What a round's update costs in privacy, but for N, which the roster tells.
struct RoundTerms {
  double local_noise = 0;                 // σ_loc of the plan
  std::uint64_t squared_sensitivity = 0;  // Δ² of the encoding, in ring units
  privacy::LedgerLimits limits{.without_noise = true};
  WallTime now{};
};

// The promises of one round, kept by the store.
class StorePromises final : public SumPromises {
 public:
  // Without noise (the default) there is no budget to hold a round's cost against: the policy has agreed to the plan by
  // name, or not.
  StorePromises(Store& store, RoundId round, const RoundTerms& terms = {})
      : store_(&store), round_(round), terms_(terms) {}
  [[nodiscard]] Status afford(std::uint32_t honest) override { return store_->afford(charge_of(honest)); }
  [[nodiscard]] Status charge(std::uint32_t honest) override {
    CHORUS_TRY_DO(store_->charge(round_, charge_of(honest)));
    charged_ = true;
    return {};
  }
  [[nodiscard]] Status vote(const Digest& h3) override { return store_->vote(round_, h3); }
  [[nodiscard]] bool charged() const noexcept { return charged_; }

 private:
  [[nodiscard]] RoundCharge charge_of(std::uint32_t honest) const {
    return {.cost = privacy::Cost::of_round(terms_.squared_sensitivity, honest, terms_.local_noise),
            .honest = honest,
            .limits = terms_.limits,
            .now = terms_.now};
  }

  Store* store_;
  RoundId round_;
  RoundTerms terms_;
  bool charged_ = false;
};

struct OpenRound {
  plan::RoundPlan plan;
  Moment deadline;     // by when the next message of the coordinator must be here
  Participation line;  // of the device's history
  identity::RevocationList revoked;
  StorePromises promises;
  std::optional<SumMember> member{};  // refers to the two above

  // What was said last, to be said again to a coordinator that has not heard it: built once, sent verbatim.
  std::optional<protocol::Message> answer{};
  bool answer_again = false;
  // The masked update, until the survivors are known.
  Bytes vector{};
  std::size_t handed_out = 0;  // bytes of it, the piece that is being written included
  bool delivered = false;      // all of it, and its end

  // `squared_sensitivity`: of the encoding that made the update; 0 where it added no noise.
  OpenRound(plan::RoundPlan of, Moment until, Participation as, identity::RevocationList without, Store& store,
            const privacy::LedgerLimits& limits, std::uint64_t squared_sensitivity)
      : plan(std::move(of)),
        deadline(until),
        line(std::move(as)),
        revoked(std::move(without)),
        promises(store, line.round,
                 {.local_noise = plan.fields().local_noise,
                  .squared_sensitivity = squared_sensitivity,
                  .limits = limits,
                  .now = line.when}) {}
  OpenRound(const OpenRound&) = delete;
  OpenRound& operator=(const OpenRound&) = delete;
};

}  // namespace chorus::client
