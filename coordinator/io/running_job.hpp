// One job inside the daemon: its Federation, what that asks for, and what an operator sees of it. Owned by the I/O
// thread; what it stores and computes runs on the daemon's worker.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>

#include "coordinator/admin/observatory.hpp"
#include "coordinator/federation/federation.hpp"
#include "coordinator/io/session.hpp"

namespace chorus::coordinator {

// What a job asks of the daemon that runs it. Outlives it.
class JobHost {
 public:
  virtual ~JobHost() = default;
  // nullptr once the connection has ended.
  [[nodiscard]] virtual std::shared_ptr<Session> session(SessionId id) = 0;
  virtual void refused(const Error& reason, const std::string& address) = 0;
  // Its last word: it sends no more, and its sessions are to be closed.
  virtual void job_ended(const std::string& name, Status outcome) = 0;
};

class RunningJob : public std::enable_shared_from_this<RunningJob> {
 public:
  // `store` is the worker's from now on. `context` and `worker` outlive the job.
  // `past`: what the store remembers, for the operator.
  struct Past {
    std::vector<RoundRecord> rounds;
    std::vector<protocol::ModelHeader> versions;
  };
  RunningJob(Federation federation, std::unique_ptr<JobStore> store, const Past& past, JobEntry entry,
             asio::io_context& context, asio::thread_pool& worker, JobHost& host);

  void start();
  // The events of Federation, at the present time.
  void on_connected(SessionId id, const identity::DeviceId& device);
  void on_message(SessionId id, protocol::Message message);
  void on_disconnected(SessionId id);
  void on_admission(Admission admission);
  void on_catalogue(std::vector<dataset::CatalogueItem> items);
  void on_pause(bool paused);
  void on_stop();

  [[nodiscard]] const std::string& name() const noexcept { return entry_.name; }
  [[nodiscard]] const JobEntry& entry() const noexcept { return entry_; }
  [[nodiscard]] bool collecting() const noexcept { return federation_.collecting(); }
  // `daemon` with what only the job knows filled in.
  [[nodiscard]] Picture picture(DaemonView daemon) const;

 private:
  void perform(Actions actions);
  void carry_out(Send& action);
  void carry_out(SendBlob& action);
  void carry_out(Close& action);
  void carry_out(ReserveRound& action);
  void carry_out(RecordRound& action);
  void carry_out(RecoverSum& action);
  void carry_out(BuildStep& action);
  void carry_out(StoreVersion& action);
  void carry_out(Stop& action);
  void carry_out(Log& event);
  void schedule();

  Federation federation_;
  std::shared_ptr<JobStore> store_;  // the worker's
  JobEntry entry_;
  asio::io_context& context_;
  asio::thread_pool& worker_;
  JobHost& host_;
  Observatory observatory_;
  std::map<std::pair<protocol::BlobKind, std::uint64_t>, std::weak_ptr<BlobFrames>> blobs_;
  asio::steady_timer timer_;
  std::optional<Moment> scheduled_;  // when timer_ fires
  std::uint64_t connections_ = 0;
};

}  // namespace chorus::coordinator
