#include "simulations/app/report_files.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace chorus::sim {

Moment now() {
  return Moment(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

double seconds_since(Moment start) {
  return std::chrono::duration<double>(now() - start).count();
}

Result<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) return fail(ErrorCode::not_found, "the file cannot be read", path.string());
  return std::move(text).str();
}

Status write_json(const std::string& json, const std::string& where) {
  if (where.empty()) return {};
  if (where == "-") {
    std::fflush(stderr);
    std::puts(json.c_str());
    return {};
  }
  std::ofstream file(where, std::ios::binary);
  file << json << '\n';
  file.close();
  if (!file) return fail(ErrorCode::unwritable, "the report cannot be written", where);
  return {};
}

}  // namespace chorus::sim
