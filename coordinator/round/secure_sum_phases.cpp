// When a phase of a secure sum is over: who is waited for, and how many are enough.
#include <algorithm>

#include "coordinator/round/secure_sum.hpp"

namespace chorus::coordinator {

void SecureSum::begin_phase(plan::SumPhase phase, Moment now) {
  const auto index = static_cast<std::size_t>(phase);
  deadline_ = now + terms_.phases[index];
  patient_until_ = now + terms_.patience[index];
}

bool SecureSum::waits_for_more() const {
  const auto alive = [&](std::uint32_t position) { return !gone_[member_[position]]; };
  return std::visit(
      [&](const auto& state) -> bool {
        using State = std::decay_t<decltype(state)>;
        if constexpr (std::is_same_v<State, Advertising>) {
          for (std::uint32_t m = 0; m < invited_.size(); ++m) {
            if (!gone_[m] && !state.leaves[m]) return true;
          }
          return false;
        } else if constexpr (std::is_same_v<State, Sharing>) {
          for (std::uint32_t p = 0; p < roster_->size(); ++p) {
            if (alive(p) && !state.shares[p]) return true;
          }
          return false;
        } else if constexpr (std::is_same_v<State, Masking>) {
          const auto dealers = state.dealers.positions();
          return std::any_of(dealers.begin(), dealers.end(),
                             [&](std::uint32_t p) { return alive(p) && !state.ends[p]; });
        } else if constexpr (std::is_same_v<State, Voting>) {
          const auto survivors = state.survivors.positions();
          return std::any_of(survivors.begin(), survivors.end(),
                             [&](std::uint32_t p) { return alive(p) && !state.votes[p]; });
        } else if constexpr (std::is_same_v<State, Unmasking>) {
          const auto dealers = state.dealers.positions();
          const bool enough = std::all_of(dealers.begin(), dealers.end(), [&](std::uint32_t p) {
            return state.secrets[p].holders.size() >= parameters_->threshold;
          });
          if (enough) return false;
          const auto survivors = state.survivors.positions();
          return std::any_of(survivors.begin(), survivors.end(),
                             [&](std::uint32_t p) { return alive(p) && state.taken[p] == Digest{}; });
        } else {
          return true;
        }
      },
      state_);
}

bool SecureSum::has_enough() const {
  const plan::Ratio& over = terms_.over_selection;
  if (over.numerator <= over.denominator) return false;
  // invited / over_selection, rounded up
  const auto wanted = static_cast<std::uint32_t>(
      (invited_.size() * std::uint64_t{over.denominator} + over.numerator - 1) / over.numerator);
  const auto count = [](const auto& answers) {
    return static_cast<std::uint32_t>(
        std::count_if(answers.begin(), answers.end(), [](const auto& answer) { return answer.has_value(); }));
  };
  if (const auto* const advertising = std::get_if<Advertising>(&state_)) {
    return count(advertising->leaves) >= std::max(wanted, terms_.bounds.least_members);
  }
  if (!parameters_) return false;
  const std::uint32_t enough = std::max(parameters_->least_survivors(), std::min(wanted, parameters_->members));
  if (const auto* const sharing = std::get_if<Sharing>(&state_)) return count(sharing->shares) >= enough;
  if (const auto* const masking = std::get_if<Masking>(&state_)) return count(masking->ends) >= enough;
  if (const auto* const voting = std::get_if<Voting>(&state_)) {
    return count(voting->votes) >= std::max(enough, parameters_->quorum);
  }
  return false;  // unmasking needs no more than the threshold anyway
}

std::optional<Moment> SecureSum::next_deadline() const {
  return deadline_ && has_enough() ? std::min(*deadline_, patient_until_) : deadline_;
}

SecureSum::Actions SecureSum::advance_if_complete(Moment now) {
  const bool complete = !waits_for_more() || (now >= patient_until_ && has_enough());
  return complete ? advance(now) : Actions{};
}

}  // namespace chorus::coordinator
