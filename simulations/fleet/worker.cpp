#include "simulations/fleet/worker.hpp"

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "client/io/agent.hpp"
#include "client/recommend/recommender.hpp"
#include "client/store/store.hpp"
#include "common/crypto/random_source.hpp"
#include "simulations/fleet/slice.hpp"
#include "simulations/fleet/worker_event.hpp"

namespace chorus::sim {
namespace {

// The events' way out: whole lines, in one write each. A parent that reads no more is gone, and so is the worker then.
void tell(const WorkerEvent& event) {
  std::string line = encode(event);
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

constexpr std::size_t kRecommendations = 10;

WallTime wall_now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

// One device of the fleet.
class Device {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Device>> create(SliceDevice slice, const WorkerOptions& options);

  // `ended` is called once, when the device is through, from the context. REQUIRES: once.
  void start(asio::io_context& context, const WorkerOptions& options,
             std::shared_ptr<secagg::VerifiedStatements> verified, std::function<void()> ended);
  void stop() {
    if (agent_) agent_->stop();
  }

 private:
  Device() = default;
  void observe(const client::Event& event);
  [[nodiscard]] Status prepare(asio::io_context& context, const WorkerOptions& options,
                               std::shared_ptr<secagg::VerifiedStatements> verified);
  static asio::awaitable<void> live(Device* self);
  void end(const Result<client::AgentSummary>& summary);
  [[nodiscard]] WorkerEvent event(WorkerEvent::Kind kind) const;
  void trouble(const Error& error) const;

  std::uint32_t index_ = 0;
  std::filesystem::path credentials_;
  std::unique_ptr<client::Store> store_;
  std::unique_ptr<crypto::RandomSource> random_;
  std::unique_ptr<client::Agent> agent_;
  std::function<void()> ended_;
  std::uint64_t version_ = 0;
};

Status import_ratings(client::Store& store, const SliceDevice& slice) {
  client::StoredRatings rows;
  rows.reserve(slice.training.size() + slice.held_out.size());
  for (const auto* half : {&slice.training, &slice.held_out}) {
    for (const SliceRating& rating : *half) {
      rows.push_back({.item = client::SecretText(rating.item),
                      .value = rating.value,
                      .when = rating.when,
                      .held_out = half == &slice.held_out});
    }
  }
  CHORUS_TRY_DO(store.put_ratings(rows));
  return {};
}

Result<std::unique_ptr<Device>> Device::create(SliceDevice slice, const WorkerOptions& options) {
  std::unique_ptr<Device> made(new Device());
  made->index_ = slice.index;
  made->credentials_ = slice.credentials;
  made->random_ = crypto::make_system_random();
  CHORUS_TRY(made->store_, client::open_store(device_store(options.out, slice.id), {.survives_power_loss = false}));
  CHORUS_TRY_DO(import_ratings(*made->store_, slice));
  return made;
}

WorkerEvent Device::event(WorkerEvent::Kind kind) const {
  WorkerEvent out{.kind = kind, .device = index_};
  out.version = version_;
  if (agent_) {
    out.bytes_up = agent_->summary().bytes_up;
    out.bytes_down = agent_->summary().bytes_down;
  }
  return out;
}

void Device::trouble(const Error& error) const {
  WorkerEvent out = event(WorkerEvent::Kind::trouble);
  out.text = to_string(error.code());
  out.sentence = error.to_string();
  tell(out);
}

void Device::observe(const client::Event& happened) {
  namespace event_type = client::event;
  if (std::holds_alternative<event_type::Joined>(happened)) {
    tell(event(WorkerEvent::Kind::welcomed));
  } else if (const auto* accepted = std::get_if<event_type::ModelAccepted>(&happened)) {
    version_ = accepted->version.value();
  } else if (const auto* round = std::get_if<event_type::RoundEnded>(&happened)) {
    constexpr const char* kOutcomes[] = {"published", "measured", "aborted"};
    WorkerEvent out = event(WorkerEvent::Kind::round);
    out.round = round->result.round.value();
    out.text = kOutcomes[static_cast<std::size_t>(round->result.outcome) - 1];
    tell(out);
  } else if (const auto* sent = std::get_if<event_type::StepSent>(&happened)) {
    WorkerEvent out = event(WorkerEvent::Kind::step);
    out.round = sent->round.value();
    out.cohort = sent->cohort.value();
    out.text = protocol::to_string(sent->step);
    tell(out);
  } else if (const auto* waiting = std::get_if<event_type::Waiting>(&happened)) {
    // Enough of them only gather; that is no news.
    if (waiting->devices_ready >= waiting->devices_needed) return;
    WorkerEvent out = event(WorkerEvent::Kind::waiting);
    out.ready = waiting->devices_ready;
    out.needed = waiting->devices_needed;
    tell(out);
  } else if (const auto* declined = std::get_if<event_type::Declined>(&happened)) {
    trouble(declined->error);
  } else if (const auto* retrying = std::get_if<event_type::Retrying>(&happened)) {
    trouble(retrying->error);
  }
}

void Device::end(const Result<client::AgentSummary>& summary) {
  if (!summary) trouble(summary.error());
  WorkerEvent out = event(WorkerEvent::Kind::ended);
  out.finished = summary.has_value() && summary->finished;
  if (const auto recommender = client::Recommender::of(*store_)) {
    const auto best = recommender->best(kRecommendations);
    out.recommendations = static_cast<std::uint32_t>(best.size());
    out.explained = client::adds_up(best);
  }
  tell(out);
  ended_();
}

asio::awaitable<void> Device::live(Device* self) {
  const auto summary = co_await self->agent_->run();
  self->end(summary);
}

Status Device::prepare(asio::io_context& context, const WorkerOptions& options,
                       std::shared_ptr<secagg::VerifiedStatements> verified) {
  CHORUS_TRY(auto credentials, client::read_credentials(credentials_, wall_now()));
  client::AgentOptions agent;
  agent.coordinators = {{.host = options.host, .port = options.port}};
  agent.job = options.job;
  agent.stop =
      options.rounds != 0 ? client::StopCondition::after_rounds(options.rounds) : client::StopCondition::finished();
  agent.verified = std::move(verified);
  // A fleet consents to what a demonstration needs.
  agent.consent = {.without_noise = true, .least_identity_age = std::chrono::seconds(0)};
  // A coordinator on the same machine: it is back soon, and nobody else suffers from the retries.
  agent.backoff_base = std::chrono::milliseconds(100);
  agent.backoff_cap = std::chrono::milliseconds(2'000);
  // The whole fleet arrives in one second, and most of it waits in the kernel's queue for the coordinator's processor,
  // which it shares.
  agent.handshake_timeout = std::chrono::minutes(1);
  agent_ = std::make_unique<client::Agent>(context.get_executor(), std::move(agent), std::move(credentials), *store_,
                                           *random_, [this](const client::Event& happened) { observe(happened); });
  return {};
}

void Device::start(asio::io_context& context, const WorkerOptions& options,
                   std::shared_ptr<secagg::VerifiedStatements> verified, std::function<void()> ended) {
  ended_ = std::move(ended);
  if (auto prepared = prepare(context, options, std::move(verified)); !prepared) {
    asio::post(context, [this, error = prepared.error()] { end(fail(error)); });
    return;
  }
  asio::co_spawn(context, live(this), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
}

// All devices of the process, and what ends them.
class Slice {
 public:
  Slice(asio::io_context& context, std::vector<std::unique_ptr<Device>> devices)
      : context_(context),
        devices_(std::move(devices)),
        signals_(context, SIGTERM, SIGINT),
        parent_(context, ::dup(STDIN_FILENO)) {}

  void start(const WorkerOptions& options) {
    signals_.async_wait([this](const std::error_code& error, int) {
      if (!error) stop();
    });
    // The parent writes nothing more: what becomes readable is the end of the stream.
    parent_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& error) {
      if (!error) stop();
    });
    running_ = devices_.size();
    for (const auto& device : devices_) {
      device->start(context_, options, verified_, [this] {
        if (--running_ == 0) release();
      });
    }
    if (devices_.empty()) release();
  }

 private:
  void stop() {
    for (const auto& device : devices_) device->stop();
  }
  // Nothing is left to wait for: context.run() returns.
  void release() {
    signals_.cancel();
    parent_.close();
  }

  asio::io_context& context_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::size_t running_ = 0;
  // What one device has verified of the authority's statements holds for its neighbours in the process too.
  std::shared_ptr<secagg::VerifiedStatements> verified_ = std::make_shared<secagg::VerifiedStatements>();
  asio::signal_set signals_;
  asio::posix::stream_descriptor parent_;
};

}  // namespace

std::filesystem::path device_store(const std::filesystem::path& out, const std::string& device_id) {
  return out / "devices" / (device_id + ".db");
}

Status run_fleet_worker(const WorkerOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  CHORUS_TRY(std::vector<SliceDevice> slice, read_slice(STDIN_FILENO));
  std::vector<std::unique_ptr<Device>> devices;
  devices.reserve(slice.size());
  for (SliceDevice& one : slice) {
    CHORUS_TRY(auto device, Device::create(std::move(one), options));
    devices.push_back(std::move(device));
  }
  slice.clear();
  tell({.kind = WorkerEvent::Kind::imported, .count = devices.size()});

  asio::io_context context(1);
  Slice running(context, std::move(devices));
  running.start(options);
  context.run();
  return {};
}

}  // namespace chorus::sim
