#include "client/round/sum_member.hpp"

#include "client/round/sum_member_machine.hpp"

namespace chorus::client {

template class BasicSumMember<FullChecks>;

}  // namespace chorus::client
