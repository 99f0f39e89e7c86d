#include "coordinator/io/daemon.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <map>
#include <unordered_map>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "common/log/log.hpp"
#include "coordinator/io/address_rate.hpp"
#include "coordinator/io/admin_server.hpp"
#include "coordinator/io/clock.hpp"
#include "coordinator/io/endpoint_file.hpp"
#include "coordinator/io/refusals.hpp"
#include "coordinator/io/running_job.hpp"
#include "coordinator/io/session.hpp"

namespace chorus::coordinator {

namespace {

using asio::ip::tcp;
constexpr auto kAwait = asio::experimental::as_tuple(asio::use_awaitable);

// How long the last messages may take when the coordinator ends.
constexpr Duration kFlush = 2s;
// How long the listeners rest when the process has no file descriptors left.
constexpr Duration kRest = 200ms;
// What a handshake may take while many are in progress.
constexpr Duration kPressed = 1s;

// 0 where the system does not say.
std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  file >> all >> resident;
  return file ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

std::string to_text(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                    : fmt::format("{}:{}", host, endpoint.port());
}

}  // namespace

class Daemon::Impl final : public SessionOwner, public JobHost {
 public:
  explicit Impl(DaemonSetup setup)
      : settings_(std::move(setup.settings)),
        random_(setup.random),
        tls_(std::move(setup.tls)),
        reload_(std::move(setup.reload)),
        address_rate_(std::make_shared<AddressRate>(settings_.limits.handshakes_per_address,
                                                    settings_.limits.connections_per_address,
                                                    settings_.limits.limit_loopback)),
        handshake_ended_(context_, asio::steady_timer::time_point::max()),
        signals_(context_),
        jobs_({.context = context_,
               .worker = worker_,
               .host = *this,
               .random = setup.random,
               .floors = setup.floors,
               .shutdown_grace = settings_.shutdown_grace},
              std::move(setup.store), std::move(setup.admission), std::move(setup.key), std::move(setup.prepare)) {}

  // Before run(), on the caller's thread.
  Status begin(std::vector<PreparedJob> jobs) {
    CHORUS_TRY_DO(jobs_.begin(std::move(jobs)));
    return listen();
  }

  Status listen() {
    for (const auto& address : settings_.listen) {
      const tcp::endpoint wanted(asio::ip::make_address(address.host), address.port);
      tcp::acceptor acceptor(context_);
      std::error_code error;
      acceptor.open(wanted.protocol(), error);
      // A restart may use the port of connections that are still ending.
      if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
      if (!error && wanted.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
      if (!error) acceptor.bind(wanted, error);
      if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
      if (error) {
        return fail(error == asio::error::address_in_use ? ErrorCode::address_in_use : ErrorCode::io,
                    fmt::format("cannot listen: {}", error.message()), to_text(wanted));
      }
      endpoints_.push_back(to_text(acceptor.local_endpoint()));
      acceptors_.push_back(std::move(acceptor));
    }
    if (settings_.admin) {
      CHORUS_TRY(admin_, AdminServer::start(*settings_.admin, settings_.state, random_,
                                            [this](AdminRequest request) { return ask(std::move(request)); }));
    }
    return write_endpoint_file(settings_.state, endpoints_);
  }

  Status run() {
    std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of write(), not the end
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) signals_.add(number);
    asio::co_spawn(context_, watch_signals(), asio::detached);
    // One that has nothing left to do may end at once.
    jobs_.start_all();
    for (auto& acceptor : acceptors_) asio::co_spawn(context_, accept(acceptor), asio::detached);
    for (const auto& endpoint : endpoints_) log::info("listening", {{"address", endpoint}});
    if (admin_ != nullptr) {
      log::info("dashboard", {{"address", fmt::format("http://{}/", admin_->endpoint())}});
      asio::co_spawn(context_, show_pictures(), asio::detached);
    }
    context_.run();
    worker_.join();
    remove_endpoint_file(settings_.state);
    log::info("stopped", {{"refused", refusals_.total()}});
    return outcome_;
  }

  void stop() {
    asio::post(context_, [this] { begin_stop(); });
  }
  void reload() {
    asio::post(context_, [this] { begin_reload(); });
  }
  [[nodiscard]] const std::vector<std::string>& endpoints() const noexcept { return endpoints_; }

  // --- SessionOwner and JobHost

  void on_message(SessionId id, protocol::Message message) override {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    if (connection.job == nullptr) {
      auto job = jobs_.for_message(message);
      if (!job) return refuse(*connection.session, job.error());
      connection.job = std::move(*job);
      connection.job->on_connected(id, connection.device);
    }
    // A copy: the job may end, and be forgotten, by what it is told.
    const std::shared_ptr<RunningJob> job = connection.job;
    job->on_message(id, std::move(message));
  }

  std::shared_ptr<Session> session(SessionId id) override {
    const auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.session;
  }

  void refused(const Error& reason, const std::string& address) override {
    refusals_.add(reason, address, monotonic_now());
  }

  void job_ended(const std::string& name, Status outcome) override {
    const bool asked = jobs_.forget(name);
    for (auto& [id, connection] : connections_) {
      if (connection.job != nullptr && connection.job->name() == name) connection.session->finish();
    }
    if (!outcome) {
      log::error("the job has failed", {{"job", name}, {"reason", outcome.error().to_string()}});
      if (outcome_) outcome_ = std::move(outcome);
    }
    // With a door for more jobs, a coordinator whose last one was stopped there waits for the next.
    if (!jobs_.empty() || ended_ || (asked && !stopping_ && admin_ != nullptr)) return;
    ended_ = true;
    stopping_ = true;
    close_listeners();
    for (auto& [id, connection] : connections_) connection.session->finish();
    asio::co_spawn(context_, end(), asio::detached);
  }

 private:
  // --- connections

  asio::awaitable<void> accept(tcp::acceptor& acceptor) {
    for (;;) {
      // More handshakes wait in the kernel's queue, where they cost next to nothing.
      while (handshaking_ >= settings_.limits.handshakes) {
        co_await handshake_ended_.async_wait(kAwait);
      }
      auto [error, socket] = co_await acceptor.async_accept(kAwait);
      if (error == asio::error::operation_aborted || !acceptor.is_open()) co_return;
      if (error) {
        // No descriptors or no memory left: connections in place go on, new ones wait. Others (a peer that went away
        // while it waited) concern one connection.
        if (error == asio::error::no_descriptors || error.value() == ENFILE || error.value() == ENOBUFS ||
            error.value() == ENOMEM) {
          log::error("cannot accept connections", {{"reason", error.message()}, {"connections", connections_.size()}});
          asio::steady_timer rest(context_, kRest);
          co_await rest.async_wait(kAwait);
        }
        continue;
      }
      admit(std::move(socket));
    }
  }

  void admit(tcp::socket socket) {
    std::error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return;
    const Moment now = monotonic_now();
    if (connections_.size() + handshaking_ >= settings_.limits.connections) {
      refusals_.add(Error(ErrorCode::overloaded, "all connections are taken"), to_text(peer), now);
    } else if (!address_rate_->admit(peer.address(), now)) {
      refusals_.add(Error(ErrorCode::overloaded, "too many connections of this address"), to_text(peer), now);
    } else {
      socket.set_option(tcp::no_delay(true), error);
      // Devices vanish without a word; the kernel finds out.
      socket.set_option(asio::socket_base::keep_alive(true), error);
      ++handshaking_;
      asio::co_spawn(context_, serve(std::make_unique<net::TlsChannel>(std::move(socket), tls_), peer.address()),
                     asio::detached);
    }
  }

  // While a connection lasts, its address has one less. Held by coroutines, which may outlive the daemon's members.
  class Admitted {
   public:
    Admitted(std::shared_ptr<AddressRate> rate, asio::ip::address address)
        : rate_(std::move(rate)), address_(std::move(address)) {}
    ~Admitted() { rate_->release(address_); }
    Admitted(const Admitted&) = delete;
    Admitted& operator=(const Admitted&) = delete;

   private:
    std::shared_ptr<AddressRate> rate_;
    asio::ip::address address_;
  };

  asio::awaitable<void> serve(std::unique_ptr<net::TlsChannel> channel, asio::ip::address address) {
    const Admitted admitted(address_rate_, address);
    // Handshakes that never end must not keep the others out: when many are in progress, each has less time.
    const bool pressed = handshaking_ * 2 > settings_.limits.handshakes;
    const Duration timeout =
        pressed ? std::min(settings_.limits.handshake_timeout, kPressed) : settings_.limits.handshake_timeout;
    const auto peer = co_await channel->handshake(timeout);
    --handshaking_;
    handshake_ended_.cancel();
    if (stopping_) co_return;
    if (!peer) {
      refusals_.add(peer.error(), channel->peer_address(), monotonic_now());
      co_return;
    }
    if (!peer->device) {
      refusals_.add(Error(ErrorCode::bad_certificate, "the certificate is not a device's"), channel->peer_address(),
                    monotonic_now());
      co_return;
    }
    const SessionId id(++last_session_);
    auto session = std::make_shared<Session>(id, std::move(channel), settings_.limits, *this);
    connections_.emplace(id, Connection{.session = session, .device = *peer->device, .job = nullptr});

    const Error ended = co_await Session::read(session);
    const std::shared_ptr<RunningJob> job = std::move(connections_.at(id).job);
    connections_.erase(id);
    ended_bytes_in_ += session->bytes_in();
    ended_bytes_out_ += session->bytes_out();
    const Error& reason = session->ended_by_us() ? *session->ended_by_us() : ended;
    if (reason.code() == ErrorCode::closed || session->finishing()) {  // that was counted when it was refused
      log::debug("connection ended", {{"address", session->address()}});
      session->close();
    } else {
      refusals_.add(reason, session->address(), monotonic_now());
      session->send(wire::encode(
          protocol::Refusal{.code = reason.code(), .sentence = reason.sentence().substr(0, protocol::kMaxSentence)}));
      session->finish();
    }
    if (job != nullptr) job->on_disconnected(id);
  }

  void refuse(Session& session, const Error& reason) {
    session.send(wire::encode(
        protocol::Refusal{.code = reason.code(), .sentence = reason.sentence().substr(0, protocol::kMaxSentence)}));
    refusals_.add(reason, session.address(), monotonic_now());
    session.finish();
  }

  // --- what an operator sees

  // Without what only a job knows.
  [[nodiscard]] DaemonView view() const {
    DaemonView view{.phase = {},
                    .stopping = stopping_,
                    .connections_refused = refusals_.total(),
                    .bytes_in = ended_bytes_in_,
                    .bytes_out = ended_bytes_out_,
                    .resident_bytes = resident_bytes(),
                    .store_bytes = 0,
                    .started = started_};
    for (const auto& [id, connection] : connections_) {
      view.bytes_in += connection.session->bytes_in();
      view.bytes_out += connection.session->bytes_out();
    }
    for (const char* name : {"coordinator.db", "coordinator.db-wal"}) {
      std::error_code missing;
      const auto size = std::filesystem::file_size(settings_.state / name, missing);
      if (!missing) view.store_bytes += size;
    }
    return view;
  }

  // Pictures a second; they also show that this thread is alive.
  asio::awaitable<void> show_pictures() {
    asio::steady_timer timer(context_);
    for (;;) {
      auto pictures = std::make_shared<Pictures>();
      pictures->daemon = view();
      pictures->jobs = jobs_.pictures(pictures->daemon);
      admin_->show(std::move(pictures));
      timer.expires_after(1s);
      const auto [error] = co_await timer.async_wait(kAwait);
      if (error) co_return;
    }
  }

  // On a thread of the admin server.
  std::future<Result<std::string>> ask(AdminRequest request) {
    const auto answer = std::make_shared<std::promise<Result<std::string>>>();
    auto future = answer->get_future();
    asio::post(context_, [this, request = std::move(request), answer]() mutable {
      if (stopping_) return answer->set_value(fail(ErrorCode::aborted, "the coordinator is stopping"));
      const bool last = request.command == AdminCommand::shut_down;
      jobs_.handle(std::move(request), [this, last, answer](Result<std::string> result) {
        answer->set_value(std::move(result));
        if (last) begin_stop();
      });
    });
    return future;
  }

  // --- the operator

  asio::awaitable<void> watch_signals() {
    for (;;) {
      const auto [error, number] = co_await signals_.async_wait(kAwait);
      if (error) co_return;
      if (number == SIGHUP) {
        begin_reload();
      } else if (stopping_) {
        log::error("stopped at once by a second signal");
        std::_Exit(EXIT_FAILURE);
      } else {
        begin_stop();
      }
    }
  }

  void begin_stop() {
    if (std::exchange(stopping_, true)) return;
    log::info("stopping", {{"connections", connections_.size()}, {"round_in_progress", jobs_.any_collects()}});
    close_listeners();
    if (jobs_.empty() && !std::exchange(ended_, true)) asio::co_spawn(context_, end(), asio::detached);
    jobs_.stop_all();
  }

  void begin_reload() {
    if (!reload_ || stopping_) return;
    log::info("reloading");
    asio::post(worker_, [this, catalogues = jobs_.catalogues()] {
      auto reloaded = std::make_shared<Reloaded>(reload_(catalogues));
      asio::post(context_, [this, reloaded = std::move(reloaded)] {
        // Connections in place keep the context that they began with.
        if (reloaded->tls) tls_ = std::move(*reloaded->tls);
        if (reloaded->admission) take_admission(*reloaded->admission);
        jobs_.take_catalogues(std::move(reloaded->catalogues));
      });
    });
  }

  void take_admission(const Admission& admission) {
    const bool another = admission.authority != jobs_.admission().authority;
    jobs_.take_admission(admission);
    if (!another) return;
    // Those that have not yet said which job they want.
    for (auto& [id, connection] : connections_) {
      if (connection.job == nullptr) refuse(*connection.session, another_authority());
    }
  }

  void close_listeners() {
    std::error_code ignored;
    for (auto& acceptor : acceptors_) acceptor.close(ignored);
  }

  // Waits until the last messages are out, then ends run().
  asio::awaitable<void> end() {
    const Moment latest = monotonic_now() + kFlush;
    while (!connections_.empty() && monotonic_now() < latest) {
      asio::steady_timer pause(context_, 10ms);
      co_await pause.async_wait(kAwait);
    }
    for (auto& [id, connection] : connections_) connection.session->close();
    context_.stop();
  }

  struct Connection {
    std::shared_ptr<Session> session;
    identity::DeviceId device;
    std::shared_ptr<RunningJob> job;  // nullptr until its first message has said which
  };

  asio::io_context context_{1};
  CoordinatorSettings settings_;
  crypto::RandomSource& random_;
  net::TlsContext tls_;
  std::function<Reloaded(const std::map<std::string, std::filesystem::path>&)> reload_;
  Refusals refusals_;
  std::shared_ptr<AddressRate> address_rate_;
  std::vector<std::string> endpoints_;
  Status outcome_;

  std::unordered_map<SessionId, Connection> connections_;
  std::vector<tcp::acceptor> acceptors_;
  asio::steady_timer handshake_ended_;  // never fires: its cancellation wakes who waits
  asio::signal_set signals_;
  std::uint64_t last_session_ = 0;
  std::uint64_t ended_bytes_in_ = 0;  // of connections that are gone
  std::uint64_t ended_bytes_out_ = 0;
  std::uint32_t handshaking_ = 0;
  const std::int64_t started_ = std::int64_t{wall_now().time_since_epoch().count()};
  bool stopping_ = false;
  bool ended_ = false;  // end() runs
  RunningJobs jobs_;
  asio::thread_pool worker_{1};         // joined before what its work refers to
  std::unique_ptr<AdminServer> admin_;  // the first to go: its threads post to the context
};

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::create(DaemonSetup setup) {
  auto jobs = std::move(setup.jobs);
  auto impl = std::make_unique<Impl>(std::move(setup));
  CHORUS_TRY_DO(impl->begin(std::move(jobs)));
  return std::unique_ptr<Daemon>(new Daemon(std::move(impl)));
}

const std::vector<std::string>& Daemon::endpoints() const noexcept {
  return impl_->endpoints();
}
Status Daemon::run() {
  return impl_->run();
}
void Daemon::stop() {
  impl_->stop();
}
void Daemon::reload() {
  impl_->reload();
}

}  // namespace chorus::coordinator
