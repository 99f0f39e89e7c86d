// One connection of an agent: the Participant behind it, one reader, one writer with a short queue, one timer. Lives
// as long as its coroutines; on one executor, nothing locks.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>

#include "client/round/participant.hpp"
#include "common/net/tls_channel.hpp"

namespace chorus::client {

class Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  using Observer = std::function<void(const Event&)>;

  // `observer` may call close(); it is not called after close().
  Conversation(std::unique_ptr<net::TlsChannel> channel, ParticipantSetup setup, std::chrono::nanoseconds frame_timeout,
               Observer observer);

  // From Hello to the end, whose reason it returns. To be called once.
  [[nodiscard]] static asio::awaitable<End> run(std::shared_ptr<Conversation> self);
  // Ends run() at once; what is queued is dropped.
  void close();

  [[nodiscard]] const net::TlsChannel& channel() const noexcept { return *channel_; }

 private:
  struct Outgoing {
    wire::Frame frame;
    protocol::MessageType type = protocol::MessageType::hello;
  };

  void apply(Actions actions);
  void wake_writer();
  [[nodiscard]] static asio::awaitable<void> write(std::shared_ptr<Conversation> self);
  void arm_timer();

  std::unique_ptr<net::TlsChannel> channel_;
  Participant participant_;
  std::chrono::nanoseconds frame_timeout_;
  Observer observer_;
  std::deque<Outgoing> queue_;
  asio::steady_timer timer_;    // the participant's next deadline
  asio::steady_timer drained_;  // cancelled when the writer has nothing more to write
  std::optional<End> end_;
  bool writing_ = false;
  bool finishing_ = false;  // the participant ended: what is queued still goes out
  bool closed_ = false;
};

}  // namespace chorus::client
