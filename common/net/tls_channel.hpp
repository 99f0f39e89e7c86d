// One TLS connection on Asio's socket: OpenSSL is driven directly on the non-blocking socket, because asio::ssl::stream
// holds about 84 KiB a connection and this about 18 (common/decisions). Coroutines; I/O errors are values, and their
// where() is the peer's address. One reader and one writer may be active at the same time, on one strand, which is the
// executor of the socket; nothing here locks.
//
//   created ── handshake ──▶ established ── receive, send ──▶ … ── close or finish ──▶ closed
//
// After an error of receive or send the channel is of no further use but for the other direction to learn why.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "common/base/result.hpp"
#include "common/net/tls_context.hpp"
#include "common/wire/frame.hpp"

namespace chorus::net {

struct TlsConnection;

class TlsChannel {
 public:
  // Server side of an accepted socket.
  TlsChannel(asio::ip::tcp::socket socket, const TlsContext& context);
  // Client side of a connected socket: the coordinator's certificate must name `host` (DNS name or address literal).
  TlsChannel(asio::ip::tcp::socket socket, const TlsContext& context, std::string host);
  ~TlsChannel();
  TlsChannel(const TlsChannel&) = delete;
  TlsChannel& operator=(const TlsChannel&) = delete;

  // Errors: timeout, closed, tls (with OpenSSL's reason in words), unsupported_version (TLS below 1.3),
  // bad_certificate, expired, not_yet_valid, revoked, wrong_host. The peer is known afterwards.
  [[nodiscard]] asio::awaitable<Result<PeerIdentity>> handshake(std::chrono::nanoseconds timeout);

  // The next message, if its type is one of `accepted` (bits of protocol::message_bit). Without a timeout it waits as
  // long as the connection lives; once a frame has begun, the rest of it must come within `frame_timeout` (slow peers).
  // Errors: closed, timeout, malformed (also a peer that closes in the middle of a frame), too_large, out_of_phase,
  // tls. On the client's first call also what the coordinator has against its certificate (TLS 1.3 tells after the
  // handshake): bad_certificate, expired, revoked.
  [[nodiscard]] asio::awaitable<Result<protocol::Message>> receive(std::uint32_t accepted,
                                                                   std::optional<std::chrono::nanoseconds> timeout,
                                                                   std::chrono::nanoseconds frame_timeout);

  // Writes one frame whole, from where it lies. Errors: closed, timeout, tls; and, if nobody receives at the same time,
  // what the peer said last (as receive).
  [[nodiscard]] asio::awaitable<Status> send(wire::Frame frame, std::chrono::nanoseconds timeout);

  // Sends close_notify if that is possible at once, and closes the socket; pending operations end with `closed`.
  void close() noexcept;
  // Closes so that what was sent last arrives, even if the peer is in the middle of sending: says that no more comes,
  // drops what still arrives until the peer closes too, at most for `timeout`, then closes. No reader may be active.
  [[nodiscard]] asio::awaitable<void> finish(std::chrono::nanoseconds timeout);

  [[nodiscard]] asio::any_io_executor executor();
  [[nodiscard]] std::uint64_t bytes_in() const noexcept;  // payload bytes of TLS records, for reports
  [[nodiscard]] std::uint64_t bytes_out() const noexcept;
  // "127.0.0.1:50312", "[::1]:50312"
  [[nodiscard]] const std::string& peer_address() const noexcept;

 private:
  // Shared with the coroutines in flight, which end with `closed` when the channel goes.
  std::shared_ptr<TlsConnection> connection_;
};

// Resolves and connects, trying every address of the host (IPv6 and IPv4) in turn; `timeout` is for all of it, and each
// address has an equal share. Errors: unreachable, timeout; where() is the host and port.
[[nodiscard]] asio::awaitable<Result<asio::ip::tcp::socket>> connect(std::string host, std::uint16_t port,
                                                                     std::chrono::nanoseconds timeout);

}  // namespace chorus::net
