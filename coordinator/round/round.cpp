#include "coordinator/round/round.hpp"

#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::coordinator {

Round::Round(plan::RoundPlan plan, std::uint32_t members, Moment opened)
    : plan_(std::move(plan)),
      members_(members),
      phase_(Collecting{.sum = ring::CohortSum(plan_.layout()),
                        .standing = std::vector<Standing>(members, Standing::uploading),
                        .incomplete = std::vector<UploadBuffer>(members),
                        .open = members,
                        .deadline = opened + plan_.fields().upload_deadline}) {
  CHORUS_ENSURE(members >= plan_.fields().least_members && members <= plan_.fields().most_members,
                "a cohort is as large as its plan says");
}

Result<RoundActions> Round::on_message(Member member, const protocol::Message& message, Moment now) {
  CHORUS_ENSURE(member < members_, "a member is a position in its cohort");
  const auto* update = std::get_if<protocol::Update>(&message);
  const auto* decline = std::get_if<protocol::Decline>(&message);
  if (update == nullptr && decline == nullptr) {
    return fail(ErrorCode::out_of_phase,
                fmt::format("a member of a round sent '{}'", protocol::to_string(protocol::type_of(message))));
  }
  if ((update != nullptr ? update->session : decline->session) != plan_.fields().session) {
    return fail(ErrorCode::stale_round, "the message belongs to another round");
  }
  auto* phase = std::get_if<Collecting>(&phase_);
  if (phase == nullptr || now >= phase->deadline) {
    return fail(ErrorCode::late, "the round takes no more updates");
  }
  switch (phase->standing[member]) {
    case Standing::uploading:
      break;
    case Standing::delivered:
      return fail(ErrorCode::duplicate, "the member has delivered its update");
    case Standing::declined:
      return fail(ErrorCode::duplicate, "the member has declined the round");
    case Standing::left:
      return fail(ErrorCode::out_of_phase, "the member has left the round");
  }
  if (update != nullptr) return on_update(*phase, member, *update);
  leave(*phase, member, Standing::declined);
  RoundActions actions{MemberDeclined{member, decline->code}};
  settle(*phase, false, actions);
  return actions;
}

Result<RoundActions> Round::on_update(Collecting& phase, Member member, const protocol::Update& update) {
  auto& received = phase.incomplete[member];
  const std::size_t total = plan_.layout().packed_size();
  if (update.total != total) {
    return fail(ErrorCode::malformed, fmt::format("an update of this round has {} bytes, not {}", total, update.total));
  }
  if (update.data.empty()) return fail(ErrorCode::malformed, "a piece of an update is empty");
  if (update.offset < received.size()) {
    return fail(ErrorCode::duplicate, fmt::format("the bytes from {} on are there already", update.offset));
  }
  if (update.offset > received.size()) {
    return fail(ErrorCode::malformed,
                fmt::format("the next piece starts at byte {}, not {}", received.size(), update.offset));
  }
  if (update.data.size() > total - received.size()) {
    return fail(ErrorCode::too_large, fmt::format("a piece of {} bytes at {} is beyond the update's {} bytes",
                                                  update.data.size(), update.offset, total));
  }
  RoundActions actions;
  const bool complete = received.size() + update.data.size() == total;
  if (received.empty() && complete) {
    // In one piece: no need for a buffer.
    const Status added = phase.sum.add(update.data);
    CHORUS_ENSURE(added.has_value(), "an update of the plan's size can be added");
  } else {
    received.append(update.data, total);
    if (!complete) return actions;
    const Status added = phase.sum.add(received.view());
    CHORUS_ENSURE(added.has_value(), "an update of the plan's size can be added");
  }
  leave(phase, member, Standing::delivered);
  actions.emplace_back(MemberDelivered{member});
  settle(phase, false, actions);
  return actions;
}

RoundActions Round::on_disconnect(Member member, Moment now) {
  CHORUS_ENSURE(member < members_, "a member is a position in its cohort");
  RoundActions actions;
  auto* phase = std::get_if<Collecting>(&phase_);
  if (phase == nullptr || phase->standing[member] != Standing::uploading) return actions;
  leave(*phase, member, Standing::left);
  settle(*phase, now >= phase->deadline, actions);
  return actions;
}

RoundActions Round::on_time(Moment now) {
  RoundActions actions;
  if (auto* phase = std::get_if<Collecting>(&phase_); phase != nullptr && now >= phase->deadline) {
    settle(*phase, true, actions);
  }
  return actions;
}

RoundActions Round::abort(Error reason) {
  if (!collecting()) return {};
  phase_ = Aborted{std::move(reason)};
  return {RoundEnded{}};
}

Round::Summed Round::take_sum() {
  CHORUS_ENSURE(summed() != nullptr, "only a round that has a sum hands it over");
  Summed ended = std::get<Summed>(std::move(phase_));
  phase_ = Taken{};
  return ended;
}

std::optional<Moment> Round::next_deadline() const noexcept {
  const auto* phase = std::get_if<Collecting>(&phase_);
  return phase == nullptr ? std::nullopt : std::optional(phase->deadline);
}

std::uint32_t Round::delivered() const noexcept {
  if (const auto* phase = std::get_if<Collecting>(&phase_)) return phase->sum.contributors();
  if (const auto* ended = summed()) return ended->sum.contributors();
  return 0;
}

void Round::leave(Collecting& phase, Member member, Standing standing) {
  phase.standing[member] = standing;
  phase.incomplete[member].clear();
  --phase.open;
}

void Round::settle(Collecting& phase, bool deadline, RoundActions& actions) {
  const std::uint32_t delivered = phase.sum.contributors();
  // Those who may still deliver cannot make up for those who will not.
  const bool hopeless = delivered + phase.open < needed();
  if (!deadline && !hopeless && phase.open > 0) return;
  if (delivered < needed()) {
    phase_ = Aborted{
        Error(ErrorCode::below_threshold, fmt::format("{} of {} members delivered an update{}, {} are needed",
                                                      delivered, members_, deadline ? " in time" : "", needed()))};
  } else {
    Summed ended{.sum = std::move(phase.sum), .survivors = {}};
    for (Member member = 0; member < members_; ++member) {
      if (phase.standing[member] == Standing::delivered) ended.survivors.push_back(member);
    }
    phase_ = std::move(ended);
  }
  actions.emplace_back(RoundEnded{});
}

}  // namespace chorus::coordinator
