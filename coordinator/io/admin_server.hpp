// The operator's door: health, metrics, the dashboard and a few commands over HTTP, on a thread of its own. It sees
// pictures that the daemon hands over, and calls back with what an operator asks for. Reading needs no login, for it
// listens on loopback unless an operator says otherwise, and what it shows names nobody; commands need the token.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include "common/crypto/random_source.hpp"
#include "coordinator/admin/observatory.hpp"
#include "coordinator/config/settings.hpp"
#include "coordinator/io/admin_request.hpp"

namespace chorus::coordinator {

// Called on the server's threads; the answer is a sentence, or JSON for AdminCommand::audit.
using AskDaemon = std::function<std::future<Result<std::string>>(AdminRequest request)>;

// Thread-safe.
class AdminServer {
 public:
  // Binds, writes <state>/admin ("host:port") and, unless it is there, <state>/admin.token, readable by the owner
  // alone. Errors: address_in_use, unwritable, malformed (a token file that is none).
  [[nodiscard]] static Result<std::unique_ptr<AdminServer>> start(const ListenAddress& address,
                                                                  const std::filesystem::path& state,
                                                                  crypto::RandomSource& random, AskDaemon ask);
  // Answers what is being answered, then ends the thread.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // What is shown from now on. /healthz fails if none came for kStale.
  void show(std::shared_ptr<const Pictures> pictures);
  static constexpr std::chrono::seconds kStale{30};
  [[nodiscard]] const std::string& endpoint() const noexcept { return endpoint_; }

 private:
  struct Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::string endpoint_;
};

}  // namespace chorus::coordinator
