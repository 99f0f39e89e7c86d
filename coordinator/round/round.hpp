// One cohort's round, the coordinator's half, sans-IO: members upload their updates in ordered pieces; complete ones
// are added to the cohort's sum. Owned by Federation, on its thread.
//
//   Collecting ──▶ Summed     every member delivered, declined or left, or the deadline came: enough updates
//       │
//       └───────▶ Aborted    fewer than n − ⌊δn⌋ updates are possible any more, the deadline came, or abort()
//
// An update is buffered until its last piece is there and wiped afterwards: a partial one never enters the sum. To
// leave Collecting wipes what is incomplete.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/plan/round_plan.hpp"
#include "common/protocol/messages.hpp"
#include "common/ring/fixed_point.hpp"
#include "coordinator/round/upload_buffer.hpp"

namespace chorus::coordinator {

// A device's position in its cohort, from 0.
using Member = std::uint32_t;

// What its owner has to know after an event.
struct MemberDelivered {  // the update is complete and in the sum
  Member member = 0;
};
struct MemberDeclined {
  Member member = 0;
  ErrorCode code = ErrorCode::aborted;
};
struct RoundEnded {};  // summed() or aborted() says how
using RoundAction = std::variant<MemberDelivered, MemberDeclined, RoundEnded>;
using RoundActions = std::vector<RoundAction>;

// Not thread-safe.
class Round {
 public:
  struct Summed {
    ring::CohortSum sum;
    std::vector<Member> survivors;  // whose updates are in the sum, in order
  };
  struct Aborted {
    Error reason;
  };

  // The members were sent `plan` at `opened`. REQUIRES: least_members ≤ members ≤ most_members of the plan.
  Round(plan::RoundPlan plan, std::uint32_t members, Moment opened);

  // Takes an Update or a Decline of `member`. REQUIRES: member < members. After an error nothing has changed:
  //   out_of_phase  another kind of message, or of a member that left
  //   stale_round   another session's
  //   late          the round has ended, or its deadline has come
  //   duplicate     the member has delivered or declined, or the piece is there already
  //   malformed     an empty piece, a gap, another total than the plan's
  //   too_large     beyond the total
  [[nodiscard]] Result<RoundActions> on_message(Member member, const protocol::Message& message, Moment now);
  // The member's connection ended. A delivered update stays in the sum.
  [[nodiscard]] RoundActions on_disconnect(Member member, Moment now);
  // To be called at next_deadline() or later.
  [[nodiscard]] RoundActions on_time(Moment now);
  [[nodiscard]] RoundActions abort(Error reason);
  // Absent once the round has ended.
  [[nodiscard]] std::optional<Moment> next_deadline() const noexcept;

  [[nodiscard]] const plan::RoundPlan& plan() const noexcept { return plan_; }
  [[nodiscard]] std::uint32_t members() const noexcept { return members_; }
  // The fewest updates that may be summed.
  [[nodiscard]] std::uint32_t needed() const noexcept { return plan_.least_survivors(members_); }
  [[nodiscard]] bool collecting() const noexcept { return std::holds_alternative<Collecting>(phase_); }
  // Complete updates so far.
  [[nodiscard]] std::uint32_t delivered() const noexcept;
  [[nodiscard]] const Summed* summed() const noexcept { return std::get_if<Summed>(&phase_); }
  // Hands the sum over; the round then holds nothing. REQUIRES: summed().
  [[nodiscard]] Summed take_sum();
  [[nodiscard]] const Aborted* aborted() const noexcept { return std::get_if<Aborted>(&phase_); }

 private:
  enum class Standing : std::uint8_t {
    uploading,  // its update is due; ends by the last piece, Decline or a disconnection
    delivered,
    declined,
    left,
  };
  struct Collecting {
    ring::CohortSum sum;
    std::vector<Standing> standing;        // [members]
    std::vector<UploadBuffer> incomplete;  // [members]; each at most layout.packed_size() bytes
    std::uint32_t open = 0;                // members still uploading
    Moment deadline;
  };

  struct Taken {};

  [[nodiscard]] Result<RoundActions> on_update(Collecting& phase, Member member, const protocol::Update& update);
  void leave(Collecting& phase, Member member, Standing standing);
  // Ends the round if its outcome is certain, or at the deadline.
  void settle(Collecting& phase, bool deadline, RoundActions& actions);

  plan::RoundPlan plan_;
  std::uint32_t members_;
  std::variant<Collecting, Summed, Aborted, Taken> phase_;
};

}  // namespace chorus::coordinator
