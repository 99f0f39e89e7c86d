#include "coordinator/io/machine.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "coordinator/io/clock.hpp"

namespace chorus::coordinator {

namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
constexpr std::uint64_t kLeastRoom = 100 * kMebibyte;
// This program did not exist before.
constexpr WallTime kEarliest{std::chrono::sys_days{std::chrono::year{2025} / 1 / 1}};

class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return number_; }

 private:
  int number_;
};

std::string text_of(const ListenAddress& address) {
  return address.host.find(':') == std::string::npos ? fmt::format("{}:{}", address.host, address.port)
                                                     : fmt::format("[{}]:{}", address.host, address.port);
}

// As the daemon binds it; the error's number, 0 if it can be had.
int try_to_bind(const ListenAddress& address) {
  sockaddr_storage place{};
  socklen_t size = 0;
  const auto fill = [&](auto& wanted, auto family, void* host) {
    size = sizeof wanted;
    return ::inet_pton(family, address.host.c_str(), host) == 1;
  };
  auto& v4 = reinterpret_cast<sockaddr_in&>(place);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(place);
  if (fill(v4, AF_INET, &v4.sin_addr)) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
  } else if (fill(v6, AF_INET6, &v6.sin6_addr)) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
  } else {
    return EADDRNOTAVAIL;
  }
  const Descriptor socket(::socket(place.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return errno;
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (place.ss_family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&place), size) == 0 ? 0 : errno;
}

// The folder, or the nearest above it that is there.
std::filesystem::path nearest(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::path place = std::filesystem::absolute(folder, ignored);
  while (!std::filesystem::exists(place, ignored) && place.has_relative_path()) place = place.parent_path();
  return place;
}

bool is_remote(const std::filesystem::path& place) {
  // As in linux/magic.h: NFS, SMB, SMB2, CIFS, AFS, Coda, Ceph, 9P.
  constexpr std::uint32_t kRemote[] = {0x6969,     0x517B,     0xFE534D42, 0xFF534D42,
                                       0x5346414F, 0x73757245, 0x00C36400, 0x01021997};
  struct statfs info{};
  if (::statfs(place.c_str(), &info) != 0) return false;
  return std::ranges::find(kRemote, static_cast<std::uint32_t>(info.f_type)) != std::end(kRemote);
}

std::string why_unwritable(const std::filesystem::path& place) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(place, ignored)) return fmt::format("{} is not a folder", place.string());
  if (::access(place.c_str(), W_OK | X_OK) == 0) return {};
  return fmt::format("{}: {}", place.string(), std::generic_category().message(errno));
}

bool is_locked(const std::filesystem::path& state) {
  const Descriptor lock(::open((state / "lock").c_str(), O_RDWR | O_CLOEXEC));
  return lock.get() >= 0 && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool is_loopback(const ListenAddress& address) {
  return address.host.starts_with("127.") || address.host == "::1";
}

}  // namespace

std::uint64_t needed_bytes(std::uint64_t model_bytes) noexcept {
  return kLeastRoom + 16 * model_bytes;
}

Machine look_at_machine(const MachineNeeds& needs) {
  Machine machine;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) machine.open_files = files.rlim_max;
  const std::filesystem::path place = nearest(needs.state);
  struct statvfs room{};
  if (::statvfs(place.c_str(), &room) == 0) machine.free_bytes = std::uint64_t{room.f_bavail} * room.f_frsize;
  machine.remote = is_remote(place);
  machine.unwritable = why_unwritable(place);
  machine.in_use = is_locked(needs.state);
  machine.now = wall_now();
  timex clock{};
  machine.synchronised = ::adjtimex(&clock) != TIME_ERROR;
  if (!machine.in_use) {
    std::vector<ListenAddress> wanted = needs.listen;
    if (needs.admin) wanted.push_back(*needs.admin);
    for (const ListenAddress& address : wanted) {
      if (const int number = try_to_bind(address); number != 0) machine.refused.push_back({text_of(address), number});
    }
  }
  return machine;
}

std::vector<Finding> judge_machine(const MachineNeeds& needs, const Machine& machine) {
  std::vector<Finding> findings;
  const auto add = [&](Trouble trouble, std::string sentence, std::string where) {
    findings.push_back({.trouble = trouble, .sentence = std::move(sentence), .where = std::move(where)});
  };
  if (const std::uint64_t files = needs.connections + kFilesBesides; machine.open_files < files) {
    add(Trouble::open_files,
        fmt::format("{} files may be open, and {} connections need {}", machine.open_files, needs.connections, files),
        "[limits] connections");
  }
  if (const std::uint64_t room = needed_bytes(needs.model_bytes); machine.free_bytes < room) {
    add(Trouble::disk_space,
        fmt::format("{} MiB are free, and {} MiB are needed", machine.free_bytes / kMebibyte, room / kMebibyte),
        needs.state.string());
  }
  if (machine.now < kEarliest) {
    add(Trouble::clock_wrong, fmt::format("this machine's clock says {:%FT%TZ}", machine.now), {});
  }
  if (!machine.synchronised) add(Trouble::clock_adrift, "no time service keeps this machine's clock right", {});
  for (const auto& [address, number] : machine.refused) {
    add(number == EADDRINUSE ? Trouble::address_taken : Trouble::address_unusable,
        std::generic_category().message(number), address);
  }
  if (!machine.unwritable.empty()) add(Trouble::state_unwritable, machine.unwritable, needs.state.string());
  if (machine.in_use) {
    add(Trouble::state_in_use, "a coordinator runs on this state folder; addresses were not tried",
        needs.state.string());
  }
  if (machine.remote) add(Trouble::state_remote, "this folder is on another machine", needs.state.string());
  if (needs.admin && !is_loopback(*needs.admin)) {
    add(Trouble::admin_exposed, "commands and their token cross the network unencrypted", text_of(*needs.admin));
  }
  return findings;
}

}  // namespace chorus::coordinator
