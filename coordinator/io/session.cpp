#include "coordinator/io/session.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "common/protocol/phases.hpp"

namespace chorus::coordinator {

namespace {

using protocol::MessageType;
// The phase of a connection changes while its next message is on the way, so the reader lets through all that a device
// may say after its greeting; Federation holds it against the phase.
constexpr std::uint32_t kAfterGreeting = protocol::message_bit(MessageType::fetch) |
                                         protocol::message_bit(MessageType::ready) |
                                         protocol::message_bit(MessageType::resume) | protocol::kSumFromDevice;

}  // namespace

Session::Session(SessionId id, std::unique_ptr<net::TlsChannel> channel, const Limits& limits, SessionOwner& owner)
    : id_(id), channel_(std::move(channel)), limits_(&limits), owner_(&owner) {}

asio::awaitable<Error> Session::read(std::shared_ptr<Session> self) {
  std::uint32_t accepted = protocol::message_bit(MessageType::hello);
  std::optional<std::chrono::nanoseconds> timeout = self->limits_->hello_timeout;
  for (;;) {
    auto message = co_await self->channel_->receive(accepted, timeout, self->limits_->frame_timeout);
    if (!message) {
      self->reading_ = false;
      co_return std::move(message).error();
    }
    if (self->finishing_) continue;  // read, so that the device gets to read our last message
    const MessageType type = protocol::type_of(*message);
    self->owner_->on_message(self->id_, std::move(*message));
    accepted = kAfterGreeting;
    // Who asked to be invited, or is in a round, may wait for us; what is due then is the round's to say.
    if (type == MessageType::hello || type == MessageType::decline) {
      timeout = self->limits_->idle_timeout;
    } else if (type != MessageType::fetch) {
      timeout.reset();
    }
  }
}

void Session::send(wire::Frame frame) {
  if (closed_ || finishing_) return;
  if (frames_.size() >= limits_->queue) {
    overloaded(fmt::format("{} messages wait for a device that does not read them", frames_.size()));
    return;
  }
  frames_.push_back(std::move(frame));
  wake_writer();
}

void Session::send_blob(std::shared_ptr<BlobFrames> blob) {
  if (closed_ || finishing_) return;
  if (blobs_.size() >= kMaxBlobs) {
    overloaded("a device asks for more before it has read what it asked for");
    return;
  }
  blobs_.push_back({.frames = std::move(blob)});
  wake_writer();
}

void Session::finish() {
  finishing_ = true;
  blobs_.clear();
  wake_writer();
}

void Session::close() {
  if (std::exchange(closed_, true)) return;
  frames_.clear();
  blobs_.clear();
  channel_->close();
}

void Session::overloaded(std::string sentence) {
  ended_by_us_ = Error(ErrorCode::overloaded, std::move(sentence));
  close();
}

void Session::wake_writer() {
  if (std::exchange(writing_, true)) return;
  asio::co_spawn(channel_->executor(), write(shared_from_this()), asio::detached);
}

asio::awaitable<void> Session::write(std::shared_ptr<Session> self) {
  while (!self->closed_) {
    wire::Frame frame;
    if (!self->frames_.empty()) {
      frame = std::move(self->frames_.front());
      self->frames_.pop_front();
    } else if (!self->blobs_.empty()) {
      BlobStream& stream = self->blobs_.front();
      frame = stream.frames->frame(stream.next++);
      if (stream.next == stream.frames->count()) self->blobs_.pop_front();
    } else {
      break;
    }
    const Status sent = co_await self->channel_->send(std::move(frame), self->limits_->write_timeout);
    if (!sent) {
      // A device that went away is the reader's to report; one that does not read is refused here.
      if (sent.error().code() == ErrorCode::timeout) self->ended_by_us_ = sent.error();
      self->close();
    }
  }
  if (self->finishing_ && !self->closed_) {
    if (self->reading_) {  // the reader drops what comes until the device closes
      asio::steady_timer linger(self->channel_->executor(), kLinger);
      co_await linger.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
    } else {
      co_await self->channel_->finish(kLinger);
    }
    self->close();
  }
  self->writing_ = false;
}

}  // namespace chorus::coordinator
