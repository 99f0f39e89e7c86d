// Looks for secrets in the memory of this process. What it looks for is kept under a mask, so that the list itself is
// not found.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/bytes.hpp"

namespace chorus::attacks {

class MemoryScan {
 public:
  static constexpr std::size_t kWindow = 16;

  // Remembers the first kWindow bytes. REQUIRES: bytes.size() >= kWindow.
  void remember(std::string name, ByteView secret);
  // The names of what stands anywhere in writable memory, sorted, each once.
  [[nodiscard]] std::vector<std::string> found() const;
  [[nodiscard]] std::size_t size() const noexcept { return needles_.size(); }

 private:
  struct Needle {
    std::string name;
    ByteArray<kWindow> masked{};
  };
  std::vector<Needle> needles_;
};

}  // namespace chorus::attacks
