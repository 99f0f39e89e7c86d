// What an operator asks the daemon for, through the admin server.
#pragma once

#include <string>
#include <string_view>

namespace chorus::coordinator {

enum class AdminCommand { submit, pause, resume, stop, shut_down, log_level, audit };
[[nodiscard]] constexpr std::string_view to_string(AdminCommand command) noexcept {
  constexpr std::string_view kNames[] = {"submit", "pause", "resume", "stop", "shut down", "log level", "audit"};
  return kNames[static_cast<std::size_t>(command)];
}

struct AdminRequest {
  AdminCommand command = AdminCommand::audit;
  std::string job;     // empty: the only one
  std::string text;    // submit: the job file; log_level: the level
  std::string folder;  // submit: that relative paths in the file are relative to
};

}  // namespace chorus::coordinator
