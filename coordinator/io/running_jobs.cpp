#include "coordinator/io/running_jobs.hpp"

#include <algorithm>

#include <asio/post.hpp>
#include <fmt/format.h>

#include "common/log/log.hpp"
#include "coordinator/io/clock.hpp"

namespace chorus::coordinator {

namespace {

constexpr std::size_t kMostAudit = 1000;

}  // namespace

RunningJobs::RunningJobs(Surroundings surroundings, std::unique_ptr<Store> store, Admission admission,
                         std::shared_ptr<const crypto::SigningKey> key, PrepareJob prepare)
    : at_(surroundings),
      store_(std::move(store)),
      admission_(std::move(admission)),
      key_(std::move(key)),
      prepare_(std::move(prepare)) {}

Status RunningJobs::begin(std::vector<PreparedJob> jobs) {
  for (PreparedJob& job : jobs) {
    CHORUS_TRY(StartedJob started, start(std::move(job)));
    CHORUS_TRY_DO(add(std::move(started)));
  }
  return {};
}

void RunningJobs::start_all() {
  for (const auto& job : all()) job->start();
}

void RunningJobs::stop_all() {
  for (const auto& job : all()) job->on_stop();
}

void RunningJobs::take_admission(const Admission& admission) {
  admission_ = admission;
  for (const auto& job : all()) job->on_admission(admission);
}

void RunningJobs::take_catalogues(std::map<std::string, std::vector<dataset::CatalogueItem>> catalogues) {
  for (auto& [name, items] : catalogues) {
    if (const auto job = find(name)) (*job)->on_catalogue(std::move(items));
  }
}

bool RunningJobs::forget(const std::string& name) {
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return false;
  // It may be one of the callers.
  asio::post(at_.context, [job = found->second] {});
  jobs_.erase(found);
  catalogues_.erase(name);
  return ending_.erase(name) != 0;
}

bool RunningJobs::any_collects() const {
  return std::any_of(jobs_.begin(), jobs_.end(), [](const auto& entry) { return entry.second->collecting(); });
}

std::vector<Picture> RunningJobs::pictures(const DaemonView& daemon) const {
  std::vector<Picture> pictures;
  for (const auto& [name, job] : jobs_) pictures.push_back(job->picture(daemon));
  return pictures;
}

Result<std::shared_ptr<RunningJob>> RunningJobs::for_message(const protocol::Message& message) const {
  const auto* hello = std::get_if<protocol::Hello>(&message);
  if (hello == nullptr) {
    return fail(ErrorCode::out_of_phase,
                fmt::format("'{}' was not expected now", protocol::to_string(protocol::type_of(message))));
  }
  if (jobs_.empty()) return fail(ErrorCode::wrong_job, "this coordinator has no job now");
  const bool speaks_ours = hello->protocol_version == protocol::kProtocolVersion;
  // A device of another version is told so by any of them.
  if (!speaks_ours || (hello->job.empty() && jobs_.size() == 1)) return jobs_.begin()->second;
  return find(hello->job);
}

// By its name, or the only one.
Result<std::shared_ptr<RunningJob>> RunningJobs::find(const std::string& name) const {
  if (const auto found = jobs_.find(name); found != jobs_.end()) return found->second;
  if (name.empty() && jobs_.size() == 1) return jobs_.begin()->second;
  if (jobs_.size() == 1) {
    return fail(ErrorCode::wrong_job, fmt::format("this coordinator's job is '{}'", jobs_.begin()->first));
  }
  std::string names;
  for (const auto& [known, job] : jobs_) {
    // Devices are told, in one message of bounded length.
    if (names.size() > 200) {
      names += ", …";
      break;
    }
    names += (names.empty() ? "" : ", ") + known;
  }
  if (names.empty()) return fail(ErrorCode::wrong_job, "no job runs now");
  return fail(ErrorCode::wrong_job, name.empty() ? fmt::format("there are several jobs, name one: {}", names)
                                                 : fmt::format("there is no job '{}' here, but: {}", name, names));
}

// Enters it into the register and goes on from where it was. Uses the store: on the worker, or before run().
Result<RunningJobs::StartedJob> RunningJobs::start(PreparedJob job) {
  JobEntry entry{.name = job.description.name, .file = std::move(job.file), .folder = std::move(job.folder)};
  CHORUS_TRY(const auto known, store_->jobs());
  for (const JobEntry& other : known) {
    if (other.name == entry.name && other.standing == Standing::paused) entry.standing = Standing::paused;
  }
  CHORUS_TRY_DO(store_->put_job(entry));
  CHORUS_TRY(auto store, store_->job(entry.name));
  CHORUS_TRY(auto start, start_job(*store, std::move(job.description), std::move(job.items), key_));
  CHORUS_TRY(auto participation, store->participation());
  RunningJob::Past past;
  CHORUS_TRY(past.rounds, store->rounds(Observatory::kMostLines));
  CHORUS_TRY(past.versions, store->headers(Observatory::kMostLines));
  return StartedJob{.federation = job.federation,
                    .start = std::move(start),
                    .store = std::move(store),
                    .past = std::move(past),
                    .entry = std::move(entry),
                    .catalogue = std::move(job.catalogue),
                    .participation = std::move(participation)};
}

Status RunningJobs::add(StartedJob started) {
  started.federation.shutdown_grace = at_.shutdown_grace;
  CHORUS_TRY(auto federation,
             Federation::create(started.federation, std::move(started.start), admission_, at_.random, at_.floors));
  federation.remember(started.participation, monotonic_now(), wall_now());
  const std::string name = started.entry.name;
  if (jobs_.contains(name)) return fail(ErrorCode::duplicate, "two jobs have this name", name);
  jobs_[name] = std::make_shared<RunningJob>(std::move(federation), std::move(started.store), started.past,
                                             std::move(started.entry), at_.context, at_.worker, at_.host);
  catalogues_[name] = std::move(started.catalogue);
  return {};
}

// Telling one may end it, or another.
std::vector<std::shared_ptr<RunningJob>> RunningJobs::all() const {
  std::vector<std::shared_ptr<RunningJob>> all;
  for (const auto& [name, job] : jobs_) all.push_back(job);
  return all;
}

void RunningJobs::handle(AdminRequest request, Answer answer) {
  switch (request.command) {
    case AdminCommand::submit:
      return submit(std::move(request), std::move(answer));
    case AdminCommand::shut_down:
      return record({.who = "admin", .action = "shut down", .job = {}, .detail = {}}, std::nullopt,
                    [answer](Status) { answer("stopping"); });
    case AdminCommand::log_level:
      return record({.who = "admin", .action = "log level", .job = {}, .detail = request.text}, std::nullopt,
                    [answer, text = request.text](Status recorded) {
                      if (!recorded) return answer(fail(recorded.error()));
                      answer(fmt::format("the log's level is {}", text));
                    });
    case AdminCommand::audit:
      return asio::post(at_.worker, [this, answer] {
        auto entries = store_->audit(kMostAudit);
        entries ? answer(to_json(*entries)) : answer(fail(entries.error()));
      });
    default:
      return tell(request, std::move(answer));
  }
}

// Pause, resume and stop: remembered first, so that a restart knows.
void RunningJobs::tell(const AdminRequest& request, Answer answer) {
  auto found = find(request.job);
  if (!found) return answer(fail(found.error()));
  const std::shared_ptr<RunningJob> job = *found;
  JobEntry entry = job->entry();
  entry.standing = request.command == AdminCommand::pause  ? Standing::paused
                   : request.command == AdminCommand::stop ? Standing::stopped
                                                           : Standing::open;
  const std::string action(to_string(request.command));
  record(
      {.who = "admin", .action = action, .job = entry.name, .detail = {}}, entry,
      [this, job, command = request.command, answer](Status recorded) {
        if (!recorded) return answer(fail(recorded.error()));
        if (command == AdminCommand::stop) {
          ending_.insert(job->name());
          log::info("the job is stopped by an operator", {{"job", job->name()}});
          job->on_stop();
          return answer(fmt::format("job '{}' is stopping; what it has learnt stays in the state folder", job->name()));
        }
        job->on_pause(command == AdminCommand::pause);
        answer(command == AdminCommand::pause
                   ? fmt::format("no round of job '{}' opens from now on; one that is open goes on", job->name())
                   : fmt::format("rounds of job '{}' open again", job->name()));
      });
}

// The audit log's entry, and a job's new standing; `then` runs on the I/O thread.
void RunningJobs::record(AuditEntry entry, std::optional<JobEntry> standing, std::function<void(Status)> then) {
  entry.when = wall_now();
  asio::post(at_.worker, [this, entry = std::move(entry), standing = std::move(standing), then = std::move(then)] {
    Status written = store_->append_audit(entry);
    if (written && standing) written = store_->put_job(*standing);
    asio::post(at_.context, [then, written] { then(written); });
  });
}

// Submitting the same file again is the same as submitting it once.
void RunningJobs::submit(AdminRequest request, Answer answer) {
  if (!prepare_) return answer(fail(ErrorCode::invalid_argument, "this coordinator takes no jobs"));
  asio::post(at_.worker, [this, request = std::move(request), answer = std::move(answer)] {
    auto prepared = std::make_shared<Result<PreparedJob>>(prepare_(request.text, request.folder));
    asio::post(at_.context, [this, prepared, answer] {
      if (!*prepared) return answer(fail(prepared->error()));
      begin_submitted(std::move(**prepared), answer);
    });
  });
}

void RunningJobs::begin_submitted(PreparedJob job, const Answer& answer) {
  const std::string name = job.description.name;
  if (const auto running = jobs_.find(name); running != jobs_.end()) {
    const JobEntry& entry = running->second->entry();
    if (entry.file == job.file && entry.folder == job.folder) {
      return answer(fmt::format("job '{}' runs already", name));
    }
    return answer(fail(ErrorCode::already_exists, fmt::format("another job '{}' runs already", name)));
  }
  if (!starting_.insert(name).second) return answer(fail(ErrorCode::overloaded, "it is being started: try again"));
  asio::post(at_.worker, [this, job = std::make_shared<PreparedJob>(std::move(job)), name, answer] {
    auto started = std::make_shared<Result<StartedJob>>(start(std::move(*job)));
    if (*started) {
      const Status noted =
          store_->append_audit({.when = wall_now(), .who = "admin", .action = "submit", .job = name, .detail = {}});
      if (!noted) *started = fail(noted.error());
    }
    asio::post(at_.context, [this, started, name, answer] {
      starting_.erase(name);
      const Status added = *started ? add(std::move(**started)) : fail(started->error());
      if (!added) return answer(fail(added.error()));
      answer(fmt::format("job '{}' runs", name));
      jobs_.at(name)->start();
    });
  });
}

}  // namespace chorus::coordinator
