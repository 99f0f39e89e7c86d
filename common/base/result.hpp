// Result<T>: a value or an Error. `CHORUS_TRY` unwraps one or returns its error to the caller.
#pragma once

#include <expected>
#include <utility>

#include "common/base/error.hpp"

namespace chorus {

template <typename T>
using Result = std::expected<T, Error>;

using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string sentence, std::string where = {}) {
  return std::unexpected<Error>(Error(code, std::move(sentence), std::move(where)));
}

[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

}  // namespace chorus

#define CHORUS_DETAIL_CONCAT_(a, b) a##b
#define CHORUS_DETAIL_CONCAT(a, b) CHORUS_DETAIL_CONCAT_(a, b)
#define CHORUS_DETAIL_TRY(result, declaration, expression)              \
  auto result = (expression);                                           \
  if (!result.has_value()) return ::chorus::fail(std::move(result).error()); \
  declaration = std::move(result).value()

// CHORUS_TRY(auto plan, parse(bytes));   plan is the value, or the function returned the error.
#define CHORUS_TRY(declaration, expression) \
  CHORUS_DETAIL_TRY(CHORUS_DETAIL_CONCAT(chorus_try_, __LINE__), declaration, expression)

// CHORUS_TRY_DO(check(plan));   for a Status.
#define CHORUS_TRY_DO(expression)                                                         \
  do {                                                                                    \
    auto chorus_try_status = (expression);                                                \
    if (!chorus_try_status.has_value()) return ::chorus::fail(std::move(chorus_try_status).error()); \
  } while (false)
