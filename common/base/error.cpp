#include "common/base/error.hpp"

namespace chorus {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::malformed:
      return "malformed";
    case ErrorCode::unsupported_version:
      return "unsupported_version";
    case ErrorCode::too_large:
      return "too_large";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::already_exists:
      return "already_exists";
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::unwritable:
      return "unwritable";
    case ErrorCode::disk_full:
      return "disk_full";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::io:
      return "io";
    case ErrorCode::unreachable:
      return "unreachable";
    case ErrorCode::address_in_use:
      return "address_in_use";
    case ErrorCode::timeout:
      return "timeout";
    case ErrorCode::closed:
      return "closed";
    case ErrorCode::tls:
      return "tls";
    case ErrorCode::bad_certificate:
      return "bad_certificate";
    case ErrorCode::expired:
      return "expired";
    case ErrorCode::not_yet_valid:
      return "not_yet_valid";
    case ErrorCode::revoked:
      return "revoked";
    case ErrorCode::wrong_host:
      return "wrong_host";
    case ErrorCode::bad_identity:
      return "bad_identity";
    case ErrorCode::identity_too_young:
      return "identity_too_young";
    case ErrorCode::duplicate_identity:
      return "duplicate_identity";
    case ErrorCode::bad_signature:
      return "bad_signature";
    case ErrorCode::bad_key:
      return "bad_key";
    case ErrorCode::out_of_phase:
      return "out_of_phase";
    case ErrorCode::duplicate:
      return "duplicate";
    case ErrorCode::below_threshold:
      return "below_threshold";
    case ErrorCode::late:
      return "late";
    case ErrorCode::wrong_job:
      return "wrong_job";
    case ErrorCode::wrong_model:
      return "wrong_model";
    case ErrorCode::non_finite:
      return "non_finite";
    case ErrorCode::cohort_too_small:
      return "cohort_too_small";
    case ErrorCode::stale_round:
      return "stale_round";
    case ErrorCode::model_reused:
      return "model_reused";
    case ErrorCode::round_in_use:
      return "round_in_use";
    case ErrorCode::parameter_below_floor:
      return "parameter_below_floor";
    case ErrorCode::parameter_above_ceiling:
      return "parameter_above_ceiling";
    case ErrorCode::cost_above_policy:
      return "cost_above_policy";
    case ErrorCode::share_not_authentic:
      return "share_not_authentic";
    case ErrorCode::bad_survivors:
      return "bad_survivors";
    case ErrorCode::bad_quorum:
      return "bad_quorum";
    case ErrorCode::already_signed:
      return "already_signed";
    case ErrorCode::bad_dealer:
      return "bad_dealer";
    case ErrorCode::budget_exhausted:
      return "budget_exhausted";
    case ErrorCode::sum_out_of_bounds:
      return "sum_out_of_bounds";
    case ErrorCode::aborted:
      return "aborted";
    case ErrorCode::overloaded:
      return "overloaded";
  }
  return "unknown";
}

Error Error::at(std::string_view place) const {
  std::string where(place);
  if (!where_.empty()) where.append(": ").append(where_);
  return {code_, sentence_, std::move(where)};
}

std::string Error::to_string() const {
  std::string text;
  if (!where_.empty()) text.append(where_).append(": ");
  text.append(sentence_).append(" (").append(chorus::to_string(code_)).append(")");
  return text;
}

}  // namespace chorus
