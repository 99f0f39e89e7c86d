// From the inside's errors to those of the public surface. Stateless functions.
#pragma once

#include <expected>
#include <utility>

#include "chorus/client.hpp"
#include "common/base/result.hpp"

namespace chorus::api {

[[nodiscard]] ClientErrorKind kind_of(ErrorCode code) noexcept;
[[nodiscard]] ClientError outward(const Error& error);

template <typename T>
[[nodiscard]] ClientResult<T> outward(Result<T> result) {
  if (!result) return std::unexpected(outward(result.error()));
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return std::move(result).value();
  }
}

// The same, where an error of these kinds means something else than it mostly does.
template <typename T>
[[nodiscard]] ClientResult<T> outward(Result<T> result, ClientErrorKind from, ClientErrorKind to) {
  ClientResult<T> out = outward(std::move(result));
  if (!out && out.error().kind == from) out.error().kind = to;
  return out;
}

}  // namespace chorus::api
