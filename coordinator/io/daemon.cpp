#include "coordinator/io/daemon.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>
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
#include "coordinator/admin/observatory.hpp"
#include "coordinator/io/address_rate.hpp"
#include "coordinator/io/admin_server.hpp"
#include "coordinator/io/clock.hpp"
#include "coordinator/io/endpoint_file.hpp"
#include "coordinator/io/refusals.hpp"
#include "coordinator/io/session.hpp"

namespace chorus::coordinator {

namespace {

using asio::ip::tcp;
constexpr auto kAwait = asio::experimental::as_tuple(asio::use_awaitable);

// How long the last messages may take when the coordinator ends.
constexpr Duration kFlush = 2s;
// How long the listeners rest when the process has no file descriptors left.
constexpr Duration kRest = 200ms;

std::int64_t seconds_of(WallTime time) {
  return std::int64_t{time.time_since_epoch().count()};
}

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

class Daemon::Impl final : public SessionOwner {
 public:
  Impl(DaemonSetup setup, Federation federation)
      : settings_(std::move(setup.settings)),
        random_(setup.random),
        tls_(std::move(setup.tls)),
        store_(std::move(setup.store)),
        job_(std::move(setup.job)),
        reload_(std::move(setup.reload)),
        federation_(std::move(federation)),
        address_rate_(settings_.limits.handshakes_per_address),
        timer_(context_),
        handshake_ended_(context_, asio::steady_timer::time_point::max()),
        signals_(context_),
        observatory_(federation_.publisher().job(), federation_.version(),
                     federation_.publisher().catalogue().header.items, seconds_of(wall_now())) {}

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
                                            {.pause = [this] { asio::post(context_, [this] { pause(true); }); },
                                             .resume = [this] { asio::post(context_, [this] { pause(false); }); },
                                             .stop = [this] { stop(); }}));
    }
    return write_endpoint_file(settings_.state, endpoints_);
  }

  Status run() {
    std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of write(), not the end
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) signals_.add(number);
    asio::co_spawn(context_, watch_signals(), asio::detached);
    for (auto& acceptor : acceptors_) asio::co_spawn(context_, accept(acceptor), asio::detached);
    for (const auto& endpoint : endpoints_) log::info("listening", {{"address", endpoint}});
    if (admin_ != nullptr) {
      log::info("dashboard", {{"address", fmt::format("http://{}/", admin_->endpoint())}});
      asio::co_spawn(context_, show_pictures(), asio::detached);
    }
    perform(federation_.on_time(monotonic_now()));
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

  void on_message(SessionId session, protocol::Message message) override {
    perform(federation_.on_message(session, std::move(message), monotonic_now(), wall_now()));
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
          log::error("cannot accept connections", {{"reason", error.message()}, {"connections", sessions_.size()}});
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
    if (sessions_.size() + handshaking_ >= settings_.limits.connections) {
      refusals_.add(Error(ErrorCode::overloaded, "all connections are taken"), to_text(peer), now);
    } else if (!address_rate_.admit(peer.address(), now)) {
      refusals_.add(Error(ErrorCode::overloaded, "too many connections of this address"), to_text(peer), now);
    } else {
      socket.set_option(tcp::no_delay(true), error);
      // Devices vanish without a word; the kernel finds out.
      socket.set_option(asio::socket_base::keep_alive(true), error);
      ++handshaking_;
      asio::co_spawn(context_, serve(std::make_unique<net::TlsChannel>(std::move(socket), tls_)), asio::detached);
    }
  }

  asio::awaitable<void> serve(std::unique_ptr<net::TlsChannel> channel) {
    const auto peer = co_await channel->handshake(settings_.limits.handshake_timeout);
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
    sessions_.emplace(id, session);
    perform(federation_.on_connected(id, *peer->device, monotonic_now()));

    const Error ended = co_await Session::read(session);
    sessions_.erase(id);
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
    perform(federation_.on_disconnected(id, monotonic_now()));
  }

  // --- what Federation asks for

  void perform(Actions actions) {
    for (auto& action : actions) {
      std::visit([this](auto& value) { carry_out(value); }, action);
    }
    schedule();
  }

  void carry_out(Send& action) {
    const wire::Frame frame = wire::encode(action.message);
    for (const SessionId id : action.to) {
      if (const auto found = sessions_.find(id); found != sessions_.end()) found->second->send(frame);
    }
  }

  void carry_out(SendBlob& action) {
    const auto found = sessions_.find(action.to);
    if (found == sessions_.end()) return;
    std::erase_if(blobs_, [](const auto& entry) { return entry.second.expired(); });
    auto& known = blobs_[{action.kind, action.version}];
    auto frames = known.lock();
    if (frames == nullptr) {
      frames = std::make_shared<BlobFrames>(action.kind, action.version, std::move(action.bytes));
      known = frames;
    }
    found->second->send_blob(std::move(frames));
  }

  void carry_out(Close& action) {
    const auto found = sessions_.find(action.session);
    if (found == sessions_.end()) return;
    refusals_.add(action.reason, found->second->address(), monotonic_now());
    found->second->finish();
  }

  void carry_out(ReserveRound& action) {
    asio::post(worker_, [this, asked = std::move(action)] {
      auto reserved = job_->reserve_round(asked.reservation, wall_now());
      asio::post(context_, [this, reserved = std::move(reserved)]() mutable {
        perform(federation_.on_round_reserved(std::move(reserved), monotonic_now()));
      });
    });
  }

  void carry_out(RecordRound& action) {
    asio::post(worker_, [this, round = std::move(action.round)] {
      // The round is over either way; what cannot be written now stops the next one.
      if (const Status written = job_->round_aborted(round, wall_now()); !written) {
        log::error("the record of a round is not written", {{"reason", written.error().to_string()}});
      }
    });
  }

  void carry_out(RecoverSum& action) {
    asio::post(worker_, [this, asked = std::move(action)] {
      auto sum = std::make_shared<Result<ring::CohortSum>>(asked.work->run(std::thread::hardware_concurrency()));
      asio::post(context_, [this, asked, sum = std::move(sum)] {
        perform(federation_.on_sum_recovered(asked, std::move(*sum), monotonic_now()));
      });
    });
  }

  void carry_out(BuildStep& action) {
    asio::post(worker_, [this, step = std::make_shared<BuildStep>(std::move(action))] {
      auto built = std::make_shared<Result<BuildStep::Outcome>>(step->run());
      asio::post(context_, [this, built = std::move(built)] {
        perform(federation_.on_step_built(std::move(*built), monotonic_now()));
      });
    });
  }

  void carry_out(StoreVersion& action) {
    asio::post(worker_, [this, commit = std::move(action.commit)] {
      auto stored = job_->commit(*commit, wall_now());
      asio::post(context_, [this, stored = std::move(stored)]() mutable {
        perform(federation_.on_stored(std::move(stored), monotonic_now()));
      });
    });
  }

  void carry_out(Stop& action) {
    outcome_ = std::move(action.outcome);
    stopping_ = true;
    close_listeners();
    for (auto& [id, session] : sessions_) session->finish();
    asio::co_spawn(context_, end(), asio::detached);
  }

  void carry_out(Log& event) {
    write_log(event);
    observatory_.observe(event, seconds_of(wall_now()));
    if (std::holds_alternative<VersionPublished>(event)) observatory_.publish(federation_.version());
  }

  // --- what an operator sees

  [[nodiscard]] DaemonView view() const {
    DaemonView view{.phase = std::string(federation_.phase_name()),
                    .paused = federation_.paused(),
                    .stopping = stopping_,
                    .connections = sessions_.size(),
                    .devices_ready = federation_.roster().ready(),
                    .connections_refused = refusals_.total(),
                    .resident_bytes = resident_bytes(),
                    .store_bytes = 0};
    for (const char* name : {"coordinator.db", "coordinator.db-wal"}) {
      std::error_code missing;
      const auto size = std::filesystem::file_size(settings_.state / name, missing);
      if (!missing) view.store_bytes += size;
    }
    return view;
  }

  // A picture a second; it also shows that this thread is alive.
  asio::awaitable<void> show_pictures() {
    asio::steady_timer timer(context_);
    for (;;) {
      admin_->show(std::make_shared<const Picture>(observatory_.picture(view())));
      timer.expires_after(1s);
      const auto [error] = co_await timer.async_wait(kAwait);
      if (error) co_return;
    }
  }

  void pause(bool paused) {
    if (stopping_) return;
    log::info(paused ? "paused by an operator" : "resumed by an operator");
    perform(federation_.on_pause(paused, monotonic_now()));
  }

  // --- time

  void schedule() {
    const auto deadline = federation_.next_deadline();
    if (deadline == scheduled_) return;
    scheduled_ = deadline;
    timer_.cancel();
    if (!deadline) return;
    timer_.expires_at(std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline->time_since_epoch())));
    timer_.async_wait([this](std::error_code error) {
      if (error) return;  // another deadline took its place
      scheduled_.reset();
      perform(federation_.on_time(monotonic_now()));
    });
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
    log::info("stopping", {{"connections", sessions_.size()}, {"round_in_progress", federation_.collecting()}});
    close_listeners();
    perform(federation_.on_stop(monotonic_now()));
  }

  void begin_reload() {
    if (!reload_ || stopping_) return;
    log::info("reloading");
    asio::post(worker_, [this] {
      auto reloaded = std::make_shared<Reloaded>(reload_());
      asio::post(context_, [this, reloaded = std::move(reloaded)] {
        // Connections in place keep the context that they began with.
        if (reloaded->tls) tls_ = std::move(*reloaded->tls);
        if (reloaded->admission) {
          perform(federation_.on_admission(std::move(*reloaded->admission), monotonic_now()));
        }
        if (reloaded->catalogue) {
          perform(federation_.on_catalogue(std::move(*reloaded->catalogue), monotonic_now()));
        }
      });
    });
  }

  void close_listeners() {
    std::error_code ignored;
    for (auto& acceptor : acceptors_) acceptor.close(ignored);
  }

  // Waits until the last messages are out, then ends run().
  asio::awaitable<void> end() {
    const Moment latest = monotonic_now() + kFlush;
    while (!sessions_.empty() && monotonic_now() < latest) {
      asio::steady_timer pause(context_, 10ms);
      co_await pause.async_wait(kAwait);
    }
    for (auto& [id, session] : sessions_) session->close();
    context_.stop();
  }

  asio::io_context context_{1};
  CoordinatorSettings settings_;
  crypto::RandomSource& random_;
  net::TlsContext tls_;
  std::unique_ptr<Store> store_;   // the worker's
  std::unique_ptr<JobStore> job_;  // the worker's
  std::function<Reloaded()> reload_;
  Federation federation_;
  Refusals refusals_;
  AddressRate address_rate_;
  std::vector<std::string> endpoints_;
  Status outcome_;

  std::unordered_map<SessionId, std::shared_ptr<Session>> sessions_;
  std::map<std::pair<protocol::BlobKind, std::uint64_t>, std::weak_ptr<BlobFrames>> blobs_;
  std::vector<tcp::acceptor> acceptors_;
  asio::steady_timer timer_;
  std::optional<Moment> scheduled_;     // when timer_ fires
  asio::steady_timer handshake_ended_;  // never fires: its cancellation wakes who waits
  asio::signal_set signals_;
  std::uint64_t last_session_ = 0;
  std::uint32_t handshaking_ = 0;
  bool stopping_ = false;
  Observatory observatory_;
  asio::thread_pool worker_{1};
  std::unique_ptr<AdminServer> admin_;  // the first to go: its threads post to the context
};

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::create(DaemonSetup setup) {
  setup.federation.shutdown_grace = setup.settings.shutdown_grace;
  CHORUS_TRY(auto federation, Federation::create(setup.federation, std::move(setup.start), std::move(setup.admission),
                                                 setup.random, setup.floors));
  auto impl = std::make_unique<Impl>(std::move(setup), std::move(federation));
  CHORUS_TRY_DO(impl->listen());
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
