// What `check` asks of the machine before anything starts. Looking changes nothing: no folder is made, no lock is kept,
// and an address that is tried is let go at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.hpp"
#include "coordinator/config/findings.hpp"
#include "coordinator/config/settings.hpp"

namespace chorus::coordinator {

struct MachineNeeds {
  std::vector<ListenAddress> listen;
  std::optional<ListenAddress> admin;
  std::filesystem::path state;
  std::uint32_t connections = 0;
  std::uint64_t model_bytes = 0;  // of one version of every job
};

// What the system said.
struct Machine {
  std::uint64_t open_files = 0;  // that this process may have
  std::uint64_t free_bytes = 0;  // where the state folder is or would be
  bool remote = false;           // that file system is of another machine
  std::string unwritable{};      // why the state folder cannot be written; empty: it can
  bool in_use = false;           // a coordinator holds the state folder's lock
  WallTime now{};
  bool synchronised = true;  // something keeps the clock right
  struct Refused {
    std::string address;
    int number = 0;  // errno
  };
  std::vector<Refused> refused{};  // addresses that cannot be bound; not tried if in_use
};

// Files besides connections: listeners, the store, logs.
inline constexpr std::uint64_t kFilesBesides = 64;
// Room for four versions, each with twice as much of what only the next step needs, and the database's log of them.
[[nodiscard]] std::uint64_t needed_bytes(std::uint64_t model_bytes) noexcept;

[[nodiscard]] Machine look_at_machine(const MachineNeeds& needs);
// Pure. In the order of their numbers.
[[nodiscard]] std::vector<Finding> judge_machine(const MachineNeeds& needs, const Machine& machine);

}  // namespace chorus::coordinator
