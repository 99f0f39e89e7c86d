// Whether the test was built with a sanitizer: one that keeps freed memory, maps terabytes and takes several times as
// long.
#pragma once

namespace chorus::attacks {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace chorus::attacks
