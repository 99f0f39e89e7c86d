// What a secure sum shows: the message of its phase for each member, and how it ended.
#include <algorithm>

#include "coordinator/round/secure_sum.hpp"

namespace chorus::coordinator {

using secagg::MemberSet;

std::optional<Bytes> SecureSum::message_for(std::uint32_t member) const {
  const std::optional<std::uint32_t> position = position_of(member);
  if (!position) return std::nullopt;
  const std::uint32_t p = *position;
  if (const auto* const sharing = std::get_if<Sharing>(&state_)) return sharing->roster;
  if (const auto* const masking = std::get_if<Masking>(&state_)) {
    if (!masking->dealers.contains(p)) return std::nullopt;
    return secagg::encode_delivery(masking->dealers, p, masking->shares, masking->trees);
  }
  if (const auto* const voting = std::get_if<Voting>(&state_)) {
    return voting->survivors.contains(p) ? std::optional(secagg::encode(secagg::Survivors{voting->survivors}))
                                         : std::nullopt;
  }
  if (const auto* const unmasking = std::get_if<Unmasking>(&state_)) {
    return unmasking->survivors.contains(p) ? std::optional(unmasking->certificate) : std::nullopt;
  }
  return std::nullopt;
}

std::uint64_t SecureSum::received(std::uint32_t member) const noexcept {
  const auto* const masking = std::get_if<Masking>(&state_);
  return masking != nullptr && position_[member] ? masking->vectors[*position_[member]].size() : 0;
}

std::vector<std::uint32_t> SecureSum::survivors() const {
  const MemberSet* set = nullptr;
  if (const auto* const voting = std::get_if<Voting>(&state_)) set = &voting->survivors;
  if (const auto* const unmasking = std::get_if<Unmasking>(&state_)) set = &unmasking->survivors;
  if (const auto* const recovering = std::get_if<Recovering>(&state_)) set = &recovering->survivors;
  if (const auto* const done = std::get_if<Done>(&state_)) set = &done->survivors;
  if (set == nullptr) return {};
  std::vector<std::uint32_t> members = set->positions();
  for (std::uint32_t& position : members) position = member_[position];
  std::sort(members.begin(), members.end());
  return members;
}

const ring::CohortSum* SecureSum::sum() const noexcept {
  const auto* const done = std::get_if<Done>(&state_);
  return done == nullptr ? nullptr : &done->sum;
}

const Error* SecureSum::reason() const noexcept {
  const auto* const aborted = std::get_if<Aborted>(&state_);
  return aborted == nullptr ? nullptr : &aborted->reason;
}

}  // namespace chorus::coordinator
