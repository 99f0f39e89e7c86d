// How many connections the kernel lets this process have. Stateless.
#pragma once

#include <cstdint>

namespace chorus::coordinator {

// Raises the soft limit on open files to the hard one; the limit afterwards.
std::uint64_t raise_open_files() noexcept;

}  // namespace chorus::coordinator
