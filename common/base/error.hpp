// What went wrong, as a value. Peers, input and I/O fail by returning an `Error`; our own bugs abort
// (common/base/check.hpp). An error never changes the state of the machine that returned it.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace chorus {

// One name for one cause; the names are part of the protocol (docs, logs and exit statuses use them).
enum class ErrorCode {
  // input and files
  malformed,            // does not parse, or a value is outside what the grammar allows
  unsupported_version,  // a version that this build does not speak
  too_large,            // beyond a documented limit
  not_found,
  already_exists,  // would overwrite
  invalid_argument,
  unwritable,  // the place exists but cannot be written
  disk_full,
  corrupt,  // stored data fails its checksum
  io,       // any other failure of the operating system
  // network
  unreachable,
  address_in_use,
  timeout,
  closed,
  tls,  // handshake or record failure
  // identity
  bad_certificate,
  expired,
  not_yet_valid,
  revoked,
  wrong_host,
  bad_identity,
  identity_too_young,
  duplicate_identity,
  bad_signature,
  bad_key,
  // rounds
  out_of_phase,
  duplicate,
  below_threshold,
  late,
  wrong_job,
  wrong_model,
  non_finite,
  cohort_too_small,
  stale_round,
  model_reused,
  round_in_use,
  parameter_below_floor,
  parameter_above_ceiling,
  cost_above_policy,
  share_not_authentic,
  bad_survivors,
  bad_quorum,
  already_signed,
  bad_dealer,
  budget_exhausted,
  sum_out_of_bounds,  // no honest members make such a sum
  aborted,
  overloaded,
};

// The name as written above, e.g. "bad_signature".
[[nodiscard]] std::string_view to_string(ErrorCode code) noexcept;

class Error {
 public:
  // `sentence` is for a person: what happened and, where it helps, what to do. `where` is the place in the
  // *input* ("ratings.csv:17", "field 'd'", "10.0.0.1:7443"), empty if there is none.
  Error(ErrorCode code, std::string sentence, std::string where = {})
      : code_(code), sentence_(std::move(sentence)), where_(std::move(where)) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& sentence() const noexcept { return sentence_; }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }

  // The same error seen from one level up: `place` is prefixed to where().
  [[nodiscard]] Error at(std::string_view place) const;

  // "ratings.csv:17: expected a number between 1 and 5, found '9' (malformed)"
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Error&, const Error&) = default;

 private:
  ErrorCode code_;
  std::string sentence_;
  std::string where_;
};

}  // namespace chorus
