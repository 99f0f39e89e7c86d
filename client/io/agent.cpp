#include "client/io/agent.hpp"

#include <optional>
#include <utility>

#include <asio/experimental/as_tuple.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "client/io/backoff.hpp"
#include "client/io/conversation.hpp"
#include "common/base/check.hpp"
#include "common/net/tls_channel.hpp"

namespace chorus::client {

struct Agent::State : std::enable_shared_from_this<Agent::State> {
  State(asio::any_io_executor on, AgentOptions with, Credentials by, Store& in, crypto::RandomSource& with_random,
        Observer told)
      : executor(on),
        options(std::move(with)),
        credentials(std::move(by)),
        store(in),
        random(with_random),
        observer(std::move(told)),
        backoff(options.backoff_base, options.backoff_cap, random),
        pause(on),
        rounds_left(options.stop.kind == StopCondition::Kind::rounds ? options.stop.rounds : 0) {}

  // How many rounds the next conversation takes part in.
  std::optional<std::uint64_t> rounds() const {
    switch (options.stop.kind) {
      case StopCondition::Kind::synced:
        return 0;
      case StopCondition::Kind::rounds:
        return rounds_left;
      default:
        return std::nullopt;
    }
  }
  void on_event(const Event& event);
  // A round whose coordinator cannot be reached is over for this device when its deadline comes.
  void forget_lost_round();
  // Connects, shakes hands and talks, until the conversation's end.
  static asio::awaitable<End> attempt(std::shared_ptr<State> self, Endpoint endpoint);
  static asio::awaitable<Result<AgentSummary>> run(std::shared_ptr<State> self);

  asio::any_io_executor executor;
  AgentOptions options;
  Credentials credentials;
  Store& store;
  crypto::RandomSource& random;
  std::unique_ptr<OpenRound> round;
  Observer observer;
  Backoff backoff;
  asio::steady_timer pause;  // between two attempts
  std::uint64_t rounds_left;
  AgentSummary summary;
  bool satisfied = false;
  bool stopping = false;
  std::shared_ptr<Conversation> conversation;
  net::TlsChannel* handshaking = nullptr;
};

void Agent::State::on_event(const Event& event) {
  if (const auto* ended = std::get_if<event::RoundEnded>(&event)) {
    if (ended->result.outcome == protocol::Outcome::aborted) {
      ++summary.aborted;
    } else if (ended->delivered) {
      ++summary.rounds;
      if (rounds_left > 0) --rounds_left;
      backoff.reset();
    }
  } else if (std::holds_alternative<event::Synced>(event)) {
    if (rounds() == 0U) satisfied = true;
  } else if (std::holds_alternative<event::JobFinished>(event)) {
    summary.finished = true;
    if (options.stop.kind != StopCondition::Kind::never) satisfied = true;
  }
  if (observer) observer(event);
  // A finished job is reported right after the last sync: the close waits for both.
  if (satisfied && conversation) {
    asio::post(executor, [talk = conversation] { talk->close(); });
  }
}

void Agent::State::forget_lost_round() {
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  if (round && Moment(std::chrono::duration_cast<Duration>(steady)) >= round->deadline) round.reset();
}

asio::awaitable<End> Agent::State::attempt(std::shared_ptr<State> self, Endpoint endpoint) {
  auto socket = co_await net::connect(endpoint.host, endpoint.port, self->options.connect_timeout);
  if (!socket) co_return End{std::move(socket).error()};
  auto channel = std::make_unique<net::TlsChannel>(std::move(*socket), self->credentials.tls, endpoint.host);
  if (self->stopping) co_return End{Error(ErrorCode::closed, "stopped")};
  self->handshaking = channel.get();
  auto peer = co_await channel->handshake(self->options.handshake_timeout);
  self->handshaking = nullptr;
  if (!peer) co_return End{std::move(peer).error()};
  if (self->stopping) co_return End{Error(ErrorCode::closed, "stopped")};
  ++self->summary.connections;
  if (self->observer) self->observer(event::Connected{to_string(endpoint)});
  ParticipantSetup setup{.store = self->store,
                         .round = self->round,
                         .membership = *self->credentials.membership,
                         .verified = *self->options.verified,
                         .random = self->random,
                         .policy = Policy(self->options.floors, self->options.consent),
                         .coordinator = peer->key,
                         .job = self->options.job,
                         .rounds = self->rounds()};
  self->conversation =
      std::make_shared<Conversation>(std::move(channel), std::move(setup), self->options.frame_timeout,
                                     [state = self.get()](const Event& event) { state->on_event(event); });
  End end = co_await Conversation::run(self->conversation);
  const auto done = std::exchange(self->conversation, nullptr);
  self->summary.bytes_up += done->channel().bytes_out();
  self->summary.bytes_down += done->channel().bytes_in();
  co_return end;
}

asio::awaitable<Result<AgentSummary>> Agent::State::run(std::shared_ptr<State> self) {
  if (Status session = self->store.begin_session(); !session) co_return fail(std::move(session).error());
  std::optional<Error> permanent;
  for (std::size_t turn = 0; !self->stopping; ++turn) {
    const Endpoint endpoint = self->options.coordinators[turn % self->options.coordinators.size()];
    const End end = co_await attempt(self, endpoint);
    if (self->satisfied || self->stopping) break;
    if (is_permanent(end.error.code()) && !end.clocks_differ) {
      permanent = end.error;
      break;
    }
    self->forget_lost_round();
    const auto delay = self->backoff.next(end.retry_after);
    if (self->observer) self->observer(event::Retrying{.error = end.error, .delay = delay});
    if (self->stopping) break;
    self->pause.expires_after(delay);
    // Cancelled by stop().
    [[maybe_unused]] const auto woken =
        co_await self->pause.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
  }
  self->round.reset();
  self->store.end_session();
  if (permanent) co_return fail(std::move(*permanent));
  self->summary.stopped = !self->satisfied;
  co_return self->summary;
}

Agent::Agent(asio::any_io_executor executor, AgentOptions options, Credentials credentials, Store& store,
             crypto::RandomSource& random, Observer observer) {
  CHORUS_ENSURE(!options.coordinators.empty(), "an agent needs a coordinator");
  if (options.verified == nullptr) options.verified = std::make_shared<secagg::VerifiedStatements>();
  state_ =
      std::make_shared<State>(executor, std::move(options), std::move(credentials), store, random, std::move(observer));
}

Agent::~Agent() = default;

asio::awaitable<Result<AgentSummary>> Agent::run() {
  return State::run(state_);
}

void Agent::stop() {
  state_->stopping = true;
  state_->pause.cancel();
  if (state_->handshaking != nullptr) state_->handshaking->close();
  if (state_->conversation) state_->conversation->close();
}

AgentSummary Agent::summary() const noexcept {
  AgentSummary so_far = state_->summary;
  if (state_->conversation) {
    so_far.bytes_up += state_->conversation->channel().bytes_out();
    so_far.bytes_down += state_->conversation->channel().bytes_in();
  }
  return so_far;
}

}  // namespace chorus::client
