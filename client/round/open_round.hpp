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

// The promises of one round, kept by the store.
class StorePromises final : public SumPromises {
 public:
  StorePromises(Store& store, RoundId round) : store_(&store), round_(round) {}
  // Without noise there is no budget to hold a round's cost against: the policy has agreed to the plan by name, or not.
  [[nodiscard]] Status afford(std::uint32_t /*honest*/) override { return {}; }
  [[nodiscard]] Status charge(std::uint32_t /*honest*/) override {
    CHORUS_TRY_DO(store_->charge(round_));
    charged_ = true;
    return {};
  }
  [[nodiscard]] Status vote(const Digest& h3) override { return store_->vote(round_, h3); }
  [[nodiscard]] bool charged() const noexcept { return charged_; }

 private:
  Store* store_;
  RoundId round_;
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

  OpenRound(plan::RoundPlan of, Moment until, Participation as, identity::RevocationList without, Store& store)
      : plan(std::move(of)),
        deadline(until),
        line(std::move(as)),
        revoked(std::move(without)),
        promises(store, line.round) {}
  OpenRound(const OpenRound&) = delete;
  OpenRound& operator=(const OpenRound&) = delete;
};

}  // namespace chorus::client
