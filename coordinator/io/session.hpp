// One device's connection after its handshake: a reader that hands messages to its owner, and a writer that runs only
// while there is something to write, so that an idle connection holds no buffer. Used on the I/O thread alone.
#pragma once

#include <list>
#include <memory>

#include <asio/awaitable.hpp>

#include "common/net/tls_channel.hpp"
#include "coordinator/config/settings.hpp"
#include "coordinator/io/blob_frames.hpp"
#include "coordinator/roster/roster.hpp"

namespace chorus::coordinator {

// Who gets what a session reads. Outlives the sessions.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  virtual void on_message(SessionId session, protocol::Message message) = 0;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(SessionId id, std::unique_ptr<net::TlsChannel> channel, const Limits& limits, SessionOwner& owner);

  // Reads until the connection ends, and says why it did. The first message must be a Hello, in time.
  [[nodiscard]] static asio::awaitable<Error> read(std::shared_ptr<Session> self);

  // Queues a frame. More than limits.queue of them end the connection: the device does not read.
  void send(wire::Frame frame);
  // Queues a blob behind the blobs that are queued; frames of send() go first. At most kMaxBlobs.
  void send_blob(std::shared_ptr<BlobFrames> blob);
  // Closes once everything queued by send() is written (what is left of blobs is dropped) and the device has closed
  // its side or kLinger is over: closing at once, with unread bytes on the way, could cost the device the last message.
  void finish();
  void close();

  [[nodiscard]] SessionId id() const noexcept { return id_; }
  [[nodiscard]] const std::string& address() const noexcept { return channel_->peer_address(); }
  // Payload of TLS records so far.
  [[nodiscard]] std::uint64_t bytes_in() const noexcept { return channel_->bytes_in(); }
  [[nodiscard]] std::uint64_t bytes_out() const noexcept { return channel_->bytes_out(); }
  [[nodiscard]] bool finishing() const noexcept { return finishing_; }
  // Why this side ended the connection, if it did.
  [[nodiscard]] const std::optional<Error>& ended_by_us() const noexcept { return ended_by_us_; }

  // A device has at most a catalogue and two versions of the model on the way.
  static constexpr std::size_t kMaxBlobs = 3;
  static constexpr Duration kLinger = 1s;

 private:
  struct BlobStream {
    std::shared_ptr<BlobFrames> frames;
    std::size_t next = 0;
  };

  static asio::awaitable<void> write(std::shared_ptr<Session> self);
  void wake_writer();
  void overloaded(std::string sentence);

  SessionId id_;
  std::unique_ptr<net::TlsChannel> channel_;
  const Limits* limits_;
  SessionOwner* owner_;
  std::list<wire::Frame> frames_;
  std::list<BlobStream> blobs_;
  bool reading_ = true;   // read() has not ended
  bool writing_ = false;  // write() runs
  bool finishing_ = false;
  bool closed_ = false;
  std::optional<Error> ended_by_us_;
};

}  // namespace chorus::coordinator
