// Keeps secrets in memory away from everybody but this process. For programs, as the first thing that they do; a
// library must not: it would change the process of its host. Affects the whole process; not undone, nor inherited by
// programs that it starts, but for the limit.
#pragma once

#include "common/base/result.hpp"

namespace chorus::crypto {

// From now on this process leaves no core dump (RLIMIT_CORE), also not to a collector that ignores the limit, and other
// processes of its user can neither attach to it nor read its memory (PR_SET_DUMPABLE). A debugger that has started it
// keeps it. Errors: io, where the system forbids it.
[[nodiscard]] Status keep_memory_private();

}  // namespace chorus::crypto
