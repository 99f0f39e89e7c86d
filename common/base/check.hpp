// Checks of our own reasoning. They end the process, so they never depend on input: a peer, a file or a
// user that is wrong gets an `Error` (common/base/error.hpp).
#pragma once

namespace chorus::detail {

[[noreturn]] void check_failed(const char* condition, const char* message, const char* file, int line) noexcept;

}  // namespace chorus::detail

// Holds in every build. `message` says which promise was broken.
#define CHORUS_ENSURE(condition, message) \
  (static_cast<bool>(condition) ? static_cast<void>(0) : ::chorus::detail::check_failed(#condition, message, __FILE__, __LINE__))

// A bound that stands after a hot line: checked in debug builds, free in release builds.
#ifdef NDEBUG
#define CHORUS_ASSUME(condition) static_cast<void>(sizeof((condition) ? 1 : 0))
#else
#define CHORUS_ASSUME(condition) CHORUS_ENSURE(condition, "assumption")
#endif
