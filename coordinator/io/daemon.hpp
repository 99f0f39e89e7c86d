// The coordinator as a process: listeners, TLS, sessions, timers, signals, a worker thread for the store and the heavy
// steps. One thread (the caller of run()) owns Federation and every connection; the worker owns the store, and spreads
// the removal of masks over all cores.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/random_source.hpp"
#include "common/net/tls_context.hpp"
#include "common/plan/floors.hpp"
#include "coordinator/config/settings.hpp"
#include "coordinator/federation/federation.hpp"
#include "coordinator/federation/job_start.hpp"
#include "coordinator/store/store.hpp"

namespace chorus::coordinator {

// What a reload brings; what is absent stays as it was.
struct Reloaded {
  std::optional<net::TlsContext> tls;
  std::optional<Admission> admission{};  // with tls
  std::optional<std::vector<dataset::CatalogueItem>> catalogue;
};

struct DaemonSetup {
  CoordinatorSettings settings;
  FederationSettings federation;
  net::TlsContext tls;
  Admission admission;
  JobStart start;
  std::unique_ptr<Store> store;
  std::unique_ptr<JobStore> job;  // of the store
  // Outlives the daemon.
  crypto::RandomSource& random;
  plan::Floors floors;
  // SIGHUP: called on the worker thread; logs what cannot be read.
  std::function<Reloaded()> reload;
};

class Daemon {
 public:
  // Binds the listeners and writes <state>/endpoint, one "host:port" a line. Errors: address_in_use, io (names the
  // address), unwritable, disk_full, and those of Federation::create.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> create(DaemonSetup setup);
  ~Daemon();

  // "127.0.0.1:7443", "[::1]:7443": with the ports in use.
  [[nodiscard]] const std::vector<std::string>& endpoints() const noexcept;
  // Serves until the job is finished (if it then ends), stop(), SIGTERM or SIGINT; a second signal ends the process at
  // once with status 1. Errors: what made the coordinator fail, such as disk_full.
  [[nodiscard]] Status run();
  // As SIGTERM and SIGHUP. Thread-safe; while run() runs.
  void stop();
  void reload();

 private:
  class Impl;
  explicit Daemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace chorus::coordinator
