// Counts refused peers by reason and logs them, so that an operator sees who is turned away and why, and a flood of
// them does not fill the log. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/base/error.hpp"
#include "common/base/time.hpp"

namespace chorus::coordinator {

class Refusals {
 public:
  // One line at warning, at most kLinesPerSecond in a row; the next line says how many were left out.
  void add(const Error& reason, std::string_view address, Moment now);
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  [[nodiscard]] const std::map<ErrorCode, std::uint64_t>& by_reason() const noexcept { return by_reason_; }

  static constexpr std::uint32_t kLinesPerSecond = 20;

 private:
  std::map<ErrorCode, std::uint64_t> by_reason_;
  std::uint64_t total_ = 0;
  Moment window_{};
  std::uint32_t lines_ = 0;     // in this window
  std::uint64_t left_out_ = 0;  // since the last line
};

}  // namespace chorus::coordinator
