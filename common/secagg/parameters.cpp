#include "common/secagg/parameters.hpp"

#include <string>

namespace chorus::secagg {

Result<Parameters> derive_parameters(std::uint32_t members, plan::Ratio corrupt, plan::Ratio dropout) {
  const auto proper = [](plan::Ratio ratio) { return ratio.denominator > 0 && ratio.numerator < ratio.denominator; };
  if (!proper(corrupt)) return fail(ErrorCode::invalid_argument, "the corrupt share must be below 1", "gamma");
  if (!proper(dropout)) return fail(ErrorCode::invalid_argument, "the dropout share must be below 1", "delta");
  if (members > kMostMembers) {
    return fail(ErrorCode::invalid_argument, "a cohort has at most 512 members, not " + std::to_string(members), "n");
  }
  Parameters p;
  p.members = members;
  p.corrupt = corrupt.of(members);
  p.dropout = dropout.of(members);
  p.threshold = (members + p.corrupt) / 2 + 1;
  p.quorum = p.threshold;
  if (members < 2 || p.corrupt + p.dropout >= members || p.threshold > members) {
    return fail(ErrorCode::cohort_too_small,
                "a cohort of " + std::to_string(members) + " leaves no honest survivors to hide among", "n");
  }
  p.honest = members - p.dropout - p.corrupt;
  return p;
}

}  // namespace chorus::secagg
