// The blocking sync: an agent, what it tells made into sentences, and the last contact written down.
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "client/api/device.hpp"
#include "client/api/errors.hpp"
#include "client/io/blocking_run.hpp"
#include "client/io/enrolment.hpp"
#include "common/net/tls_context.hpp"

namespace chorus::api {
namespace {

using Kind = SyncProgress::Kind;

// Hears the agent's events.
class Listener {
 public:
  Listener(client::Store& store, const Client::Progress& progress) : store_(store), progress_(progress) {}

  void hear(const client::Event& event) {
    const auto said =
        std::visit([this](const auto& happened) -> std::optional<SyncProgress> { return on(happened); }, event);
    if (said && progress_) progress_(*said);
  }
  // Errors: those of the store.
  [[nodiscard]] Status write_contact() {
    if (contact_.when == WallTime{}) return {};  // there was none
    return store_.put_last_contact(contact_);
  }
  [[nodiscard]] const client::LastContact& contact() const noexcept { return contact_; }
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
  // How often a coordinator's welcome was accepted.
  [[nodiscard]] std::uint64_t welcomes() const noexcept { return welcomes_; }

 private:
  void touch(std::string outcome) {
    contact_.when = wall_now();
    contact_.outcome = std::move(outcome);
  }

  SyncProgress on(const client::event::Connected& happened) {
    return {.kind = Kind::connected, .sentence = "connected to " + happened.endpoint};
  }
  SyncProgress on(const client::event::Joined& happened) {
    touch("connected");
    ++welcomes_;
    trouble_.clear();
    keep();
    return {.kind = Kind::joined,
            .sentence = happened.first_contact ? fmt::format("joined the job '{}' for the first time", happened.job)
                                               : fmt::format("welcomed back to the job '{}'", happened.job)};
  }
  SyncProgress on(const client::event::Downloading& happened) {
    return {.kind = Kind::downloading,
            .sentence = fmt::format("fetching the {}: {} of {} bytes",
                                    happened.kind == protocol::BlobKind::model ? "model" : "catalogue",
                                    happened.received, happened.total),
            .done = happened.received,
            .total = happened.total};
  }
  SyncProgress on(const client::event::ModelAccepted& happened) {
    return {.kind = Kind::synced,
            .sentence = fmt::format("model version {} is here, made by {} training rounds", happened.version.value(),
                                    happened.training_rounds)};
  }
  SyncProgress on(const client::event::Synced& happened) {
    touch("synced");
    return {.kind = Kind::synced,
            .sentence = happened.version ? fmt::format("model version {} is the latest", happened.version->value())
                                         : std::string("no model is published yet")};
  }
  SyncProgress on(const client::event::Waiting& happened) {
    contact_.devices_ready = happened.devices_ready;
    contact_.devices_needed = happened.devices_needed;
    touch("waiting for more devices");
    const bool enough = happened.devices_ready >= happened.devices_needed;
    return {.kind = Kind::waiting,
            .sentence = enough ? fmt::format("{} devices ready: a round opens soon", happened.devices_ready)
                               : fmt::format("waiting: {} of {} devices ready", happened.devices_ready,
                                             happened.devices_needed),
            .done = happened.devices_ready,
            .total = happened.devices_needed};
  }
  SyncProgress on(const client::event::RoundStarted& happened) {
    contact_.devices_ready = contact_.devices_needed = 0;  // waits no more
    return {.kind = Kind::round_started,
            .sentence = fmt::format("round {} ({}) from model version {}", happened.round.value(),
                                    plan::to_string(happened.purpose), happened.model_version.value())};
  }
  SyncProgress on(const client::event::Uploaded& happened) {
    return {.kind = Kind::uploading,
            .sentence = fmt::format("sending the update: {} of {} bytes", happened.sent, happened.total),
            .done = happened.sent,
            .total = happened.total};
  }
  // The steps of a sum between its plan and its result are no news to a person.
  std::optional<SyncProgress> on(const client::event::StepSent&) { return std::nullopt; }
  SyncProgress on(const client::event::RoundEnded& happened) {
    const auto& result = happened.result;
    std::string sentence =
        result.outcome == protocol::Outcome::aborted
            ? fmt::format("round {} was aborted: {}", result.round.value(), result.reason)
            : fmt::format("round {} {} the sum of {} devices", result.round.value(),
                          result.outcome == protocol::Outcome::published ? "published" : "measured with",
                          result.survivors);
    touch(sentence);
    keep();
    return {.kind = Kind::round_ended, .sentence = std::move(sentence)};
  }
  SyncProgress on(const client::event::Declined& happened) {
    const std::string round =
        happened.round == RoundId(0) ? "a round that it cannot read" : fmt::format("round {}", happened.round.value());
    trouble_ = fmt::format("this device declined {}: {}", round, happened.error.sentence());
    touch(trouble_);
    return {.kind = Kind::declined, .sentence = trouble_};
  }
  SyncProgress on(const client::event::JobFinished&) {
    contact_.devices_ready = contact_.devices_needed = 0;
    touch("the job has reached its goal");
    return {.kind = Kind::finished, .sentence = "the job has reached its goal"};
  }
  SyncProgress on(const client::event::Retrying& happened) {
    trouble_ = happened.error.to_string();
    return {.kind = Kind::retrying,
            .sentence = fmt::format("{}; trying again in {:.1f} s", happened.error.to_string(),
                                    std::chrono::duration<double>(happened.delay).count())};
  }

  // For `status` of a process that is killed; the end of the sync writes it too and says whether it could.
  void keep() { [[maybe_unused]] const Status written = write_contact(); }

  client::Store& store_;
  const Client::Progress& progress_;
  client::LastContact contact_;
  std::string trouble_;
  std::uint64_t welcomes_ = 0;
};

Result<client::AgentOptions> agent_options(const SyncOptions& options, const PrivacyLimits& limits) {
  CHORUS_TRY_DO(check(limits));
  client::AgentOptions agent;
  if (options.coordinators.empty()) {
    return fail(ErrorCode::invalid_argument, "no coordinator is named; say where it listens, HOST:PORT");
  }
  for (const std::string& text : options.coordinators) {
    CHORUS_TRY(auto endpoint, client::parse_endpoint(text));
    agent.coordinators.push_back(std::move(endpoint));
  }
  agent.job = options.job;
  agent.consent = consent_of(options, limits);
  agent.stop = options.until_finished ? client::StopCondition::finished()
               : options.rounds == 0  ? client::StopCondition::synced()
                                      : client::StopCondition::after_rounds(options.rounds);
  return agent;
}

void tell(const Client::Progress& progress, std::string sentence) {
  if (progress) progress({.kind = Kind::identity, .sentence = std::move(sentence)});
}

// A third of the time is for trying: a failure is told, and the old certificate serves on.
void renew_if_due(const std::filesystem::path& folder, const Client::Progress& progress) {
  if (!client::is_renewal_due(folder, wall_now())) return;
  const auto renewed = client::renew(folder, wall_now());
  tell(progress, renewed ? "renewed this device's certificate"
                         : "cannot renew this device's certificate: " + renewed.error().sentence());
}

Result<client::BlockingOutcome> run_once(Device& device, const std::filesystem::path& folder,
                                         const client::AgentOptions& agent, Listener& listener,
                                         std::optional<std::chrono::milliseconds> limit) {
  CHORUS_TRY(auto credentials, client::read_credentials(folder, wall_now()));
  return client::run_agent(
      agent, std::move(credentials), *device.store, *device.random,
      [&](const client::Event& event) { listener.hear(event); }, *device.cancellation, limit);
}

// Runs the agent, and again where its identity was what failed: a certificate that ended meanwhile is renewed, and
// where another authority has taken over, its word for this device is put in the place of the old one's, once a
// coordinator has accepted it.
Result<client::BlockingOutcome> run_with_identity(Device& device, const client::AgentOptions& agent, Listener& listener,
                                                  std::optional<std::chrono::milliseconds> limit,
                                                  const Client::Progress& progress) {
  const std::filesystem::path& folder = device.options.credentials;
  for (;;) {
    auto ran = run_once(device, folder, agent, listener, limit);
    if (ran) return ran;
    const ErrorCode code = ran.error().code();
    // Then it is no longer due: no loop, also where it is the coordinator's that has ended.
    if (code == ErrorCode::expired && client::is_renewal_due(folder, wall_now()) &&
        client::renew(folder, wall_now()).has_value()) {
      tell(progress, "renewed this device's certificate");
      continue;
    }
    const auto next = client::successor_of(folder);
    if (!next || (code != ErrorCode::bad_certificate && code != ErrorCode::expired)) return ran;
    const std::uint64_t welcomes = listener.welcomes();
    auto again = run_once(device, *next, agent, listener, limit);
    if (!again && kind_of(again.error().code()) == ClientErrorKind::trust) return ran;
    if (listener.welcomes() == welcomes) return again;  // nobody was there to accept it
    if (const Status adopted = client::adopt_successor(folder); !adopted) return fail(adopted.error());
    tell(progress, "another enrolment authority has taken over: its certificate of this device is in use now");
    return again;
  }
}

}  // namespace

Result<SyncReport> sync(Device& device, const SyncOptions& options, const Client::Progress& progress) {
  CHORUS_TRY(const auto agent, agent_options(options, device.options.privacy));
  // Before the credentials, which are gone then.
  CHORUS_TRY(const bool stopped, device.store->is_stopped());
  if (stopped) return fail(ErrorCode::aborted, "this device has stopped for good (`forget`): it takes part in nothing");
  renew_if_due(device.options.credentials, progress);
  Listener listener(*device.store, progress);
  const auto limit = options.patience.count() > 0 ? std::optional(options.patience) : std::nullopt;
  auto ran = run_with_identity(device, agent, listener, limit, progress);
  device.cancellation->clear();
  CHORUS_TRY_DO(listener.write_contact());
  if (!ran) return fail(std::move(ran).error());

  SyncReport report;
  report.ending = ran->timed_out          ? SyncReport::Ending::impatient
                  : ran->summary.stopped  ? SyncReport::Ending::cancelled
                  : ran->summary.finished ? SyncReport::Ending::finished
                                          : SyncReport::Ending::complete;
  report.rounds = ran->summary.rounds;
  report.aborted = ran->summary.aborted;
  report.bytes_up = ran->summary.bytes_up;
  report.bytes_down = ran->summary.bytes_down;
  report.devices_ready = listener.contact().devices_ready;
  report.devices_needed = listener.contact().devices_needed;
  report.trouble = listener.trouble();
  CHORUS_TRY(const auto signed_header, device.store->model_header());
  if (signed_header) {
    CHORUS_TRY(const auto header, protocol::ModelHeader::decode(signed_header->document));
    report.model_version = header.version.value();
  }
  return report;
}

}  // namespace chorus::api
