// The jobs that one daemon runs: which there are, and what an operator does with them. Owned by the I/O thread; the
// store is the worker's.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/thread_pool.hpp>

#include "common/crypto/random_source.hpp"
#include "common/crypto/signature.hpp"
#include "common/plan/floors.hpp"
#include "coordinator/federation/job_start.hpp"
#include "coordinator/federation/settings.hpp"
#include "coordinator/io/admin_request.hpp"
#include "coordinator/io/running_job.hpp"
#include "coordinator/store/store.hpp"

namespace chorus::coordinator {

// A job that was checked and can be started.
struct PreparedJob {
  FederationSettings federation;
  protocol::JobDescription description;
  std::vector<dataset::CatalogueItem> items;
  std::filesystem::path catalogue;  // read again by a reload; empty: never
  // As it was submitted; empty for a job of the command line, which is not started by itself the next time.
  std::string file;
  std::string folder;
};

// Checks a job that was submitted: its file's text, and the folder that the paths in it are relative to. Called on the
// worker.
using PrepareJob = std::function<Result<PreparedJob>(const std::string& file, const std::string& folder)>;

class RunningJobs {
 public:
  // All but `store` outlive the object; `prepare` may be empty: then none can be submitted.
  struct Surroundings {
    asio::io_context& context;
    asio::thread_pool& worker;
    JobHost& host;
    crypto::RandomSource& random;
    plan::Floors floors;
    Duration shutdown_grace{};
  };
  RunningJobs(Surroundings surroundings, std::unique_ptr<Store> store, Admission admission,
              std::shared_ptr<const crypto::SigningKey> key, PrepareJob prepare);

  // Before anything runs, on the caller's thread. Errors: those of start_job, Federation::create and Store; duplicate.
  [[nodiscard]] Status begin(std::vector<PreparedJob> jobs);
  // One that has nothing left to do may end at once.
  void start_all();
  void stop_all();

  // The job that a device's first message asks for. Errors: out_of_phase, wrong_job.
  [[nodiscard]] Result<std::shared_ptr<RunningJob>> for_message(const protocol::Message& message) const;
  // What an operator asks for, but for AdminCommand::shut_down, which is recorded alone. `answer` runs on the I/O
  // thread or the worker.
  using Answer = std::function<void(Result<std::string>)>;
  void handle(AdminRequest request, Answer answer);
  void take_admission(const Admission& admission);
  void take_catalogues(std::map<std::string, std::vector<dataset::CatalogueItem>> catalogues);

  // It has ended by itself, or because an operator stopped it: true.
  bool forget(const std::string& name);

  [[nodiscard]] bool empty() const noexcept { return jobs_.empty(); }
  [[nodiscard]] bool any_collects() const;
  [[nodiscard]] const Admission& admission() const noexcept { return admission_; }
  // By the job's name.
  [[nodiscard]] const std::map<std::string, std::filesystem::path>& catalogues() const noexcept { return catalogues_; }
  // By name; `daemon` is completed with what each job knows.
  [[nodiscard]] std::vector<Picture> pictures(const DaemonView& daemon) const;

 private:
  struct StartedJob {
    FederationSettings federation;
    JobStart start;
    std::unique_ptr<JobStore> store;
    RunningJob::Past past;
    JobEntry entry;
    std::filesystem::path catalogue;
    std::vector<Participation> participation;
  };

  [[nodiscard]] Result<std::shared_ptr<RunningJob>> find(const std::string& name) const;
  [[nodiscard]] std::vector<std::shared_ptr<RunningJob>> all() const;
  [[nodiscard]] Result<StartedJob> start(PreparedJob job);
  [[nodiscard]] Status add(StartedJob started);
  void tell(const AdminRequest& request, Answer answer);
  void record(AuditEntry entry, std::optional<JobEntry> standing, std::function<void(Status)> then);
  void submit(AdminRequest request, Answer answer);
  void begin_submitted(PreparedJob job, const Answer& answer);

  Surroundings at_;
  std::unique_ptr<Store> store_;  // the worker's
  Admission admission_;
  std::shared_ptr<const crypto::SigningKey> key_;
  PrepareJob prepare_;
  std::map<std::string, std::shared_ptr<RunningJob>> jobs_;
  std::map<std::string, std::filesystem::path> catalogues_;
  std::set<std::string> starting_;
  std::set<std::string> ending_;  // an operator stops them
};

}  // namespace chorus::coordinator
