#include "common/crypto/private_memory.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace chorus::crypto {

namespace {

bool binds_at_start() {
  const char* const set = std::getenv("LD_BIND_NOW");
  return set != nullptr && std::string_view(set) == "1";
}

// Returns where it failed alone.
void start_again(char* const argv[]) {
  if (::setenv("LD_BIND_NOW", "1", 1) != 0) return;
  // By its path, which gives the process its name; a file that was replaced meanwhile has none.
  std::error_code none;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", none);
  if (!none) ::execv(path.c_str(), argv);
  ::execv("/proc/self/exe", argv);
}

}  // namespace

Status keep_memory_private(char* const argv[]) {
  if (!binds_at_start()) {
    start_again(argv);
  } else if (const rlimit none{.rlim_cur = 0, .rlim_max = 0};
             ::setrlimit(RLIMIT_CORE, &none) == 0 && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0) {
    return {};
  }
  return fail(ErrorCode::io, "the process's memory cannot be kept private: " + std::generic_category().message(errno));
}

}  // namespace chorus::crypto
