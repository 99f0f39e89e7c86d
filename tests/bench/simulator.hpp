// Runs the chorus-sim of this build and reads the JSON that it prints. Stateless.
#pragma once

#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace chorus::bench {

// The folder of the build that this benchmark belongs to.
[[nodiscard]] inline std::filesystem::path build_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}

// As one word of a shell's command.
[[nodiscard]] inline std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// The JSON object that a command prints, alone or as its last line; nothing, if it failed.
[[nodiscard]] inline std::optional<nlohmann::ordered_json> run(const std::string& command) {
  std::string text;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::array<char, 65536> buffer{};
  while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), pipe) != nullptr) text += buffer.data();
  if (::pclose(pipe) != 0) return std::nullopt;
  auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

}  // namespace chorus::bench
