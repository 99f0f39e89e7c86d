// Preloaded (LD_PRELOAD) into a program under test: its wall clock is CHORUS_CLOCK_SHIFT seconds off, as that of a
// device that was never set, and jumps whenever the number in CHORUS_CLOCK_SHIFT_FILE (eight bytes, of this machine's
// order) changes. Monotonic time stays as it is.
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

std::time_t shift() {
  static const std::time_t seconds = [] {
    const char* text = std::getenv("CHORUS_CLOCK_SHIFT");
    return text == nullptr ? std::time_t{0} : static_cast<std::time_t>(std::atoll(text));
  }();
  static const std::int64_t* const jump = [] {
    const char* path = std::getenv("CHORUS_CLOCK_SHIFT_FILE");
    const int file = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return static_cast<const std::int64_t*>(nullptr);
    void* const mapped = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
    ::close(file);
    return mapped == MAP_FAILED ? nullptr : static_cast<const std::int64_t*>(mapped);
  }();
  return seconds + (jump == nullptr ? 0 : __atomic_load_n(jump, __ATOMIC_RELAXED));
}

using ClockGetTime = int (*)(clockid_t, timespec*);

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, timespec* out) noexcept {
  static const auto real = reinterpret_cast<ClockGetTime>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int status = real(clock, out);
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += shift();
  return status;
}

__attribute__((visibility("default"))) int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  const int status = ::clock_gettime(CLOCK_REALTIME, &now);
  if (status == 0) *out = {.tv_sec = now.tv_sec, .tv_usec = static_cast<suseconds_t>(now.tv_nsec / 1000)};
  return status;
}

__attribute__((visibility("default"))) std::time_t time(std::time_t* out) noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
}
