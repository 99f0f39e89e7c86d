// cpp-httplib stops in this file.
#include "coordinator/io/admin_client.hpp"

#include <fstream>

#include <fmt/format.h>
#include <httplib.h>

namespace chorus::coordinator {

namespace {

Result<std::string> first_line(const std::filesystem::path& path, std::string_view what) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line) || line.empty()) return fail(ErrorCode::not_found, std::string(what), path.string());
  return line;
}

Result<httplib::Client> client_of(const std::filesystem::path& state) {
  CHORUS_TRY(const std::string endpoint,
             first_line(state / "admin",
                        "no coordinator with an admin server runs on this state folder ([admin] listen "
                        "in its settings)"));
  httplib::Client client("http://" + endpoint);
  client.set_connection_timeout(5, 0);
  client.set_read_timeout(60, 0);
  return client;
}

Result<std::string> answer_of(const httplib::Result& result, const std::filesystem::path& state) {
  if (!result) {
    return fail(ErrorCode::unreachable,
                fmt::format("the coordinator does not answer: {}", httplib::to_string(result.error())), state.string());
  }
  std::string text = result->body;
  if (result->status / 100 == 2) return text;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return fail(ErrorCode::aborted, fmt::format("the coordinator refuses: {}", text), state.string());
}

}  // namespace

Result<std::string> admin_get(const std::filesystem::path& state, const std::string& path) {
  CHORUS_TRY(auto client, client_of(state));
  return answer_of(client.Get(path), state);
}

Result<std::string> admin_post(const std::filesystem::path& state, const std::string& path, const std::string& body) {
  CHORUS_TRY(auto client, client_of(state));
  CHORUS_TRY(const std::string token, first_line(state / "admin.token", "the admin token cannot be read"));
  return answer_of(client.Post(path, {{"Authorization", "Bearer " + token}}, body, "text/plain"), state);
}

}  // namespace chorus::coordinator
