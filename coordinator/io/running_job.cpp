#include "coordinator/io/running_job.hpp"

#include <thread>

#include <asio/post.hpp>

#include "common/log/log.hpp"
#include "coordinator/io/clock.hpp"

namespace chorus::coordinator {

namespace {

std::int64_t seconds_of(WallTime time) {
  return std::int64_t{time.time_since_epoch().count()};
}

// Said at every start, because it is what an operator must not take for granted: the secure sum hides who said what in
// one round, and the difference of two sums is one device's update.
void warn_of_missing_noise(const model::Model& model, const std::string& job) {
  if (model.privacy(plan::Purpose::train, 0)) return;
  log::warning("updates carry no noise: NO DIFFERENCING PROTECTION, epsilon is infinite", {{"job", job}});
}

}  // namespace

RunningJob::RunningJob(Federation federation, std::unique_ptr<JobStore> store, const Past& past, JobEntry entry,
                       asio::io_context& context, asio::thread_pool& worker, JobHost& host)
    : federation_(std::move(federation)),
      store_(std::move(store)),
      entry_(std::move(entry)),
      context_(context),
      worker_(worker),
      host_(host),
      observatory_(federation_.publisher().job(), federation_.version(), federation_.publisher().catalogue().catalogue,
                   seconds_of(wall_now())),
      timer_(context) {
  observatory_.recall(past.rounds, past.versions);
}

void RunningJob::start() {
  const auto& job = federation_.publisher().job();
  const auto& header = federation_.version().header;
  log::info("job", {{"name", job.name},
                    {"family", job.family},
                    {"items", federation_.publisher().catalogue().header.items},
                    {"version", header.version.value()},
                    {"training_rounds", header.training_rounds},
                    {"goal", job.round_goal}});
  warn_of_missing_noise(federation_.publisher().model(), job.name);
  if (entry_.standing == Standing::paused) {
    log::warning("the job is paused, as an operator left it", {{"name", job.name}});
    perform(federation_.on_pause(true, monotonic_now()));
  }
  perform(federation_.on_time(monotonic_now()));
}

void RunningJob::on_connected(SessionId id, const identity::DeviceId& device) {
  ++connections_;
  perform(federation_.on_connected(id, device, monotonic_now()));
}
void RunningJob::on_message(SessionId id, protocol::Message message) {
  perform(federation_.on_message(id, std::move(message), monotonic_now(), wall_now()));
}
void RunningJob::on_disconnected(SessionId id) {
  --connections_;
  perform(federation_.on_disconnected(id, monotonic_now()));
}
void RunningJob::on_admission(Admission admission) {
  perform(federation_.on_admission(std::move(admission), monotonic_now()));
}
void RunningJob::on_catalogue(std::vector<dataset::CatalogueItem> items) {
  perform(federation_.on_catalogue(std::move(items), monotonic_now()));
}
void RunningJob::on_pause(bool paused) {
  entry_.standing = paused ? Standing::paused : Standing::open;
  log::info(paused ? "paused by an operator" : "resumed by an operator", {{"job", name()}});
  perform(federation_.on_pause(paused, monotonic_now()));
}
void RunningJob::on_stop() {
  perform(federation_.on_stop(monotonic_now()));
}

Picture RunningJob::picture(DaemonView daemon) const {
  daemon.phase = std::string(federation_.phase_name());
  daemon.paused = federation_.paused();
  daemon.connections = connections_;
  daemon.devices_ready = federation_.roster().ready();
  return observatory_.picture(std::move(daemon));
}

void RunningJob::perform(Actions actions) {
  for (auto& action : actions) {
    std::visit([this](auto& value) { carry_out(value); }, action);
  }
  schedule();
}

void RunningJob::carry_out(Send& action) {
  const wire::Frame frame = wire::encode(action.message);
  for (const SessionId id : action.to) {
    if (const auto session = host_.session(id)) session->send(frame);
  }
}

void RunningJob::carry_out(SendBlob& action) {
  const auto session = host_.session(action.to);
  if (session == nullptr) return;
  std::erase_if(blobs_, [](const auto& entry) { return entry.second.expired(); });
  auto& known = blobs_[{action.kind, action.version}];
  auto frames = known.lock();
  if (frames == nullptr) {
    frames = std::make_shared<BlobFrames>(action.kind, action.version, std::move(action.bytes));
    known = frames;
  }
  session->send_blob(std::move(frames));
}

void RunningJob::carry_out(Close& action) {
  const auto session = host_.session(action.session);
  if (session == nullptr) return;
  host_.refused(action.reason, session->address());
  session->finish();
}

void RunningJob::carry_out(ReserveRound& action) {
  asio::post(worker_, [self = shared_from_this(), asked = std::move(action.reservation)] {
    auto reserved = self->store_->reserve_round(asked, wall_now());
    asio::post(self->context_, [self, reserved = std::move(reserved)]() mutable {
      self->perform(self->federation_.on_round_reserved(std::move(reserved), monotonic_now()));
    });
  });
}

void RunningJob::carry_out(RecordRound& action) {
  asio::post(worker_, [self = shared_from_this(), round = std::move(action.round)] {
    // The round is over either way; a store that cannot be written ends the job at the next one.
    if (const Status written = self->store_->round_aborted(round, wall_now()); !written) {
      log::error("the record of a round is not written", {{"reason", written.error().to_string()}});
    }
  });
}

void RunningJob::carry_out(RecoverSum& action) {
  asio::post(worker_, [self = shared_from_this(), asked = std::move(action)] {
    auto sum = std::make_shared<Result<ring::CohortSum>>(asked.work->run(std::thread::hardware_concurrency()));
    asio::post(self->context_, [self, asked, sum = std::move(sum)] {
      self->perform(self->federation_.on_sum_recovered(asked, std::move(*sum), monotonic_now()));
    });
  });
}

void RunningJob::carry_out(BuildStep& action) {
  asio::post(worker_, [self = shared_from_this(), step = std::make_shared<BuildStep>(std::move(action))] {
    auto built = std::make_shared<Result<BuildStep::Outcome>>(step->run());
    asio::post(self->context_, [self, built = std::move(built)] {
      self->perform(self->federation_.on_step_built(std::move(*built), monotonic_now()));
    });
  });
}

void RunningJob::carry_out(StoreVersion& action) {
  asio::post(worker_, [self = shared_from_this(), commit = std::move(action.commit)] {
    auto stored = self->store_->commit(*commit, wall_now());
    asio::post(self->context_, [self, stored = std::move(stored)]() mutable {
      self->perform(self->federation_.on_stored(std::move(stored), monotonic_now()));
    });
  });
}

void RunningJob::carry_out(Stop& action) {
  host_.job_ended(name(), std::move(action.outcome));
}

void RunningJob::carry_out(Log& event) {
  write_log(event, name());
  observatory_.observe(event, seconds_of(wall_now()));
  if (std::holds_alternative<VersionPublished>(event)) {
    observatory_.publish(federation_.version(), federation_.publisher().catalogue().catalogue);
  }
}

void RunningJob::schedule() {
  const auto deadline = federation_.next_deadline();
  if (deadline == scheduled_) return;
  scheduled_ = deadline;
  timer_.cancel();
  if (!deadline) return;
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline->time_since_epoch())));
  timer_.async_wait([weak = weak_from_this()](std::error_code error) {
    const auto self = weak.lock();
    if (error || self == nullptr) return;  // another deadline took its place
    self->scheduled_.reset();
    self->perform(self->federation_.on_time(monotonic_now()));
  });
}

}  // namespace chorus::coordinator
