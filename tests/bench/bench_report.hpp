// What every benchmark prints: progress on standard error, and one JSON object as the last line of standard output,
// with the machine it was measured on.
#pragma once

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace chorus::bench {

using Clock = std::chrono::steady_clock;

[[nodiscard]] inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

inline std::string first_line_of(const char* command) {
  std::string text;
  if (FILE* const pipe = ::popen(command, "r")) {
    std::array<char, 256> buffer{};
    while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), pipe) != nullptr) text += buffer.data();
    ::pclose(pipe);
  }
  return text.substr(0, text.find('\n'));
}

inline std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

// {"bench": name, "git": revision, "cpu": model, "threads": n}; the benchmark adds its own keys.
inline nlohmann::ordered_json report(const std::string& name, unsigned threads) {
  return {{"bench", name},
          {"git", first_line_of("git rev-parse --short HEAD 2>/dev/null")},
          {"cpu", cpu_name()},
          {"threads", threads}};
}

inline void print(const nlohmann::ordered_json& json) {
  std::fputs((json.dump() + "\n").c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace chorus::bench
