// The coordinator as a process: listeners, TLS, sessions, signals, the jobs, a worker thread for the store and the
// heavy steps. One thread (the caller of run()) owns the jobs and every connection; the worker owns the store, and
// spreads the removal of masks over all cores.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/random_source.hpp"
#include "common/crypto/signature.hpp"
#include "common/net/tls_context.hpp"
#include "common/plan/floors.hpp"
#include "coordinator/config/settings.hpp"
#include "coordinator/federation/federation.hpp"
#include "coordinator/federation/job_start.hpp"
#include "coordinator/io/running_jobs.hpp"
#include "coordinator/store/store.hpp"

namespace chorus::coordinator {

// What a reload brings; what is absent stays as it was.
struct Reloaded {
  std::optional<net::TlsContext> tls;
  std::optional<Admission> admission{};                                     // with tls
  std::map<std::string, std::vector<dataset::CatalogueItem>> catalogues{};  // by the job's name
};

struct DaemonSetup {
  CoordinatorSettings settings;
  std::vector<PreparedJob> jobs;
  net::TlsContext tls;
  Admission admission;
  // Signs what is published.
  std::shared_ptr<const crypto::SigningKey> key;
  std::unique_ptr<Store> store;
  // Outlives the daemon.
  crypto::RandomSource& random;
  plan::Floors floors;
  // SIGHUP: called on the worker thread with each running job's catalogue file; logs what cannot be read.
  std::function<Reloaded(const std::map<std::string, std::filesystem::path>& catalogues)> reload;
  PrepareJob prepare{};  // empty: no job can be submitted
};

class Daemon {
 public:
  // Starts the jobs, binds the listeners and writes <state>/endpoint, one "host:port" a line. Errors: address_in_use,
  // io (names the address), unwritable, disk_full, and those of start_job and Federation::create.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> create(DaemonSetup setup);
  ~Daemon();

  // "127.0.0.1:7443", "[::1]:7443": with the ports in use.
  [[nodiscard]] const std::vector<std::string>& endpoints() const noexcept;
  // Serves until no job runs any more (those that end when they are finished), stop(), SIGTERM or SIGINT; a second
  // signal ends the process at once with status 1. Errors: what made a job fail, such as disk_full.
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
