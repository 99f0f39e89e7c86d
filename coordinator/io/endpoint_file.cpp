#include "coordinator/io/endpoint_file.hpp"

#include <fstream>
#include <system_error>

namespace chorus::coordinator {

Status write_endpoint_file(const std::filesystem::path& state, const std::vector<std::string>& endpoints) {
  const auto path = state / "endpoint";
  const auto staged = state / "endpoint.new";
  std::ofstream out(staged, std::ios::trunc);
  for (const auto& endpoint : endpoints) out << endpoint << '\n';
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(staged, path, error);
  if (!out || error) return fail(ErrorCode::unwritable, "cannot write this file; is the disk full?", path.string());
  return {};
}

void remove_endpoint_file(const std::filesystem::path& state) noexcept {
  std::error_code ignored;
  std::filesystem::remove(state / "endpoint", ignored);
}

}  // namespace chorus::coordinator
