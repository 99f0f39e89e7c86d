// Keeps secrets in memory away from everybody but this process. For programs, as the first thing that they do; a
// library must not: it would change the process of its host. Affects the whole process; not undone, nor inherited by
// programs that it starts, but for the limit.
#pragma once

#include "common/base/result.hpp"

namespace chorus::crypto {

// From now on this process leaves no core dump (RLIMIT_CORE), also not to a collector that ignores the limit, and other
// processes of its user can neither attach to it nor read its memory (PR_SET_DUMPABLE). A debugger that has started it
// keeps it.
// Nor does the loader copy secrets: a call that a library binds when it is first made saves every vector register on
// the stack, and what memcpy or a cipher left in one may be a secret. So the process starts itself once more, with
// LD_BIND_NOW=1 (ld.so(8)) and the same `argv`, unless it was started so; its process id stays.
// Errors: io, where the system forbids it.
[[nodiscard]] Status keep_memory_private(char* const argv[]);

}  // namespace chorus::crypto
