#include "tests/attacks/member.hpp"

#include <algorithm>

#include "client/round/sum_member_machine.hpp"

namespace chorus::client {
template class BasicSumMember<attacks::WithoutRosterLeaves>;
template class BasicSumMember<attacks::WithoutDealerSetSize>;
template class BasicSumMember<attacks::WithoutSurvivorSetSize>;
template class BasicSumMember<attacks::WithoutOneVote>;
template class BasicSumMember<attacks::WithoutQuorum>;
template class BasicSumMember<attacks::WithoutDealerSignatures>;
template class BasicSumMember<attacks::WithoutTranscript>;
template class BasicSumMember<attacks::WithoutSignatures>;
}  // namespace chorus::client

namespace chorus::attacks {

Status Member::hear_survivors(ByteView bytes) {
  std::optional<Bytes> vote;
  CHORUS_TRY_DO(keep(do_survivors(bytes), vote));
  if (vote) std::copy_n(vote->begin(), 64, released_.vote.emplace().begin());
  return {};
}

Confession confess(std::uint64_t seed) {
  // The order in which a member draws: its two keys as it advertises, its self-seed as it deals.
  sim::SeededRandom random(seed);
  crypto::ExchangeSecret share = crypto::ExchangeSecret::generate(random);
  crypto::ExchangeSecret mask = crypto::ExchangeSecret::generate(random);
  crypto::SecretBytes<32> beta = random.secret<32>();
  return {std::move(share), std::move(mask), std::move(beta)};
}

}  // namespace chorus::attacks
