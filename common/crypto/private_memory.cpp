#include "common/crypto/private_memory.hpp"

#include <cerrno>
#include <system_error>

#include <sys/prctl.h>
#include <sys/resource.h>

namespace chorus::crypto {

Status keep_memory_private() {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  if (::setrlimit(RLIMIT_CORE, &none) == 0 && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0) return {};
  return fail(ErrorCode::io, "the process's memory cannot be kept private: " + std::generic_category().message(errno));
}

}  // namespace chorus::crypto
