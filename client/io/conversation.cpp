#include "client/io/conversation.hpp"

#include <utility>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include "common/crypto/secret_bytes.hpp"

namespace chorus::client {
namespace {

// How long a coordinator has to take the last word.
constexpr std::chrono::seconds kGoodbye{2};

Now read_clocks() {
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  return {.moment = Moment(std::chrono::duration_cast<Duration>(steady)),
          .wall = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now())};
}

}  // namespace

Conversation::Conversation(std::unique_ptr<net::TlsChannel> channel, ParticipantSetup setup,
                           std::chrono::nanoseconds frame_timeout, Observer observer)
    : channel_(std::move(channel)),
      participant_(std::move(setup)),
      frame_timeout_(frame_timeout),
      observer_(std::move(observer)),
      timer_(channel_->executor()),
      drained_(channel_->executor()) {}

asio::awaitable<End> Conversation::run(std::shared_ptr<Conversation> self) {
  self->apply(self->participant_.start(read_clocks()));
  while (!self->closed_ && !self->finishing_) {
    auto message = co_await self->channel_->receive(self->participant_.accepted(), std::nullopt, self->frame_timeout_);
    if (self->closed_ || self->finishing_) break;
    if (!message) {
      self->end_ = End{std::move(message).error()};
      break;
    }
    self->apply(self->participant_.receive(*message, read_clocks()));
  }
  // A last word (Decline) still goes out, also to a coordinator that is in the middle of sending.
  if (self->finishing_ && !self->closed_) {
    if (self->writing_) {
      self->drained_.expires_after(self->frame_timeout_);
      [[maybe_unused]] const auto woken =
          co_await self->drained_.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
    }
    if (!self->closed_) co_await self->channel_->finish(kGoodbye);
  }
  self->close();
  co_return self->end_.value_or(End{Error(ErrorCode::closed, "the connection was closed by this device")});
}

void Conversation::close() {
  if (std::exchange(closed_, true)) return;
  queue_.clear();
  timer_.cancel();
  drained_.cancel();
  channel_->close();
}

void Conversation::apply(Actions actions) {
  for (Action& action : actions) {
    if (closed_) return;
    if (auto* message = std::get_if<Send>(&action)) {
      auto* update = std::get_if<protocol::Update>(&message->message);
      queue_.push_back({.frame = wire::encode(message->message), .type = protocol::type_of(message->message)});
      if (update != nullptr) crypto::wipe(update->data);
    } else if (auto* report = std::get_if<Report>(&action)) {
      if (observer_) observer_(report->event);
    } else {
      end_ = std::get<End>(std::move(action));
      finishing_ = true;
    }
  }
  if (closed_) return;
  wake_writer();
  arm_timer();
}

void Conversation::wake_writer() {
  if (queue_.empty() || std::exchange(writing_, true)) return;
  asio::co_spawn(channel_->executor(), write(shared_from_this()), asio::detached);
}

asio::awaitable<void> Conversation::write(std::shared_ptr<Conversation> self) {
  while (!self->closed_ && !self->queue_.empty()) {
    Outgoing next = std::move(self->queue_.front());
    self->queue_.pop_front();
    const Status sent = co_await self->channel_->send(std::move(next.frame), self->frame_timeout_);
    if (!sent) {
      // A coordinator that hung up may have said why: the reader finds out. One that does not read is left.
      if (sent.error().code() == ErrorCode::timeout && !self->closed_) {
        self->end_ = End{sent.error()};
        self->close();
      }
      self->queue_.clear();
      break;
    }
    // writing_ stays set: what is said to this, the next piece of an update, is queued for this loop.
    if (!self->closed_) self->apply(self->participant_.written(next.type, read_clocks()));
  }
  self->writing_ = false;
  self->drained_.cancel();
}

void Conversation::arm_timer() {
  if (closed_ || participant_.ended()) {
    timer_.cancel();
    return;
  }
  const auto deadline = participant_.next_deadline();
  if (!deadline) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline->time_since_epoch())));
  timer_.async_wait([self = shared_from_this()](const std::error_code& error) {
    if (error || self->closed_) return;
    self->apply(self->participant_.expire(read_clocks()));
    if (self->finishing_) self->close();  // the reader waits for a message that need not come
  });
}

}  // namespace chorus::client
