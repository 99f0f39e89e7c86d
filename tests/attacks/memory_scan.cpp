#include "tests/attacks/memory_scan.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <unordered_map>

#include <fcntl.h>
#include <unistd.h>

#include "common/base/check.hpp"

namespace chorus::attacks {

namespace {

constexpr std::uint8_t kMask = 0xa5;
constexpr std::uint64_t kMask64 = 0xa5a5a5a5a5a5a5a5;

}  // namespace

void MemoryScan::remember(std::string name, ByteView secret) {
  CHORUS_ENSURE(secret.size() >= kWindow, "a needle has its window");
  Needle& needle = needles_.emplace_back();
  needle.name = std::move(name);
  for (std::size_t k = 0; k < kWindow; ++k) needle.masked[k] = secret[k] ^ kMask;
}

std::vector<std::string> MemoryScan::found() const {
  // By the first eight bytes, masked.
  std::unordered_multimap<std::uint64_t, const Needle*> heads;
  std::vector<bool> second(65536, false);  // a quick no for most places, by two masked bytes
  for (const Needle& needle : needles_) {
    std::uint64_t head = 0;
    std::memcpy(&head, needle.masked.data(), 8);
    heads.emplace(head, &needle);
    second[head & 0xffff] = true;
  }
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const auto buffer = std::make_unique<std::uint8_t[]>(kPiece);
  const auto own = reinterpret_cast<std::uintptr_t>(buffer.get());
  std::set<std::string> names;
  const int memory = ::open("/proc/self/mem", O_RDONLY);
  CHORUS_ENSURE(memory >= 0, "a process reads its own memory");
  std::ifstream maps("/proc/self/maps");
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> ranges;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string range;
    std::string permissions;
    fields >> range >> permissions;
    if (!permissions.starts_with("rw") || line.find("[vvar]") != std::string::npos) continue;
    ranges.emplace_back(std::stoull(range, nullptr, 16), std::stoull(range.substr(range.find('-') + 1), nullptr, 16));
  }
  for (const auto& [first, last] : ranges) {
    for (std::uintptr_t at = first; at < last;) {
      const std::size_t wanted = std::min<std::size_t>(kPiece, last - at);
      const ::ssize_t got = ::pread(memory, buffer.get(), wanted, static_cast<::off_t>(at));
      if (got < static_cast<::ssize_t>(kWindow)) break;
      const auto size = static_cast<std::size_t>(got);
      for (std::size_t k = 0; k + kWindow <= size; ++k) {
        std::uint64_t head = 0;
        std::memcpy(&head, buffer.get() + k, 8);
        head ^= kMask64;
        if (!second[head & 0xffff]) continue;
        const auto [begin, end] = heads.equal_range(head);
        for (auto it = begin; it != end; ++it) {
          // The buffer itself holds what was read before.
          if (at + k + kWindow > own && at + k < own + kPiece) continue;
          bool same = true;
          for (std::size_t b = 8; b < kWindow; ++b) {
            same = same && (buffer[k + b] ^ kMask) == it->second->masked[b];
          }
          if (same) names.insert(it->second->name);
        }
      }
      if (at + size >= last) break;
      at += size - (kWindow - 1);
    }
  }
  ::close(memory);
  std::memset(buffer.get(), 0, kPiece);
  return {names.begin(), names.end()};
}

}  // namespace chorus::attacks
